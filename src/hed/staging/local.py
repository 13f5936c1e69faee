"""The node-local side: what is there and complete, a workspace, and the final rename.

Everything that is not final is in `.hed-staging`: a manifest of each item, and a directory for each
running staging, which holds a lock on it. The lock ends with the process, so that the next staging
can tell the remains of a dead one from the work of a live one.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hed import command, files, lock
from hed.errors import InputError
from hed.staging.nodes import NoSpace
from hed.staging.source import Item

HIDDEN = ".hed-staging"

# The name of an incomplete item, in a directory of its own.
NEW = "new"

# Path relative to the item, size in bytes (None: a directory or link), checksum or "".
Listed = tuple[str, int | None, str]


@dataclass(frozen=True)
class Room:
    """The bytes that one staging needs in a directory, and those that were free."""

    directory: Path
    needed: int
    free: int

    def shortage(self, needed: int) -> NoSpace:
        """Return the error for a disk that is too small."""
        return NoSpace(
            f"too little space in {self.directory}: at least {needed:,} bytes are needed, "
            f"{self.free:,} are free"
        )

    @contextmanager
    def used(self) -> Iterator[None]:
        """Report the shortage if the disk is full after all."""
        try:
            yield
        except OSError as error:
            if error.errno not in command.FULL:
                raise
            raise self.shortage(max(self.needed, self.free + 1)) from None


@dataclass(frozen=True)
class Here:
    """The node-local directory of this node, and how to compute the checksum of a file."""

    directory: Path
    checksum: Callable[[Path], str]

    @contextmanager
    def workspace(self, missing: Sequence[Item]) -> Iterator[Path]:
        """Yield an empty directory beside the final names, and remove it.

        What dead stagings have left behind is removed, too.
        """
        with Room(self.directory, _needed(missing), 0).used():
            work, held = self._claim()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
            held.close()

    def _claim(self) -> tuple[Path, IO[str]]:
        with self._exclusive():
            for leftover in (self.directory / HIDDEN).glob("work-*"):
                with suppress(FileNotFoundError):  # its owner is removing it
                    if held := lock.acquire(leftover):
                        shutil.rmtree(leftover, ignore_errors=True)
                        held.close()
            work = Path(tempfile.mkdtemp(prefix="work-", dir=self.directory / HIDDEN))
            return work, _locked(work)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        """Exclude other stagings on this node, never while waiting for other nodes."""
        with _locked(self.directory / HIDDEN):
            yield

    def room(self, missing: Sequence[Item]) -> Room:
        """Return the available room.

        Raises:
            NoSpace: if what is missing needs more.
        """
        free = shutil.disk_usage(self.directory).free
        room = Room(self.directory, _needed(missing), free)
        if room.needed > free:
            raise room.shortage(room.needed)
        return room

    def has(self, item: Item) -> bool:
        """Return whether an item is there as it was staged, and its source has not changed.

        Files are read and compared with their checksums. What was unpacked is compared by name
        and size only; new files in it do no harm (Python writes its caches there).
        """
        try:
            manifest = files.read_json(self._manifest(item))
        except InputError:
            return False
        return manifest["source"] == item.identity() and all(
            self._is_intact(self.directory / item.name / path, size, checksum)
            for path, size, checksum in manifest["files"]
        )

    def _is_intact(self, path: Path, size: int | None, checksum: str) -> bool:
        if size is None:
            return path.is_dir() or path.is_symlink()
        try:
            same_size = path.lstat().st_size == size
            return same_size and (not checksum or self.checksum(path) == checksum)
        except OSError:
            return False

    def commit(self, item: Item, place: Path, sums: Sequence[str]) -> None:
        """Give a complete item its final name, unless another staging has just done so.

        The manifest is removed first and written last: without it nothing counts as complete.

        Args:
            place: directory in which the item is called `NEW`.
            sums: the checksum of each of its entries.
        """
        new, final = place / NEW, self.directory / item.name
        manifest = {"source": item.identity(), "sums": sums, "files": _listing(item, new, sums)}
        with self._exclusive():
            if self.has(item):
                return
            self._manifest(item).unlink(missing_ok=True)
            if os.path.lexists(final) and (new.is_dir() or final.is_dir()):
                final.rename(place / "old")
            new.rename(final)
            files.write_text(self._manifest(item), json.dumps(manifest) + "\n")

    def _manifest(self, item: Item) -> Path:
        return self.directory / HIDDEN / f"{item.name}.json"


def _needed(items: Sequence[Item]) -> int:
    return sum(item.needed for item in items)


def _locked(directory: Path) -> IO[str]:
    held = lock.acquire(directory, wait=True)
    if held is None:
        raise AssertionError("a lock that is waited for is had")
    return held


def _listing(item: Item, new: Path, sums: Sequence[str]) -> list[Listed]:
    """Return path, size and checksum of all parts of an item on this disk."""
    if item.kind == "tar":
        return [("", None, ""), *_walk(new)]
    listed = [(e.path, e.size, s) for e, s in zip(item.entries, sums, strict=True)]
    return [("", None, ""), *listed] if item.kind == "directory" else listed


def _walk(root: Path) -> Iterator[Listed]:
    for directory, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = Path(directory, name)
            size = path.lstat().st_size if not path.is_symlink() and path.is_file() else None
            yield str(path.relative_to(root)), size, ""
