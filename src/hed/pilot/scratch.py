"""The directory of one experiment on a node's own disk: emptied by the next, removed by the last.

It holds the partitions of runs and temporary files of the worker pools. What is left after a power
failure is in nobody's use, since a lock ends with its process.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

# No other program's: uv, for instance, leaves a `.lock` in each environment, also in a staged one.
LOCK = ".hed-scratch"
# Longest path of a directory that may hold the sockets of Python's multiprocessing: an address has
# at most 107 characters, of which these take 32.
LONGEST = 72


@contextmanager
def use(directory: Path) -> Iterator[Path]:
    """Yield the directory for temporary files, for as long as this worker pool runs.

    Args:
        directory: of the experiment, the same for all worker pools of a node.

    Raises:
        OSError: if it cannot be created.
    """
    lock, temporary = _enter(directory), _temporary(directory)
    try:
        temporary.mkdir(mode=0o700, exist_ok=True)
        yield temporary
    finally:
        if _is_alone(lock):
            _empty(directory)
            shutil.rmtree(directory, ignore_errors=True)
            for parent in directory.parents[:2]:
                with suppress(OSError):
                    parent.rmdir()
        lock.close()


def remove_dead(parent: Path) -> None:
    """Remove what experiments without a live worker pool have left on this node."""
    for lock in parent.glob(f"*/{LOCK}"):
        with suppress(OSError), lock.open("ab") as stream:
            if _is_alone(stream):
                _empty(lock.parent)
                shutil.rmtree(lock.parent)


def _temporary(directory: Path) -> Path:
    """Return the directory of temporary files, inside, or beside it if its path is too long."""
    inside = directory / "tmp"
    if len(str(inside)) <= LONGEST:
        return inside
    digest = hashlib.blake2b(directory.name.encode(), digest_size=4).hexdigest()
    return directory.parent / f"t-{digest}"


def _enter(directory: Path) -> IO[bytes]:
    """Return the shared lock of the directory, emptied if nobody else uses it."""
    while True:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            lock = (directory / LOCK).open("ab")
        except FileNotFoundError:
            continue  # its last user has just removed it
        if _is_alone(lock):
            _empty(directory)
        fcntl.flock(lock, fcntl.LOCK_SH)
        with suppress(FileNotFoundError):
            if _is_there(directory, lock):
                return lock
        lock.close()


def _is_there(directory: Path, lock: IO[bytes]) -> bool:
    """Return whether the locked file is still the one that others would lock."""
    return os.path.samestat(os.fstat(lock.fileno()), (directory / LOCK).stat())


def _is_alone(lock: IO[bytes]) -> bool:
    """Try to lock exclusively; return whether no other process has the lock."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _empty(directory: Path) -> None:
    """Remove everything that the worker pools and the runs have left."""
    shutil.rmtree(_temporary(directory), ignore_errors=True)
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink(missing_ok=True)
