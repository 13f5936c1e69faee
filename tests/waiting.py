"""How tests wait: for states, however busy the machine is."""

import time
from collections.abc import Callable

# Seconds after which nothing comes any more: only what hangs waits so long, and no law is about it.
PATIENCE = 900
STEP = 0.1


def wait_for(condition: Callable[[], object], what: str = "a condition") -> None:
    """Wait until a condition holds; TimeoutError says what did not come true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not true after {PATIENCE} seconds: {what}")
        time.sleep(STEP)
