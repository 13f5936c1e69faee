"""Staging: the data set and the software on the node-local disk of every node of a block.

The shared file system delivers each byte once, however many nodes there are. Items that are
there and complete are skipped; an item gets its final name when it is complete.
"""

import importlib
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from hed import variables
from hed.errors import InputError
from hed.staging import checksums, local, source
from hed.staging.clock import Clock, Report, report
from hed.staging.nodes import Alone, Nodes, agreed, from_first, shared, started_by_mpi
from hed.staging.sinks import FileSink, Nowhere, Sink
from hed.staging.source import Entry, Item
from hed.staging.transfer import Transfer
from hed.staging.unpack import TarSink

# Seconds in which MPI must have connected all nodes.
START = int(os.environ.get(variables.STAGE_START, 180))
CHUNK = 64 * checksums.BLOCK


@contextmanager
def connected(*, mpi: bool | None, ranks_are_nodes: bool = False) -> Iterator[Nodes | None]:
    """Yield the nodes that take part; None to a rank that is not the leader of its node.

    Args:
        mpi: use MPI; None: if a launcher of MPI programs has started this process.
        ranks_are_nodes: treat each rank as a node of its own (for tests on one machine).

    Raises:
        InputError: if MPI is requested and mpi4py is missing.
    """
    if not (started_by_mpi() if mpi is None else mpi):
        yield Alone()
        return
    try:
        by_mpi = _import_mpi()
    except (ImportError, RuntimeError) as error:  # RuntimeError: mpi4py finds no MPI library
        if mpi:
            raise InputError(f"--mpi needs mpi4py and an MPI library: {error}") from None
        print("no mpi4py: each process copies for itself", file=sys.stderr)
        yield Alone()
        return
    with by_mpi.connected(ranks_are_nodes=ranks_are_nodes) as nodes:
        yield nodes


def _import_mpi() -> ModuleType:
    """Return what uses MPI, whose import connects all nodes.

    It would wait forever for a node that could not start its process; then this one is killed.
    """
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(START)
    try:
        return importlib.import_module("hed.staging.mpi")
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def stage(
    nodes: Nodes,
    sources: Sequence[Path],
    *,
    unpack: Sequence[Path] = (),
    to: Path,
    chunk: int = CHUNK,
) -> Report:
    """Copy files and directories into a node-local directory of each node, and unpack tarballs.

    The content of `env.tar.gz` goes into the directory `env`. What already has the same name, but
    from another or a changed source, is replaced. `chunk` bytes travel at a time, at least 1 MiB
    for each node. The report, on every node, says what all nodes did.

    Raises:
        StageError: on every node, if any failed; NoSpace, if a disk is too small.
    """
    clock, items = Clock(), from_first(nodes, lambda: source.scan(sources, unpack, to))
    with ExitStack() as stack:
        hashers = stack.enter_context(checksums.hashers())
        here = local.Here(to, lambda path: checksums.of_file(path, hashers))
        whole = shared(nodes, lambda: {item.name for item in items if here.has(item)})
        missing = [item for item in items if item.name not in whole[nodes.rank]]
        work = agreed(nodes, lambda: stack.enter_context(here.workspace(missing)))
        room = agreed(nodes, lambda: here.room(missing))
        staged = [item for item in items if item.name not in set.intersection(*whole)]
        with Transfer(nodes, chunk=chunk, clock=clock, room=room, hashers=hashers) as transfer:
            for item in staged:
                _deliver(transfer, item, here, work if item in missing else None)
    return report(staged, items, nodes.gather(clock.stop()))


def _deliver(transfer: Transfer, item: Item, here: local.Here, work: Path | None) -> None:
    """Bring one item to all nodes; on a node that has it (`work` None) only help to read it."""
    nodes, used = transfer.nodes, transfer.room.used
    place = agreed(nodes, used()(lambda: _place(item, work)))
    sums = [_send(transfer, item, entry, place) for entry in item.entries]
    from_first(nodes, lambda: source.require_unchanged(item))
    agreed(nodes, used()(lambda: here.commit(item, place, sums) if place else None))


def _place(item: Item, work: Path | None) -> Path | None:
    """Return a new directory in which to build an item, with the item's subdirectories."""
    if work is None:
        return None
    place = Path(tempfile.mkdtemp(dir=work))
    if item.kind == "directory":
        (place / local.NEW).mkdir()
    for entry in item.entries:
        if entry.size is None:
            (place / local.NEW / entry.path).mkdir()
    return place


def _send(transfer: Transfer, item: Item, entry: Entry, place: Path | None) -> str:
    """Send one file of an item and return its checksum; none for a directory."""
    if entry.size is None:
        return ""
    sink = agreed(transfer.nodes, lambda: _sink(transfer, item, entry, place))
    return transfer.send(Path(item.source, entry.path), entry.size, sink)


def _sink(transfer: Transfer, item: Item, entry: Entry, place: Path | None) -> Sink:
    if place is None:
        return Nowhere()
    with transfer.room.used():
        if item.kind == "tar":
            return TarSink(place / local.NEW, item.source, transfer.clock)
        return FileSink(place / local.NEW / entry.path, entry, transfer.clock)
