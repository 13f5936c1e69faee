"""Where the bytes of a source go on one node: into a file, or nowhere (unpack.py: a directory).

The checksums of what arrives were compared before. What was written is not read back: it would
come from the page cache, not from the disk.
"""

import io
import os
from pathlib import Path
from typing import Protocol

from hed.staging.clock import Clock
from hed.staging.source import Entry


class Sink(Protocol):
    """Takes the bytes of one source in order, in one thread."""

    def write(self, data: memoryview) -> None:
        """Take the next bytes."""

    def finish(self) -> None:
        """End after the last byte.

        Raises:
            StageError: if a tarball cannot be unpacked; OSError.
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
            write_all(self._stream, data)

    def finish(self) -> None:
        """Close the file; others may read it if they may read the source, and I may write it."""
        self._stream.close()
        self._path.chmod(self._entry.mode & 0o777 | 0o600)
        os.utime(self._path, ns=(self._entry.mtime_ns, self._entry.mtime_ns))

    def abandon(self) -> None:
        """Close the file."""
        self._stream.close()


def write_all(stream: io.FileIO, data: memoryview) -> None:
    """Append all of `data` to an unbuffered file, which may take it in parts."""
    while data:
        data = data[stream.write(data) or 0 :]
