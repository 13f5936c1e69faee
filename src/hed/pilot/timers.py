"""All of the pilot's polling intervals, timeouts and limits.

`make docs` puts the table into docs/developing.md.
"""

from dataclasses import dataclass, field, fields
from typing import Any


def _of(value: float, who: str, meaning: str) -> Any:
    return field(default=value, metadata={"who": who, "meaning": meaning})


@dataclass(frozen=True)
class Timers:
    """Seconds, unless the meaning says otherwise."""

    # The command on the login node.
    sidecar_look: float = _of(0.5, "sidecar", "between two looks at Snakemake and the dispatcher")
    blocks_return: float = _of(
        300, "sidecar", "a start waits for the blocks of one that has ended, then is refused"
    )
    dispatcher_end: float = _of(60, "sidecar", "for the dispatcher to end before it is killed")
    quick_dispatchers: int = _of(
        3, "sidecar", "(count) dispatchers that die quickly, in a row: the command ends"
    )
    quick_dispatcher: float = _of(30, "sidecar", "within which such a dispatcher dies")
    record_wait: float = _of(120, "dispatcher", "for Snakemake to write the experiment's record")
    job_look: float = _of(0.2, "dispatcher", "between two looks for submitted jobs")
    block_look: float = _of(1.0, "dispatcher", "between two decisions about blocks")
    sign_of_life: float = _of(30, "dispatcher", "between two signs of life in the spool")
    lost_tiles: int = _of(20, "dispatcher", "(count) tiles that a run loses: it has failed")
    quick_losses: int = _of(3, "dispatcher", "(count) quick ones in a row: it has failed")
    quick_loss: float = _of(
        60,
        "dispatcher",
        "within which a quick one is lost, beside the time to notice a silent node",
    )
    scheduler_answer: float = _of(120, "dispatcher", "for qsub, qstat, qdel and Slurm's to answer")

    # Blocks.
    longest_retry: float = _of(
        300, "dispatcher", "at most until a refused block is requested again; first a heartbeat"
    )
    useless_blocks: int = _of(
        3, "dispatcher", "(count) blocks in a row rejected, or without a run: the command ends"
    )
    first_reminder: float = _of(600, "dispatcher", "until it says why a block waits; then doubled")
    longest_reminder: float = _of(3600, "dispatcher", "at most between two such reminders")
    node_arrival: float = _of(
        300, "dispatcher", "after its first worker pool, a block's other nodes count as coming"
    )
    idle_block: float = _of(60, "dispatcher", "without a waiting run: an idle block is released")
    copying_block: float = _of(
        1200, "dispatcher", "a block may run before its pools are launched: two copies"
    )
    silent_block: float = _of(240, "dispatcher", "after that, without a pool: it is released")
    silent_node: float = _of(2, "dispatcher", "more than that for each node of the block")
    quick_block: float = _of(
        1800, "dispatcher", "within which a block loses all its nodes: as if it never had a run"
    )
    copy: int = _of(540, "block", "for each copy to the nodes (data, software); then without it")
    copy_kill: int = _of(30, "block", "for a copy to end before it is killed")
    clear_up: int = _of(4, "block", "for the keepers to clear up when the block is told to end")

    # Nodes and tiles.
    heartbeat: int = _of(15, "Parsl", "between two signs of life of a node (HED_PILOT_PERIOD)")
    missed_heartbeats: int = _of(6, "Parsl", "(count) of them missed: the node is lost")
    keeper_look: float = _of(1.0, "keeper", "between two looks at the workers of a pool")
    quick_pools: int = _of(
        3, "keeper", "(count) pools that die quickly, in a row: the node is left"
    )
    # Parsl's workers try for 30 s to reach the dispatcher.
    quick_pool: float = _of(120, "keeper", "within which such a pool dies")
    idle_look: float = _of(60, "keeper", "between two looks of an idle node for a dispatcher")
    idle_looks: int = _of(15, "keeper", "(count) in a row that see none: the node ends")
    worker_deaths: int = _of(3, "keeper", "(count) deaths of each worker without a run: likewise")
    guard_grace: float = _of(5, "keeper", "for the guards to end their runs and say so")
    wrapper_answer: float = _of(120, "keeper", "for `tile true` to end, when a node is checked")
    first_tile_wait: float = _of(
        10, "worker", "a tile waits after a run that failed quickly; doubled"
    )
    longest_tile_wait: float = _of(300, "worker", "at most so long")
    quick_failure: float = _of(
        120, "guard", "within which a failure is soon: the node is checked, the tile waits"
    )
    fault_doubt: float = _of(
        30, "guard", "between the two checks of a node that fail before it is left alone"
    )
    repeat_signal: float = _of(1, "steward", "between two signals to a guard that has to end")
    guard_look: float = _of(10, "guard", "between two looks whether the run must end")
    end_doubt: float = _of(2, "guard", "before a failure is believed: the block may be ending")
    kill_grace: float = _of(5, "all", "for killed processes to be gone")
    kill_rounds: int = _of(12, "all", "(count) times that, after which those left are given up")


TIMERS = Timers()


def table() -> list[str]:
    """Return the lines of a Markdown table of all timers."""
    rows = [
        f"| {each.metadata['who']} | `{each.name}` | {each.default:,g} "
        f"| {each.metadata['meaning']} |"
        for each in fields(Timers)
    ]
    return ["| who | name | value | seconds |", "|---|---|---|---|", *rows]


@dataclass
class QuickDeaths:
    """Deaths in a row of something that is restarted, each within some seconds of its start.

    Attributes:
        most: deaths after which to give up.
        within: seconds.
    """

    most: int
    within: float
    count: int = 0

    def add(self, seconds: float) -> bool:
        """Count a death; return whether there were too many.

        Args:
            seconds: since its start.
        """
        self.count = self.count + 1 if seconds < self.within else 0
        return self.count >= self.most
