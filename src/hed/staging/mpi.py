"""The nodes of a block as MPI ranks. Importing this module starts MPI."""

import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import mpi4py

from hed.staging import nodes

# Only the main thread calls MPI; the others hash and write.
mpi4py.rc.thread_level = "funneled"

from mpi4py import MPI  # noqa: E402

T = TypeVar("T")

# Seconds between two polls of a rank that waits for the leader of its node.
PATIENCE = 0.05


class Leaders:
    """The nodes of a block, each represented by one rank."""

    def __init__(self, leaders: MPI.Intracomm, name: str) -> None:
        """Take the communicator of all leaders and the name of this node."""
        self._leaders = leaders
        self.rank, self.size, self.name = leaders.rank, leaders.size, name

    def gather(self, value: T) -> list[T]:
        """Return the value of each node, in order of rank."""
        return self._leaders.allgather(value)

    def open(self, path: Path) -> nodes.Source:
        """Open a file on all nodes."""
        return _Shared(self._leaders, path)

    def exchange(self, buffer: memoryview, counts: Sequence[int]) -> Callable[[], None]:
        """Start to complete `buffer`, of which node i has filled the i-th `counts` bytes."""
        starts = [sum(counts[:rank]) for rank in range(len(counts))]
        request = self._leaders.Iallgatherv(MPI.IN_PLACE, [buffer, list(counts), starts, MPI.BYTE])

        def arrive() -> None:
            request.Wait()

        return arrive


class _Shared:
    """A file that all leaders read by collective MPI-IO."""

    def __init__(self, leaders: MPI.Intracomm, path: Path) -> None:
        self._path = path
        with _as_stage_error(path):
            self._file = MPI.File.Open(leaders, str(path), MPI.MODE_RDONLY)

    def read(self, offset: int, into: memoryview) -> None:
        status = MPI.Status()
        with _as_stage_error(self._path):
            self._file.Read_at_all(offset, [into, len(into), MPI.BYTE], status)
        if status.Get_count(MPI.BYTE) != len(into):
            raise nodes.shortened(self._path)

    def close(self) -> None:
        self._file.Close()


@contextmanager
def _as_stage_error(path: Path) -> Iterator[None]:
    try:
        yield
    except MPI.Exception as error:
        raise nodes.StageError(f"{path} cannot be read: {error.Get_error_string()}") from None


@contextmanager
def connected(*, ranks_are_nodes: bool) -> Iterator[Leaders | None]:
    """Yield the nodes to the leader of each node; None to its other ranks, which then wait.

    An error that the nodes have not agreed on ends all ranks, since none could answer the next
    collective call.

    Args:
        ranks_are_nodes: treat each rank as a node of its own (for tests on one machine).
    """
    world, me = MPI.COMM_WORLD, MPI.COMM_WORLD.rank
    kind = MPI.COMM_TYPE_SHARED
    node = MPI.COMM_SELF if ranks_are_nodes else world.Split_type(kind, me)
    leaders = world.Split(0 if node.rank == 0 else MPI.UNDEFINED, me)
    name = socket.gethostname() + (f":{me}" if ranks_are_nodes else "")
    try:
        yield Leaders(MPI.Intracomm(leaders), name) if leaders else None
    except nodes.StageError:
        _await_node(node)
        raise
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        world.Abort(1)
    else:
        _await_node(node)


def _await_node(node: MPI.Comm) -> None:
    """Wait for all ranks of a node, without keeping a core busy as a barrier would."""
    request = node.Ibarrier()
    while not request.Test():
        time.sleep(PATIENCE)
