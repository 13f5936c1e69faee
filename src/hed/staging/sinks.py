"""Where the bytes of a source go on one node: into a file, or nowhere (unpack.py: a directory).

What was written is read back and compared with the bytes in memory, whose checksums come from the
nodes that read them from the source.
"""

import io
import os
from pathlib import Path
from typing import Protocol

from hed.staging.checksums import BLOCK
from hed.staging.clock import Clock
from hed.staging.nodes import StageError
from hed.staging.source import Entry


class Sink(Protocol):
    """Takes the bytes of one source in order, in one thread."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """End after the last byte.

        Raises:
            StageError: if what was written is not what was sent; OSError, TarError.
        """

    def abandon(self) -> None:
        """End early and without error."""


class Nowhere:
    """Discards everything: this node already has the item, and only helps the others to read it."""

    def write(self, data: memoryview) -> None:
        """Discard."""

    def finish(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing."""


class FileSink:
    """Writes a new file, with the permissions and the time of its source."""

    def __init__(self, path: Path, entry: Entry, clock: Clock) -> None:
        """Create the file."""
        self._path, self._entry, self._clock = path, entry, clock
        self._stream = path.open("x+b", buffering=0)

    def write(self, data: memoryview) -> None:
        """Append the next bytes."""
        with self._clock.measure("write", len(data)):
            write_checked(self._stream, data)

    def finish(self) -> None:
        """Close the file; others may read it if they may read the source, and I may write it."""
        self._stream.close()
        self._path.chmod(self._entry.mode & 0o777 | 0o600)
        os.utime(self._path, ns=(self._entry.mtime_ns, self._entry.mtime_ns))

    def abandon(self) -> None:
        """Close the file."""
        self._stream.close()


def write_checked(stream: io.FileIO, data: memoryview) -> None:
    """Append `data` to an unbuffered file and read it back.

    Raises:
        StageError: if the file does not return the bytes that it was given.
    """
    for start in range(0, len(data), BLOCK):
        block = data[start : start + BLOCK]
        offset = stream.tell()
        written = 0
        while written < len(block):
            written += stream.write(block[written:]) or 0
        # A bytearray is compared as memory; a memoryview would be compared byte by byte.
        returned = bytearray(len(block))
        if os.preadv(stream.fileno(), [returned], offset) != len(block) or returned != block:
            raise StageError(f"{stream.name} does not hold what was written to it")
