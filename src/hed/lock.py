"""Kernel locks on directories: they end with the process that holds them, however it dies."""

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import IO

LOCK_FILE = ".lock"


def acquire(directory: Path, *, wait: bool = False) -> IO[str] | None:
    """Lock a directory until the returned file is closed or the process ends.

    If the file system has no locks, the directory counts as free.

    Args:
        wait: wait for another process to release it, rather than return None at once.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stream = (directory / LOCK_FILE).open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        stream.close()
        return None
    except OSError:
        return stream  # ASSUME: no flock on this file system, so nobody else locks either
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {socket.gethostname()} since {time.ctime()}")
    stream.flush()
    return stream


def holder(directory: Path) -> str:
    """Return who last locked the directory."""
    return (directory / LOCK_FILE).read_text() or "another process"


def is_locked(directory: Path) -> bool | None:
    """Return whether a process holds the lock of a directory, None if unknown."""
    try:
        with (directory / LOCK_FILE).open() as stream:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except OSError:
        return None


def is_held_by_another(directory: Path, process: int) -> bool:
    """Return whether a process other than this one on this machine has locked a directory."""
    itself = f"process {process} on {socket.gethostname()} "
    return bool(is_locked(directory)) and not holder(directory).startswith(itself)


def refusal(directory: Path) -> str:
    """Return the sentence that refuses a second start of an experiment."""
    return (
        f"{directory.name} is being run by {holder(directory)}; "
        "wait for it to end, or stop it, or name another experiment"
    )
