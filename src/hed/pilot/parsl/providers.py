"""Parsl's providers of PBS, Slurm and this machine, with what each has of its own."""

import json
import os
import re
import time
from collections.abc import Sequence
from typing import Any

from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider, PBSProProvider, SlurmProvider
from parsl.providers.slurm.slurm import squeue_translate_table

from hed.pilot import processes
from hed.pilot.parsl.recorded import Recorded
from hed.pilot.refusals import AWAY
from hed.pilot.release import FORGOTTEN, INVALID
from hed.pilot.timers import TIMERS

# How qsub answers, among whatever a site's own wrapper prints.
PBS_JOB = re.compile(r"[0-9]+(\[\])?\.\S+")
NEVER = "Can Never Run"
# States of squeue that Parsl does not know, or takes as running (CG: Slurm ends what is left of the
# job and waits for its nodes, for minutes if one of them is lost).
ENDED = {
    "CG": JobState.COMPLETED,
    "BF": JobState.FAILED,
    "OOM": JobState.FAILED,
    "DL": JobState.TIMEOUT,
    "PR": JobState.TIMEOUT,
}


class Pbs(Recorded, PBSProProvider):  # type: ignore[misc]
    """Blocks from PBS."""

    command, answer = "qdel", "{}\n"

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        self._hopeless: dict[str, str] = {}
        self._comments: dict[str, str] = {}
        # Blocks of which qstat said nothing the last time.
        self._silent: set[str] = set()

    def job_of(self, answer: str) -> str:
        """Return the last word that may be a job's id."""
        found = [word for word in answer.split() if PBS_JOB.fullmatch(word)]
        return found[-1] if found else answer

    def _status(self) -> None:
        before = {
            job: known["status"] for job, known in self.resources.items() if "status" in known
        }
        ended = {job for job, known in self.resources.items() if _is_over(known)}
        super()._status()
        for job in ended | self._silent & before.keys():
            self.resources[job]["status"] = before[job]
        for job, comment in self._hopeless.items():
            if not self.resources[job]["status"].terminal and all(self.cancel([job])):
                self.resources[job]["status"] = JobStatus(JobState.FAILED, comment)

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """Execute a command; from qstat's answer, take what Parsl ignores."""
        if not cmd.startswith("qstat"):
            return super().execute_wait(cmd, timeout)
        status, jobs, err = self._ask_for_each(cmd, timeout)
        if status == 0:
            told = {
                known: job
                for known in self.resources
                for name, job in jobs.items()
                if known.startswith(name)
            }
            self._hopeless = {name: why for name, job in told.items() if (why := hopeless(job))}
            self._comments = {name: str(job.get("comment", "")) for name, job in told.items()}
        return status, json.dumps({"Jobs": jobs} if jobs else {}), err

    def _ask_for_each(
        self, cmd: str, timeout: int | None
    ) -> tuple[int, dict[str, dict[str, Any]], str]:
        """Ask qstat about one block after the other; return its status, the jobs, and its errors.

        Given several ids, OpenPBS (qstat.c of 23.06) prints as JSON only the first that it knows,
        and Parsl would assume that the other blocks have ended.
        """
        jobs: dict[str, dict[str, Any]] = {}
        options, _, names = cmd.partition(" json ")
        self._silent, failed = set(), (0, "")
        for job in names.split():
            if _is_over(self.resources.get(job, {})):
                continue
            status, out, err = super().execute_wait(f"{options} json {job}", timeout)
            try:
                jobs |= json.loads(out).get("Jobs", {}) if status == 0 else {}
            except ValueError:
                status, err = 1, "qstat answers no JSON"
            if status and status not in FORGOTTEN:  # a server without job history forgets jobs
                self._silent.add(job)
                failed = status, err
            if status in AWAY:  # nor would it answer about the others
                break
        self.remind(*failed)
        return (failed[0] if failed[0] in AWAY else 0), jobs, failed[1]

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the queue."""
        return 30

    def comment(self, job: str) -> str:
        """Return PBS's comment on a waiting block."""
        return self._comments.get(job, "")


class Slurm(Recorded, SlurmProvider):  # type: ignore[misc]
    """Blocks from Slurm."""

    command, answer = "scancel", "Submitted batch job {}\n"
    _translate_table: dict[str, JobState]

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        # Not sacct, which Parsl prefers: its database lags behind, and has not heard of a new job.
        self._cmd = "squeue --noheader --format='%i %t' --job '{0}'"
        self._translate_table = {**squeue_translate_table, **ENDED}

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """Execute a command; a job that Slurm has forgotten has ended."""
        status, out, err = super().execute_wait(cmd, timeout)
        if not cmd.startswith("squeue"):
            return status, out, err
        # With several clusters it names each in a line of its own.
        known = (line for line in out.splitlines() if line.partition(" ")[0] in self.resources)
        status = 0 if INVALID in err else status  # it has forgotten a job that has ended
        self.remind(status, err)
        return status, "\n".join(known), err

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the queue."""
        return 30


class Local(Recorded, LocalProvider):  # type: ignore[misc]
    """The local nodes: this machine, or the allocation that this process is in."""

    command = ""

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        self._groups: dict[str, int] = {}

    def _how(self, job: str) -> dict[str, str]:
        group = os.getpgid(int(job))
        self._groups[job] = group
        return {"process": job, "group": str(group), "born": processes.born(int(job))}

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """End blocks, and wait while they clear up: the allocation may end right after this."""
        given = super().cancel(job_ids)
        groups = [self._groups[job] for job in job_ids if job in self._groups]
        end = time.monotonic() + TIMERS.clear_up + 2
        while any(map(processes.has_group, groups)) and time.monotonic() < end:
            time.sleep(0.1)
        return given

    def status(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Return the state of each block; kill what is left of one that has ended."""
        found = super().status(job_ids)
        for job, status in zip(job_ids, found, strict=True):
            if status.terminal and job in self._groups:
                processes.kill_group(self._groups.pop(job))
        return found

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the processes."""
        return 2


def _is_over(known: dict[str, Any]) -> bool:
    """Return whether a block is known to have ended."""
    return "status" in known and bool(known["status"].terminal)


def hopeless(job: dict[str, Any]) -> str:
    """Return why PBS will never start a job, empty if it may."""
    comment = str(job.get("comment", ""))
    if job.get("job_state") == "H" and "s" in str(job.get("Hold_Types", "")):
        return f"PBS holds it: {comment or 'no reason given'}"
    return comment if NEVER in comment and job.get("job_state") in ("H", "Q") else ""
