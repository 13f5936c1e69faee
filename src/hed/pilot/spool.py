"""The spool directory, through which Snakemake's commands, the pilot and the tiles communicate.

ended           Snakemake has been told that its sidecar died
served          touched now and then by the dispatcher, as a sign of life
pid             process id of the sidecar, when it started, process id of its Snakemake
new/ID          a submitted run: the path of its script
queue/ID        the same, once the dispatcher has taken it
begun/ID        when it last started on a tile, in seconds since 1970, and in which block
lost/ID         the seconds that each attempt had run when it lost its tile, a line each
cancel/ID       a run that is to end
state/ID        how it ended: success or failed
out/ID.txt      what it printed
blocks/JOB      a block that must be released
nodes/BLOCK.NODE  why no run starts on that node of a block
tiles/NODE.txt  one JSON object per run that ended on that node: which tile, from when to when
node.json       the configuration of a node's tiles
parsl/          Parsl's own logs and keys
"""

import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from hed import files
from hed.experiment import usage
from hed.pilot import processes
from hed.pilot.tile import Tiles

NAME, NODE, SERVED = usage.PILOT, "node.json", "served"
State = Literal["success", "failed"]
# How an attempt ends: one that is lost, or ended for its silence, leaves the job to another.
End = State | Literal["cancelled", "lost", "silent"]
LEFT = ("lost", "silent")
PARTS = ("new", "queue", "begun", "lost", "cancel", "state", "out", "blocks", "nodes")
LOGS = (usage.TILES, "parsl")


