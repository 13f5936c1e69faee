"""How tests wait: for states, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

# Seconds after which nothing comes any more: only what hangs waits so long, and no law is about it.
PATIENCE = 300
PAUSE = 0.1  # seconds between two looks, or as many times as long as a look takes
PAUSES = 9

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str = "a condition") -> T:
    """Return what a condition gives as soon as it holds; TimeoutError says what never did.

    A look at all processes of a busy machine takes a tenth of a second, and is then a rare one:
    tests of clusters would take a fifth of the cores for it.
    """
    deadline = time.monotonic() + PATIENCE
    look = time.monotonic()
    while not (value := condition()):
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(f"not true after {PATIENCE} seconds: {what}")
        time.sleep(max(PAUSE, PAUSES * (now - look)))
        look = time.monotonic()
    return value
