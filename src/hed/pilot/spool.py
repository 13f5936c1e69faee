"""The spool directory: how Snakemake's commands, the pilot and the tiles know of each other.

pid             process id of the sidecar and when it started
new/ID          a run that was submitted: the path of its script
queue/ID        the same, once the dispatcher has taken it
begun/ID        when it last began on a tile, in seconds since 1970
lost/ID         the seconds that each attempt had run whose tile was lost, a line each
cancel/ID       a run that shall end
state/ID        how it ended: success or failed
out/ID.txt      what it printed
blocks/JOB      a block that must be given back
tiles/NODE.txt  one JSON object per run that ended on that node: which tile, from when to when
parsl/          Parsl's own logs and keys
"""

import json
import math
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hed import files

NAME = ".pilot"
State = Literal["success", "failed"]
# What an attempt comes to: one that is lost leaves the job to another.
End = State | Literal["cancelled", "lost"]
PARTS = ("new", "queue", "begun", "lost", "cancel", "state", "out", "blocks", "tiles", "parsl")


@dataclass(frozen=True)
class Spool:
    """A spool directory, readable by its owner only."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Spool":
        """Return the spool in `directory`, which is made if need be."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for name in PARTS:
            (directory / name).mkdir(exist_ok=True)
        return cls(directory)

    def take(self) -> list[tuple[str, str]]:
        """Return id and script of what was submitted since the last call, oldest first."""
        return [taken for entry in self._submitted() if (taken := self._take(entry))]

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
        """Return id and script of what was taken and has not ended, in order of submission."""
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
        """Record how a job ended, unless that is recorded already; return what is recorded."""
        recorded = self.state(job)
        if recorded is None:
            files.write_text(self._state(job), f"{state}\n")
        for part in ("queue", "begun", "cancel"):
            (self.directory / part / job).unlink(missing_ok=True)
        return recorded or state

    def finish(self, job: str, attempt: int, end: End) -> End:
        """Record how an attempt ended, unless the job is another's by now; return what counts.

        Args:
            job: its id.
            attempt: how many others had lost their tile before.
            end: what it came to. One that is lost is not recorded, or the job would have ended.
        """
        if end == "lost" and self.is_cancelled(job):
            end = "cancelled"
        if end == "lost" or self.is_lost(job, attempt):
            return "lost"
        self.settle(job, "success" if end == "success" else "failed")
        return end

    def begin(self, job: str) -> None:
        """Record that a job begins on a tile now."""
        files.write_text(self.directory / "begun" / job, f"{time.time():.0f}\n")

    def begun(self) -> list[str]:
        """Return the ids of the jobs that have begun on a tile and not ended."""
        return sorted(path.name for path in (self.directory / "begun").glob("[!.]*"))

    def lose(self, job: str) -> list[float]:
        """Record that a job has lost its tile, where its guard then ends it; return its losses."""
        begun = self.directory / "begun" / job
        try:
            seconds = time.time() - float(begun.read_text())
        except FileNotFoundError:
            seconds = math.inf
        losses = [*self.losses(job), seconds]
        files.write_text(self.directory / "lost" / job, "".join(f"{s:.0f}\n" for s in losses))
        begun.unlink(missing_ok=True)
        return losses

    def losses(self, job: str) -> list[float]:
        """Return the seconds that each attempt had run whose tile was lost; inf if it had not."""
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
        """Return the ids that were submitted and have not ended."""
        names = (os.listdir(self.directory / part) for part in ("new", "queue"))
        return sorted(name for part in names for name in part)

    def fail_unfinished(self) -> None:
        """Record that whatever was submitted and has not ended has failed."""
        for job in self.unfinished():
            self.settle(job, "failed")
            (self.directory / "new" / job).unlink(missing_ok=True)

    def is_cancelled(self, job: str) -> bool:
        """Return whether a job shall end."""
        return (self.directory / "cancel" / job).exists()

    def add_block(self, job: str, how: Mapping[str, str]) -> None:
        """Record a block before anything can go wrong with it, and how it is given back."""
        files.write_text(self.directory / "blocks" / job, json.dumps(dict(how)))

    def remove_block(self, job: str) -> None:
        """Forget a block that was given back."""
        (self.directory / "blocks" / job).unlink(missing_ok=True)

    def blocks(self) -> dict[str, dict[str, str]]:
        """Return the blocks that have not been given back, and how they are."""
        found = sorted((self.directory / "blocks").glob("[!.]*"))
        return {path.name: json.loads(path.read_text()) for path in found}

    def record_tile(self, node: str, record: Mapping[str, Any]) -> None:
        """Append what a tile of this node did; lines of several processes do not mix."""
        line = f"{json.dumps(dict(record))}\n".encode()
        path = self.directory / "tiles" / f"{node}.txt"
        with suppress(OSError), path.open("ab", buffering=0) as stream:
            stream.write(line)

    def tiles(self) -> list[dict[str, Any]]:
        """Return what the tiles did, in order of the start."""
        paths = (self.directory / "tiles").glob("*.txt")
        records = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
        return sorted(records, key=lambda record: float(record["start"]))


def _submission(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Return what orders a submitted job: when it was, and the process id that ends its name.

    ASSUME: of two jobs within one tick of the kernel's clock (4 ms) the later has the larger id.
    """
    process = entry.name.rpartition("-")[2]
    return entry.stat().st_mtime_ns, int(process) if process.isdigit() else 0
