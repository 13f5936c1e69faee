"""The checks of the directories that runs read and write."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hed import output
from hed.data import layout
from hed.preflight.checks import Check, Fault
from hed.site.site import Site

MIB = 2**20


@dataclass(frozen=True)
class Places:
    """The directories of a start: node-local, shared, and the data (None: not known)."""

    local: Path
    output: Path
    data: Path | None


def checks(site: Site, places: Places) -> Iterator[Check]:
    """Yield the checks of the directories."""
    yield Check(
        "node-local",
        partial(_local, places.local, places.data),
        "set local_dir in site.yaml to a directory of the node with room for the data set",
    )
    yield Check(
        "shared",
        partial(_shared, places.output, None if site.scheduler == "local" else places.local),
        "choose an output directory on a file system that all nodes share and that has locks",
    )


def _local(directory: Path, data: Path | None) -> str:
    """Write to the node-local disk, and compare its free space with what is to be copied there."""
    if data is not None and not data.is_dir():
        raise Fault(f"no data set: {data}")
    with tempfile.TemporaryDirectory(prefix=".preflight-", dir=directory) as place:
        _write(Path(place, "file"))
    free = shutil.disk_usage(directory).free
    needed = sum(_copied(data)) if data else 0
    found = f"{directory}: {output.render_bytes(free)} free"
    found += f", data {output.render_bytes(needed)}" if data else ""
    if free <= needed:
        raise Fault(found)
    return found


def _copied(data: Path) -> Iterator[int]:
    """Yield the bytes of the files that a block copies: the features.

    ASSUME: raw tables are not smaller than what an experiment makes of them.
    """
    raw = [layout.find(data, name) for name in layout.FILES]
    for path in raw if layout.is_raw(data) else map(data.joinpath, layout.FEATURE_FILES):
        if path.is_file():
            yield path.stat().st_size


def _shared(directory: Path, local: Path | None) -> str:
    """Do in the output directory, or where it will be created, what the workflow does there."""
    existing = next(path for path in (directory, *directory.parents) if path.is_dir())
    if local is not None and directory.resolve().is_relative_to(local.resolve()):
        raise Fault(f"{directory} is node-local: other nodes do not see it")
    start = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".preflight-", dir=existing) as place:
        new, final = Path(place, "new"), Path(place, "final")
        _write(new)
        final.touch()
        new.replace(final)
        if final.stat().st_size != MIB:
            raise Fault(f"{existing}: a renamed file is not the one that was written")
        _lock(final)
    return f"{existing}: written, synced, renamed, locked in {time.perf_counter() - start:.3f} s"


def _write(path: Path) -> None:
    content = os.urandom(MIB)
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    if path.read_bytes() != content:
        raise Fault(f"{path.parent.parent} does not return what was written")


def _lock(path: Path) -> None:
    """Require that a second lock is refused."""
    # For writing: NFS gives others no exclusive lock.
    with path.open("r+") as first, path.open("r+") as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
    raise Fault("two locks on one file at once")
