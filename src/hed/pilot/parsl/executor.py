"""Parsl's executor as the pilot sees it: blocks, the worker pools of their nodes, and runs.

Parsl's scaling strategy and error handling are not used: `hed.pilot.blocks` decides.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from parsl.executors import HighThroughputExecutor
from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
from parsl.jobs.states import JobState, JobStatus
from parsl.providers.errors import ScriptPathError
from parsl.utils import Timer

__all__ = ["Block", "Ended", "Executor", "Lost", "Pool", "Timer", "Unwritable"]

# Errors of a run that lost its worker or worker pool, and of all runs once they have been ended.
Lost = (ManagerLost, WorkerLost)
Ended = BadStateException
# Errors of a block's script that could not be written, or of a process that could not be started.
Unwritable = (OSError, ScriptPathError)
# An `unused` block has ended before a worker started.
State = Literal["waiting", "running", "ended", "unused"]
# What Parsl says of an unused block if the scheduler does not say more.
UNSAID = "Job is marked as MISSING"

T = TypeVar("T")


@dataclass(frozen=True)
class Block:
    """A block that was requested.

    Attributes:
        id: its number.
        job: the scheduler's id.
        state: waiting, running, ended or unused.
    """

    id: str
    job: str
    state: State

    @property
    def is_live(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("waiting", "running")

    def __str__(self) -> str:
        """Return what a person calls it."""
        return f"block {self.id} (job {self.job})"


@dataclass(frozen=True)
class Pool:
    """The connected workers of one node.

    Attributes:
        id: Parsl's.
        block: that the node belongs to.
        tasks: runs that it has.
        workers: runs that it can have.
        is_active: whether it still takes runs: it has not been put on hold.
        is_draining: whether it takes none because its block is about to end.
    """

    id: str
    block: str
    tasks: int
    workers: int
    is_active: bool
    is_draining: bool

    @property
    def place(self) -> tuple[str, str]:
        """Block and node; its keeper has named it after the node."""
        return self.block, self.id.rpartition("-")[0]


class Executor(HighThroughputExecutor):  # type: ignore[misc]
    """The blocks of one site."""

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        self._refusal: Exception | None = None

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two polls of the blocks: at most two heartbeats."""
        return min(int(super().status_polling_interval), 2 * int(self.heartbeat_period))

    @property
    def heartbeat(self) -> float:
        """Seconds between two heartbeats of a worker pool."""
        return float(self.heartbeat_period)

    @property
    def heartbeat_limit(self) -> float:
        """Seconds without a heartbeat after which a worker pool is lost."""
        return float(self.heartbeat_threshold)

    @property
    def nodes(self) -> int:
        """How many nodes a block has."""
        return int(self.provider.nodes_per_block)

    @property
    def tiles(self) -> int:
        """How many runs a node has at once."""
        return int(self.workers_per_node)

    def look(self) -> None:
        """Ask the scheduler for the state of the blocks, unless it was asked a moment ago."""
        self.poll_facade()

    def blocks(self) -> dict[str, Block]:
        """Return all blocks of this executor that a scheduler accepted, by number, oldest first."""
        known = self._status
        return {
            block: Block(block, job, _state(known[block]))
            for block, job in list(self.blocks_to_job_id.items())
            if block in known
        }

    def last_words(self, block: Block) -> str:
        """Return what the scheduler says of a block's end, or the last line of its errors.

        Reads a file on the shared file system.
        """
        status = self._status[block.id]
        if not (status.message or UNSAID).startswith(UNSAID):
            return str(status.message)
        try:
            # Not Parsl's summary, which fails if a byte is not UTF-8.
            said = Path(status.stderr_path or "").read_text(errors="replace")
        except OSError:
            return ""
        return "".join(said.strip().splitlines()[-1:])

    def logs(self, block: Block) -> Path | None:
        """Return the directory of a block's script and its output, None if unknown."""
        path = self._status[block.id].stderr_path
        return Path(path).parent if path else None

    def pools(self) -> list[Pool]:
        """Return the worker pools that are connected."""
        return [_pool(told) for told in self.connected_managers()]

    def unfinished(self) -> int:
        """Return how many runs have a tile or wait for one."""
        return int(self.outstanding())

    def launched(self, block: Block) -> float | None:
        """Return when a block began to start its worker pools, in seconds since 1970, if it has."""
        found: float | None = self.provider.launched(block.job)
        return found

    def comment(self, block: Block) -> str:
        """Return the scheduler's comment on a waiting block, empty if there is none."""
        return str(self.provider.comment(block.job))

    def ask(self) -> Block:
        """Request a block; return it.

        Raises:
            Exception: if the scheduler refuses it; see `refusals.Refused`.
        """
        self._refusal = None
        opened = self.scale_out_facade(1)
        if self._refusal is not None:
            raise self._refusal
        return self.blocks()[opened[0]]

    def _launch_block(self, block_id: str) -> Any:
        try:
            return super()._launch_block(block_id)
        except Exception as error:
            self._refusal = error
            raise

    def give_back(self, block: Block) -> bool:
        """Release a block, busy or not; return whether the scheduler accepted that."""
        given = all(self.provider.cancel([block.job]))
        if given:
            # The scheduler takes some seconds to show this, and is polled only now and then.
            status = JobStatus(JobState.SCALED_IN)
            self._status[block.id] = self._simulated_status[block.id] = status
        return given

    def give_all_back(self) -> None:
        """Release every block, busy or not."""
        if live := sum(block.is_live for block in self.blocks().values()):
            self.scale_in_facade(live)

    def hold(self, pool: Pool) -> None:
        """Give no further run to a worker pool."""
        self._hold_manager(pool.id)

    def run(self, function: Callable[..., T], *arguments: Any, urgent: bool) -> Future[T]:
        """Execute a function on the next free tile, before others if it is urgent."""
        future: Future[T] = self.submit(function, {"priority": 0} if urgent else {}, *arguments)
        return future

    def end_all(self, why: Exception) -> None:
        """End all runs, with `Ended`, and accept no more."""
        self.set_bad_state_and_fail_all(why)

    @property
    def why_ended(self) -> Exception | None:
        """Why all runs were ended, None if they were not."""
        why: Exception | None = self.executor_exception if self.bad_state_is_set else None
        return why

    @property
    def is_dead(self) -> bool:
        """Whether the process through which Parsl talks to its workers is gone."""
        return self.interchange_proc.poll() is not None


def _state(status: JobStatus) -> State:
    if status.state == JobState.MISSING:
        return "unused"
    if status.terminal:
        return "ended"
    return "running" if status.state == JobState.RUNNING else "waiting"


def _pool(told: dict[str, Any]) -> Pool:
    """Return Parsl's description of a worker pool as a `Pool`."""
    return Pool(
        id=str(told["manager"]),
        block=str(told["block_id"]),
        tasks=int(told["tasks"]),
        workers=int(told["worker_count"]),
        is_active=bool(told["active"]),
        is_draining=bool(told["draining"]),
    )
