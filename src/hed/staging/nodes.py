"""The nodes of a block: one process each, which do every step together or not at all.

A failure on one node is reported to all before the next collective call, so that none waits for a
node that has given up.
"""

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar, cast

from hed import command
from hed.errors import InputError

T = TypeVar("T")

# What the launchers set: Hydra (MPICH), PALS (Aurora), Open MPI.
RANK_VARIABLES = ("PMI_RANK", "PALS_RANKID", "OMPI_COMM_WORLD_RANK")


class StageError(Exception):
    """Staging failed; the text is one sentence, `status` the command's exit status."""

    status = 1


class NoSpace(StageError):
    """A node-local disk is too small."""

    status = 3


# Errors that may hit a single node. Anything else is a bug and ends them all.
EXPECTED = (InputError, StageError, OSError)


@dataclass(frozen=True)
class Failure:
    """What went wrong on one node, and whether its disk is too small."""

    text: str
    full: bool


class Source(Protocol):
    """An open source file, of which every node reads a different part."""

    def read(self, offset: int, into: memoryview) -> None:
        """Fill `into` from byte `offset`; all nodes call it together."""

    def close(self) -> None:
        """Close the file; all nodes call it together."""


class Nodes(Protocol):
    """The nodes that take part."""

    rank: int
    size: int
    name: str

    def gather(self, value: T) -> list[T]:
        """Return the value of each node, in order of rank."""

    def open(self, path: Path) -> Source:
        """Open a file on all nodes."""

    def exchange(self, buffer: memoryview, counts: Sequence[int]) -> Callable[[], None]:
        """Start to complete `buffer`, of which node i has filled the i-th `counts` bytes.

        Returns:
            a function that waits until the buffer is complete.
        """


class Alone:
    """One node, without MPI."""

    rank, size = 0, 1

    def __init__(self) -> None:
        """Take the name of this machine."""
        self.name = socket.gethostname()

    def gather(self, value: T) -> list[T]:
        """Return the value of the only node."""
        return [value]

    def open(self, path: Path) -> Source:
        """Open a file."""
        return _File(path)

    def exchange(self, buffer: memoryview, counts: Sequence[int]) -> Callable[[], None]:
        """Do nothing: the only node has read everything."""
        return lambda: None


class _File:
    """A file read by one node."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = path.open("rb", buffering=0)

    def read(self, offset: int, into: memoryview) -> None:
        while into:
            count = os.preadv(self._stream.fileno(), [into], offset)
            if not count:
                raise shortened(self._path)
            into, offset = into[count:], offset + count

    def close(self) -> None:
        self._stream.close()


def shortened(path: Path) -> StageError:
    """Return the error for a source that ends before its size is reached."""
    return StageError(f"{path} became shorter while it was staged: stage it again")


def agreed(nodes: Nodes, step: Callable[[], T]) -> T:
    """Do a step on every node and return this node's result.

    Raises:
        StageError: on every node, if the step failed on any; NoSpace if for lack of space.
    """
    result, failure = _attempt(nodes, step)
    _check(nodes.gather(failure))
    return cast(T, result)


def shared(nodes: Nodes, step: Callable[[], T]) -> list[T]:
    """Do a step on every node and return the results of all, in order of rank.

    Raises:
        StageError: as `agreed`.
    """
    outcomes = nodes.gather(_attempt(nodes, step))
    _check([failure for _, failure in outcomes])
    return [cast(T, result) for result, _ in outcomes]


def from_first(nodes: Nodes, step: Callable[[], T]) -> T:
    """Do a step on the first node only, and return its result on all."""
    return cast(T, shared(nodes, lambda: step() if nodes.rank == 0 else None)[0])


def _attempt(nodes: Nodes, step: Callable[[], T]) -> tuple[T | None, Failure | None]:
    try:
        return step(), None
    except EXPECTED as error:
        return None, Failure(_sentence(error, nodes), isinstance(error, NoSpace))


def _sentence(error: BaseException, nodes: Nodes) -> str:
    """Return what went wrong, and on which node unless it is the user's mistake."""
    text = command.sentence(error) if isinstance(error, OSError) else str(error)
    return text if isinstance(error, InputError) else f"node {nodes.name}: {text}"


def _check(failures: Sequence[Failure | None]) -> None:
    """Raise the most informative failure: lack of space, then that of the lowest rank."""
    found = sorted((f for f in failures if f), key=lambda failure: not failure.full)
    if found:
        raise (NoSpace if found[0].full else StageError)(found[0].text)


def started_by_mpi(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a launcher of MPI programs has started this process."""
    by_slurm = "SLURM_PROCID" in environ and int(environ.get("SLURM_NTASKS", "1")) > 1
    return by_slurm or any(name in environ for name in RANK_VARIABLES)
