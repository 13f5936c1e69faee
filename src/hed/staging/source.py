"""What is to be staged: files, directories, and tarballs that are unpacked on the way."""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hed.errors import InputError
from hed.staging.nodes import StageError

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.zst")

# ASSUME: no file system wastes more than this for each file.
FILE_OVERHEAD = 4096


@dataclass(frozen=True)
class Entry:
    """One file of an item, or a directory (`size` None); `path` is relative to the item."""

    path: str
    size: int | None
    mtime_ns: int
    mode: int


@dataclass(frozen=True)
class Item:
    """What appears atomically under one name: a file, a directory, or a tarball's content."""

    source: str
    name: str
    kind: Literal["file", "directory", "tar"]
    entries: tuple[Entry, ...]

    @property
    def needed(self) -> int:
        """Bytes that a local disk must have free; for a compressed tarball at least."""
        return sum((entry.size or 0) + FILE_OVERHEAD for entry in self.entries)

    def identity(self) -> dict[str, Any]:
        """Return what distinguishes this source from another or a changed one, as JSON values."""
        return {**asdict(self), "entries": [list(asdict(e).values()) for e in self.entries]}


def scan(sources: Sequence[Path], unpack: Sequence[Path], to: Path) -> tuple[Item, ...]:
    """List what is to be staged.

    Raises:
        InputError: if a source is missing or neither file nor directory, if two would have the
            same name, or if one is at its destination already.
    """
    items = [*(_item(path) for path in sources), *(_tar(path) for path in unpack)]
    names: dict[str, str] = {}
    for item in items:
        if item.name in names:
            raise InputError(
                f"{names[item.name]} and {item.source} would both be staged as {item.name}: "
                "rename one"
            )
        if Path(item.source).parent.resolve() == to.resolve():
            raise InputError(f"{item.source} is in {to} already: name another directory")
        names[item.name] = item.source
    return tuple(items)


def require_unchanged(item: Item) -> None:
    """Refuse an item whose source is not what it was when it was listed."""
    listed = _tar(Path(item.source)) if item.kind == "tar" else _item(Path(item.source))
    if listed != item:
        raise StageError(f"{item.source} changed while it was staged: stage it again")


def _item(path: Path) -> Item:
    source = _existing(path)
    if source.is_dir():
        return Item(str(source), source.name, "directory", tuple(_walk(source, "", ())))
    return Item(str(source), source.name, "file", (_entry(source, ""),))


def unpacked_name(tarball: Path) -> str:
    """Return the name of the directory that a tarball is unpacked to; empty if it is none."""
    suffix = next((s for s in TAR_SUFFIXES if tarball.name.endswith(s)), "")
    return tarball.name.removesuffix(suffix) if suffix else ""


def _tar(path: Path) -> Item:
    source = _existing(path)
    name = unpacked_name(source)
    if not name or source.is_dir():
        raise InputError(
            f"{path} is not a tarball: its name must end with {', '.join(TAR_SUFFIXES)}"
        )
    return Item(str(source), name, "tar", (_entry(source, ""),))


def _existing(path: Path) -> Path:
    source = Path(os.path.abspath(path))
    if not source.exists():
        raise InputError(f"no such file or directory: {path}")
    if not source.name:
        raise InputError(f"{path} has no name for its copy: name what is in it")
    return source


def _walk(directory: Path, prefix: str, above: tuple[Path, ...]) -> Iterator[Entry]:
    """Yield the files and directories below a directory, by name; links are followed."""
    here = directory.resolve()
    if here in above:
        raise InputError(f"{directory} is a link to a directory above it: remove the link")
    for name in sorted(os.listdir(directory)):
        path, relative = directory / name, f"{prefix}{name}"
        if path.is_dir():
            yield Entry(relative, None, 0, 0)
            yield from _walk(path, f"{relative}/", (*above, here))
        else:
            yield _entry(path, relative)


def _entry(path: Path, relative: str) -> Entry:
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError(f"{path} is a dangling link: remove or repair it") from None
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{path} is neither a file nor a directory")
    return Entry(relative, status.st_size, status.st_mtime_ns, stat.S_IMODE(status.st_mode))