@dataclass(frozen=True)
class Spool:
    """A spool directory, readable only by its owner."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Spool":
        """Return the spool in `directory`, which is created if need be."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for name in (*PARTS, *LOGS):
            (directory / name).mkdir(exist_ok=True)
        return cls(directory)

    def tell_sidecar(self, process: int, snakemake: int) -> None:
        """Record which sidecar serves the spool, and for which Snakemake, once both are running."""
        (self.directory / "ended").unlink(missing_ok=True)
        born = processes.born(process)
        files.write_text(self.directory / "pid", f"{process} {born} {snakemake}\n")

    def orphaned_snakemake(self) -> int | None:
        """Return the process id of a Snakemake whose sidecar has died, once; otherwise None."""
        process, born, snakemake = (self.directory / "pid").read_text().split()
        if processes.born(int(process)) == born:
            return None
        try:
            (self.directory / "ended").touch(exist_ok=False)
        except FileExistsError:
            return None
        return int(snakemake)

    def take(self) -> Iterator[tuple[str, str]]:
        """Take the submitted jobs, one after the other: id and script, oldest first."""
        for entry in self._submitted():
            if taken := self._take(entry):
                yield taken

    def _submitted(self) -> list[os.DirEntry[str]]:
        with os.scandir(self.directory / "new") as entries:
            return sorted(entries, key=_submission)

    def _take(self, entry: os.DirEntry[str]) -> tuple[str, str] | None:
        script = Path(entry.path).read_text()
        if not script.endswith("\n"):
            return None  # it is being written
        os.replace(entry.path, self.directory / "queue" / entry.name)
        return entry.name, script.rstrip("\n")

    def queued(self) -> list[tuple[str, str]]:
        """Return id and script of the taken jobs that have not ended, in order of submission."""
        found = []
        with os.scandir(self.directory / "queue") as entries:
            for entry in entries:
                with suppress(FileNotFoundError):  # it has ended meanwhile
                    script = Path(entry.path).read_text().rstrip("\n")
                    found.append((_submission(entry), entry.name, script))
        return [(job, script) for _, job, script in sorted(found)]

    def state(self, job: str) -> State | None:
        """Return how a job ended, None if it has not."""
        try:
            return "success" if self._state(job).read_text() == "success\n" else "failed"
        except FileNotFoundError:
            return None

    def settle(self, job: str, state: State) -> State:
        """Record how a job ended, unless it is recorded already; return what is recorded."""
        recorded = self.state(job)
        if recorded is None:
            files.write_text(self._state(job), f"{state}\n")
        for part in ("queue", "begun", "cancel"):
            (self.directory / part / job).unlink(missing_ok=True)
        return recorded or state

    def finish(self, job: str, attempt: int, end: End) -> End:
        """Record how an attempt ended, unless another has the job by now; return what counts.

        Args:
            job: its id.
            attempt: how many earlier ones have lost their tile.
            end: how it ended. One that leaves the job to another is not recorded, or the job would
                have ended.
        """
        if end in LEFT and self.is_cancelled(job):
            end = "cancelled"
        if end in LEFT:
            return end
        if self.is_lost(job, attempt):
            return "lost"
        self.settle(job, "success" if end == "success" else "failed")
        return end

    def begin(self, job: str, block: str) -> None:
        """Record that a job starts on a tile of a block now."""
        files.write_text(self.directory / "begun" / job, f"{time.time():.0f} {block}\n")

    def begun(self) -> list[str]:
        """Return the ids of the jobs that have started on a tile and not ended."""
        return sorted(path.name for path in (self.directory / "begun").glob("[!.]*"))

    def begun_in(self, block: str) -> list[str]:
        """Return the ids of the jobs that have started on a tile of a block and not ended."""
        return [job for job in self.begun() if self._begun(job)[1] == block]

    def _begun(self, job: str) -> tuple[float, str]:
        """Return the seconds since a job started, infinite if it has not, and its block."""
        try:
            start, _, block = (self.directory / "begun" / job).read_text().partition(" ")
        except FileNotFoundError:
            return math.inf, ""
        return time.time() - float(start), block.strip()

    def lose(self, job: str) -> list[float]:
        """Record that a job has lost its tile, so that its guard ends it; return its losses."""
        losses = [*self.losses(job), self._begun(job)[0]]
        files.write_text(self.directory / "lost" / job, "".join(f"{s:.0f}\n" for s in losses))
        (self.directory / "begun" / job).unlink(missing_ok=True)
        return losses

    def losses(self, job: str) -> list[float]:
        """Return how long each lost attempt had run, in seconds; inf if it had not started."""
        try:
            return [float(line) for line in (self.directory / "lost" / job).read_text().split()]
        except FileNotFoundError:
            return []

    def is_lost(self, job: str, attempt: int) -> bool:
        """Return whether an attempt has been given up."""
        return len(self.losses(job)) > attempt

    def _state(self, job: str) -> Path:
        return self.directory / "state" / job

    def unfinished(self) -> list[str]:
        """Return the ids of the submitted jobs that have not ended."""
        names = (os.listdir(self.directory / part) for part in ("new", "queue"))
        return sorted(name for part in names for name in part)

    def fail_unfinished(self) -> None:
        """Record that every submitted job that has not ended has failed."""
        for job in self.unfinished():
            self.settle(job, "failed")
            (self.directory / "new" / job).unlink(missing_ok=True)

    def is_cancelled(self, job: str) -> bool:
        """Return whether a job is to end."""
        return (self.directory / "cancel" / job).exists()

    def add_block(self, job: str, how: Mapping[str, str]) -> None:
        """Record a block, and how to release it, before anything can go wrong with it."""
        files.write_text(self.directory / "blocks" / job, json.dumps(dict(how)))

    def remove_block(self, job: str) -> None:
        """Forget a block that was released."""
        (self.directory / "blocks" / job).unlink(missing_ok=True)

    def blocks(self) -> dict[str, dict[str, str]]:
        """Return the blocks that have not been released, and how to release each."""
        found = sorted((self.directory / "blocks").glob("[!.]*"))
        return {path.name: json.loads(path.read_text()) for path in found}

    def sign(self) -> None:
        """Give a sign of life to the nodes, whose clocks may differ from this one's."""
        (self.directory / SERVED).touch()

    def signed(self) -> float:
        """Return when the last sign of life was given, in some clock; nan if it cannot be seen."""
        try:
            return (self.directory / SERVED).stat().st_mtime
        except OSError:
            return math.nan

    def tell_nodes(self, tiles: Tiles) -> None:
        """Write the configuration that every node of a block reads."""
        files.write_text(self.directory / NODE, json.dumps(asdict(tiles)))

    def node(self) -> Tiles:
        """Return the configuration of a node of a block."""
        told: dict[str, Any] = files.read_json(self.directory / NODE)
        lists = {name: tuple(told[name]) for name in ("masks", "cores")}
        return Tiles(**{**told, **lists})

    def report_node(self, block: str, node: str, why: str) -> None:
        """Record why no run starts on a node of a block."""
        files.write_text(self.directory / "nodes" / f"{block}.{node}", f"{why}\n")

    def reported_nodes(self) -> dict[tuple[str, str], str]:
        """Return the nodes on which no run starts, as block and node, and why."""
        paths = sorted((self.directory / "nodes").glob("[!.]*"))
        parts = ((path.name.partition("."), path) for path in paths)
        # A launcher or a broken environment may print anything.
        return {
            (block, node): path.read_text(errors="replace").strip()
            for (block, _, node), path in parts
        }

    def forget_nodes(self) -> None:
        """Forget the nodes of blocks that are gone."""
        for path in (self.directory / "nodes").iterdir():
            path.unlink(missing_ok=True)

    @property
    def digest(self) -> str:
        """A short name that is unique to this spool."""
        return hashlib.blake2b(str(self.directory.resolve()).encode(), digest_size=4).hexdigest()

    def record_tile(self, node: str, record: usage.Record) -> None:
        """Append what a tile of this node did."""
        usage.append(self.directory, node, record)

    def tiles(self) -> list[dict[str, Any]]:
        """Return what the tiles did, in order of the start."""
        return usage.read(self.directory)


def _submission(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Return what submitted jobs are sorted by: time, and the process id at the end of the name.

    ASSUME: of two jobs within one tick of the kernel's clock (4 ms) the later has the larger id.
    """
    process = entry.name.rpartition("-")[2]
    return entry.stat().st_mtime_ns, int(process) if process.isdigit() else 0
