"""Modules that hyperparameters name: the user's, or else those shipped for the original's files."""

import ast
import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

SHIPPED = Path(__file__).parent / "shipped"
# Whether this process executes one command after the other (see `hed.warm`).
SERVED: ContextVar[bool] = ContextVar("SERVED", default=False)
# With this line a module declares that many runs of one process may use it.
SHARED = "WARM = True"


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
    """Import a module with an empty command line: parsers of CANDLE and IMPROVE would read it.

    Raises:
        ImportError: if it does not exist, or imports a module that does not exist.
        ColdError: if this process serves many runs, and the module does not allow that.
    """
    _ship()
    sys.argv = sys.argv[:1]
    if SERVED.get() and not may_be_shared(name):
        raise ColdError(name)
    with _uncollected():
        return importlib.import_module(name)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Look for no garbage meanwhile: the import of TensorFlow leaves none.

    It makes so many objects that looking through them takes a sixth of the time.
    """
    is_usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_usual:
            gc.enable()


def may_be_shared(name: str) -> bool:
    """Return whether a module declares that many runs of one process may use it.

    Its source is read, not executed, or runs of other modules would have its side effects.
    """
    spec = find_spec(name)
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return False
    body = ast.parse(Path(spec.origin).read_bytes()).body
    return any(ast.unparse(line) == SHARED for line in body if isinstance(line, ast.Assign))


def _ship() -> None:
    """Put the shipped modules after all others on the search path."""
    if str(SHIPPED) not in sys.path:
        sys.path.append(str(SHIPPED))
