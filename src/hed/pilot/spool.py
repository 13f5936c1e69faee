"""The spool directory: how Snakemake's commands, the pilot and the tiles know of each other.

pid             process id of the sidecar and when it started
new/ID          a run that was submitted: the path of its script
queue/ID        the same, once the dispatcher has taken it
cancel/ID       a run that shall end
state/ID        how it ended: success or failed
out/ID.txt      what it printed
blocks/JOB      a block that must be given back
tiles/NODE.txt  one JSON object per run that ended on that node: which tile, from when to when
parsl/          Parsl's own logs and keys
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hed import files

NAME = ".pilot"
State = Literal["success", "failed"]


@dataclass(frozen=True)
class Spool:
    """A spool directory, readable by its owner only."""

    directory: Path

    @classmethod
    def make(cls, directory: Path) -> "Spool":
        """Return the spool in `directory`, which is made if need be."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        for name in ("new", "queue", "cancel", "state", "out", "blocks", "tiles", "parsl"):
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
        (self.directory / "queue" / job).unlink(missing_ok=True)
        (self.directory / "cancel" / job).unlink(missing_ok=True)
        return recorded or state

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
