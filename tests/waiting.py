"""How tests wait: for states, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

# Seconds after which nothing comes any more: only what hangs waits so long, and no law is about it.
PATIENCE = 300
PAUSE = 0.1  # seconds between two looks

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str = "a condition") -> T:
    """Return what a condition gives as soon as it holds; TimeoutError says what never did."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {PATIENCE} seconds: {what}")
        time.sleep(PAUSE)
    return value
