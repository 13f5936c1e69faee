"""Parsl's providers, extended so that no block is forgotten and every refusal is explained."""

import json
import logging
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider, PBSProProvider, SlurmProvider
from parsl.providers.slurm.slurm import squeue_translate_table

from hed.pilot import processes, release
from hed.pilot.parsl.launcher import LAUNCHED
from hed.pilot.refusals import AWAY, SILENT, Refused
from hed.pilot.release import FORGOTTEN, INVALID
from hed.pilot.reminder import Reminder
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS

# What sbatch says when the controller may have taken the job.
TIMED_OUT = "timed out"
SUBMIT = ("qsub", "sbatch")
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

log = logging.getLogger("hed.pilot")


class _Recorded:
    """What every provider adds to Parsl's: it records its blocks in the spool."""

    # The spool, the file that lists the experiment's jobs, the command that releases one, what a
    # submission answers, and the name of the block that was requested last.
    spool: Spool
    jobs: Path
    command: str
    answer: str
    cmd_timeout: int
    _asked: str
    _unknown: Reminder | None = None

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """Execute a scheduler command; a refused submission raises an error.

        Not by Parsl, which fails if one byte of the answer is not UTF-8.
        """
        if cmd.split()[0] in SUBMIT:
            return self._ask(cmd)
        return _run(cmd, timeout or self.cmd_timeout)

    def remind(self, status: int, text: str) -> None:
        """Say at growing intervals that the scheduler does not tell the states of all blocks.

        Args:
            status: exit status of the command that was to tell them.
            text: that it printed.
        """
        if not status:
            self._unknown = None
            return
        now = time.monotonic()
        # An answer that fails once may come the next time.
        self._unknown = self._unknown or Reminder("", now, TIMERS.first_reminder / 4)
        if self._unknown.is_due(now):
            why = " ".join(text.split()) or f"exit status {status}"
            log.warning("the scheduler does not say how the blocks are: %s", why)

    def _ask(self, cmd: str) -> tuple[int, str, str]:
        """Request a block; if there is no answer, check whether it was submitted all the same.

        Its name is in the spool until its id is, so that the pilot finds it at its end, too.
        """
        self._asked = Path(cmd.split()[-1]).name
        self._settle_doubts(cmd)
        self.spool.add_block(self._asked, {"command": self.command, "name": self._asked})
        status, out, err = _run(cmd, self.cmd_timeout)
        if status in AWAY or (status and TIMED_OUT in err):
            found = release.find(self.command, self._asked)
            if not found:
                raise Refused(cmd, SILENT, err or out)
            status, out = 0, self.answer.format(found[0])
        if status:
            self.spool.remove_block(self._asked)
            raise Refused(cmd, status, err or out)
        return status, self.job_of(out), err

    def job_of(self, answer: str) -> str:
        """Return the part of a submission's answer that names the job."""
        return answer

    def _settle_doubts(self, cmd: str) -> None:
        """Release what an earlier submission without an answer may have left."""
        for name, how in self.spool.blocks().items():
            if "name" in how:
                if not release.give_back(name, how):
                    raise Refused(cmd, SILENT, "no answer")
                self.spool.remove_block(name)

    def submit(self, command: str, tasks_per_node: int, job_name: str = "block") -> str:
        """Ask for a block and remember its id."""
        job = str(super().submit(command, tasks_per_node, job_name))  # type: ignore[misc]
        self.spool.add_block(job, self._how(job))
        if self.command:
            self.spool.remove_block(self._asked)
            self.remember(job)
        return job

    def remember(self, job: str) -> None:
        """Add a scheduler job to the experiment's list."""
        with self.jobs.open("a") as stream:
            stream.write(f"{job}\n")

    def _how(self, job: str) -> dict[str, str]:
        return {"command": self.command}

    def launched(self, job: str) -> float | None:
        """Return when a block began to start its worker pools, in seconds since 1970, if it has."""
        known = self.resources[job]  # type: ignore[attr-defined]
        script = Path(known.get("script_path") or known["job_stdout_path"])
        try:
            return script.with_suffix(LAUNCHED).stat().st_mtime
        except OSError:
            return None

    def comment(self, job: str) -> str:
        """Return the scheduler's comment on a waiting block, empty if there is none."""
        return ""

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Release blocks; one that cannot be released must not keep the others."""
        given = [all(super(_Recorded, self).cancel([job])) for job in job_ids]  # type: ignore[misc]
        for job, done in zip(job_ids, given, strict=True):
            if done:
                self.spool.remove_block(job)
        return given

    def status(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Return the state of each block; a held one counts as waiting."""
        found: list[JobStatus] = super().status(job_ids)  # type: ignore[misc]
        for job, status in zip(job_ids, found, strict=True):
            if status.terminal:
                self.spool.remove_block(job)
            elif status.state in (JobState.HELD, JobState.UNKNOWN):
                # Parsl counts neither, and would ask for another block every few seconds.
                status.state = JobState.PENDING
        return found


class Pbs(_Recorded, PBSProProvider):  # type: ignore[misc]
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
            if not self.resources[job]["status"].terminal:
                self.cancel([job])
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


class Slurm(_Recorded, SlurmProvider):  # type: ignore[misc]
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


class Local(_Recorded, LocalProvider):  # type: ignore[misc]
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


def _run(cmd: str, seconds: float) -> tuple[int, str, str]:
    """Execute a command, which is killed when it takes too long or when this process dies."""
    mortal = [sys.executable, "-m", "hed.pilot.processes", "mortal", str(os.getpid())]
    with subprocess.Popen(
        [*mortal, "/bin/sh", "-c", f"exec {cmd}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            processes.kill_group(process.pid)
            return SILENT, "", "no answer"
    return process.returncode, out, err


def _is_over(known: dict[str, Any]) -> bool:
    """Return whether a block is known to have ended."""
    return "status" in known and bool(known["status"].terminal)


def hopeless(job: dict[str, Any]) -> str:
    """Return why PBS will never start a job, empty if it may."""
    comment = str(job.get("comment", ""))
    if job.get("job_state") == "H" and "s" in str(job.get("Hold_Types", "")):
        return f"PBS holds it: {comment or 'no reason given'}"
    return comment if NEVER in comment and job.get("job_state") in ("H", "Q") else ""
