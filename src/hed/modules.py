"""Modules that hyperparameters name: the user's, or else those shipped for the original's files."""

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

SHIPPED = Path(__file__).parent / "shipped"


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
    """
    _ship()
    sys.argv = sys.argv[:1]
    return importlib.import_module(name)


def _ship() -> None:
    """Have the shipped modules found after all others."""
    if str(SHIPPED) not in sys.path:
        sys.path.append(str(SHIPPED))
