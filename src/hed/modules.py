"""Modules that hyperparameters name: the user's, or else those shipped for the original's files."""

import importlib
import sys
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

SHIPPED = Path(__file__).parent / "shipped"
# Whether this process executes one command after the other (see `hed.warm`).
SERVED: ContextVar[bool] = ContextVar("SERVED", default=False)
# A module says with `WARM = True` that it may be used by many runs of one process.
WARM = "WARM"


class ColdError(Exception):
    """A command needs a process of its own."""


def is_found(name: str) -> bool:
    """Return whether there is a module of that name, without importing it."""
    _ship()
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def load(name: str) -> ModuleType:
    """Import a module, and leave no command line: parsers of CANDLE and IMPROVE would read it.

    Raises:
        ImportError: if there is none, or it imports one that there is not.
        ColdError: if this process serves many runs, and the module does not say that it can.
    """
    _ship()
    sys.argv = sys.argv[:1]
    module = importlib.import_module(name)
    if SERVED.get() and not getattr(module, WARM, False):
        raise ColdError(name)
    return module


def _ship() -> None:
    """Have the shipped modules found after all others."""
    if str(SHIPPED) not in sys.path:
        sys.path.append(str(SHIPPED))
