"""Unpacks a tarball while it arrives, so that it is never stored."""

import contextlib
import gzip
import importlib
import io
import os
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from hed.staging.checksums import BLOCK
from hed.staging.clock import Clock
from hed.staging.nodes import StageError

if TYPE_CHECKING or hasattr(importlib.import_module("tarfile"), "data_filter"):
    import tarfile
else:  # Python before 3.10.12 and 3.11.4 unpacks wherever a tarball says
    from backports import tarfile

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

# Bytes that tarfile buffers; it copies what is left of them at every read.
BUFFER = 2**15

# Errors of a damaged tarball, or of a file that is not one.
UNREADABLE = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


class TarSink:
    """Unpacks a tarball into a new directory while it arrives, through a pipe."""

    def __init__(self, directory: Path, source: str, clock: Clock) -> None:
        """Create the directory and start to wait for members; `source` is for messages."""
        directory.mkdir()
        reading, writing = os.pipe()
        self._source = source
        self._pipe = io.FileIO(writing, "w")
        self._thread = ThreadPoolExecutor(1, "unpack")
        self._unpacked = self._thread.submit(_unpack, reading, directory, clock)

    def write(self, data: memoryview) -> None:
        """Pass the next bytes to the unpacking thread."""
        try:
            while data:
                data = data[self._pipe.write(data) :]
        except BrokenPipeError:
            # The thread has closed its end: after an error, or at the end of the archive.
            self._require_success()

    def finish(self) -> None:
        """Wait until the last member is unpacked."""
        self._pipe.close()
        self._thread.shutdown()
        self._require_success()

    def _require_success(self) -> None:
        try:
            self._unpacked.result()
        except UNREADABLE as error:
            raise StageError(f"{self._source} cannot be unpacked: {error}") from None

    def abandon(self) -> None:
        """Stop unpacking."""
        with contextlib.suppress(OSError, StageError):
            self.finish()


class _Waiting(io.RawIOBase):
    """The reading end of a pipe, with the seconds that were spent waiting for it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seconds = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        start = time.perf_counter()
        count = os.readv(self._descriptor, [buffer])
        self.seconds += time.perf_counter() - start
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


class _Member(tarfile.TarInfo):
    """A member, or the mark of the end, without which a tarball is incomplete."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> "_Member":
        """Return the next member.

        Raises:
            ReadError: if the tarball ends without the mark; tarfile would take that as its end.
        """
        try:
            return super().fromtarfile(archive)
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it ends too early, pack it again") from None


class _Archive(tarfile.TarFile):
    """A tarball that counts the bytes of the files that were written."""

    unpacked = 0

    def makefile(self, tarinfo: tarfile.TarInfo, targetpath: Any) -> None:
        """Write one file; as tar does, a later member of the same name replaces an earlier one."""
        Path(targetpath).unlink(missing_ok=True)
        super().makefile(tarinfo, targetpath)
        self.unpacked += tarinfo.size


def _unpack(descriptor: int, directory: Path, clock: Clock) -> None:
    """Unpack the tarball that arrives through a pipe."""
    waiting = _Waiting(descriptor)
    with io.BufferedReader(waiting, BLOCK) as packed, clock.measure("unpack"):
        stream = _decompressed(packed)
        options: dict[str, Any] = {"bufsize": BUFFER, "tarinfo": _Member}
        with _Archive.open(fileobj=stream, mode="r|", **options) as archive:
            archive.extractall(directory, filter=_allowed)
        # Read to the end, where the checksum of the compressed data is.
        while stream.read(BLOCK):
            pass
    clock.add("unpack", archive.unpacked, -waiting.seconds)


def _decompressed(packed: "io.BufferedReader[Any]") -> IO[bytes]:
    """Return the uncompressed tarball; tarfile itself would stop after the first gzip member."""
    magic = packed.peek(len(ZSTD_MAGIC))
    if magic.startswith(GZIP_MAGIC):
        return cast(IO[bytes], gzip.GzipFile(fileobj=packed))
    if magic.startswith(ZSTD_MAGIC):
        try:
            zstd = importlib.import_module("compression.zstd")
        except ImportError:
            raise tarfile.ReadError("zstd needs Python 3.14 or later: pack it with gzip") from None
        return cast(IO[bytes], zstd.ZstdFile(packed))
    return packed


def _allowed(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """Refuse members that would leave the directory, devices, and hard links to the outside.

    A symlink may point anywhere, as those of an environment to its Python do; nothing is written
    through one that leaves the directory.
    """
    check: Callable[[tarfile.TarInfo, str], tarfile.TarInfo | None]
    check = tarfile.tar_filter if member.issym() else tarfile.data_filter
    return check(member, path)
