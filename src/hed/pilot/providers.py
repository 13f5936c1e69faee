"""Parsl's providers of nodes, made so that no block is forgotten and every refusal is explained."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parsl.jobs.states import JobState, JobStatus
from parsl.providers import LocalProvider, PBSProProvider, SlurmProvider
from parsl.providers.errors import ExecutionProviderException

from hed.pilot import processes, release
from hed.pilot.release import FORGOTTEN, INVALID
from hed.pilot.spool import Spool

# What a command that does not answer counts as.
SILENT = 255
# Limits that pass as other jobs end: PBS's per user and per queue, and its server being down.
PASSING = {
    38: "the queue's limit of jobs per user is reached",
    188: "the queue's limit of jobs is reached",
    198: "the queue's limit of jobs is reached",
    SILENT: "the server does not answer",
}
REJECTED = {32: "a rule of the site rejects it"}
# With this in its text, 188 is about the nodes or the walltime of the block, and never passes.
VIOLATES = "violates"
UNFIT = "the queue takes no block of this size and walltime, see scripts/blocks.py"
# sbatch has one exit status for all refusals. Of those that name a limit, this never passes.
INVALID_TIME = "time limit is invalid"
# What it says when the controller may have taken the job.
TIMED_OUT = "timed out"
SUBMIT = ("qsub", "sbatch")
NEVER = "Can Never Run"

log = logging.getLogger("hed.pilot")


class Refused(ExecutionProviderException):  # type: ignore[misc]
    """A scheduler takes no block; `passing` if it may later."""

    def __init__(self, command: str, status: int, text: str) -> None:
        """Take the command, its exit status and what it said."""
        told = " ".join(text.split())
        why, self.passing = _judge(command, status, told.lower())
        reason = why and told and f"{why}: {told}" or why or told or f"exit status {status}"
        super().__init__(f"{command} refused a block ({reason})")


def _judge(command: str, status: int, told: str) -> tuple[str, bool]:
    """Return what a refusal means, empty if only its text says that, and whether it passes."""
    if status == SILENT:
        return PASSING[SILENT], True
    if command != "qsub":
        return "", "limit" in told and INVALID_TIME not in told
    if VIOLATES in told:
        return UNFIT, False
    return {**PASSING, **REJECTED}.get(status, ""), status in PASSING


class _Recorded:
    """What every provider does more than Parsl's: it remembers its blocks in the spool."""

    # The spool, the file that lists the experiment's jobs, the command that gives one back, what a
    # submission answers, and the name of the block that was asked for last.
    spool: Spool
    jobs: Path
    command: str
    answer: str
    cmd_timeout: int
    _asked: str

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """Execute a command of the scheduler's; a refused submission raises an error."""
        if cmd.split()[0] in SUBMIT:
            return self._ask(cmd)
        try:
            answer: tuple[int, str, str] = super().execute_wait(cmd, timeout)  # type: ignore[misc]
        except subprocess.TimeoutExpired:
            return SILENT, "", "no answer"
        return answer

    def _ask(self, cmd: str) -> tuple[int, str, str]:
        """Ask for a block; if there is no answer, look whether there is a block all the same.

        Its name is in the spool until its id is, so that the end of the pilot finds it too.
        """
        command, self._asked = cmd.split()[0], Path(cmd.split()[-1]).name
        self._settle_doubts(command)
        self.spool.add_block(self._asked, {"command": self.command, "name": self._asked})
        status, out, err = _run(cmd, self.cmd_timeout)
        if status == SILENT or (status and TIMED_OUT in err):
            found = release.find(self.command, self._asked)
            if not found:
                raise Refused(command, SILENT, err or out)
            status, out = 0, self.answer.format(found[0])
        if status:
            self.spool.remove_block(self._asked)
            raise Refused(command, status, err or out)
        return status, out, err

    def _settle_doubts(self, command: str) -> None:
        """Give back what an earlier submission without an answer may have left."""
        for name, how in self.spool.blocks().items():
            if "name" in how:
                if not release.give_back(name, how):
                    raise Refused(command, SILENT, "no answer")
                self.spool.remove_block(name)

    def submit(self, command: str, tasks_per_node: int, job_name: str = "block") -> str:
        """Ask for a block and remember its id."""
        job = str(super().submit(command, tasks_per_node, job_name))  # type: ignore[misc]
        self.spool.add_block(job, self._how(job))
        if self.command:
            self.spool.remove_block(self._asked)
            with self.jobs.open("a") as stream:
                stream.write(f"{job}\n")
        return job

    def _how(self, job: str) -> dict[str, str]:
        return {"command": self.command}

    def cancel(self, job_ids: Sequence[str]) -> list[bool]:
        """Give blocks back; one that cannot be must not keep the others."""
        given = [all(super(_Recorded, self).cancel([job])) for job in job_ids]  # type: ignore[misc]
        for job, done in zip(job_ids, given, strict=True):
            if done:
                self.spool.remove_block(job)
        return given

    def status(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Return the state of each block; one that is held is waiting."""
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

    def _status(self) -> None:
        try:
            super()._status()
        except ValueError:
            log.warning("qstat answered no JSON; the blocks are taken to be as they were")
        for job, comment in self._hopeless.items():
            if not self.resources[job]["status"].terminal:
                self.cancel([job])
                self.resources[job]["status"] = JobStatus(JobState.FAILED, comment)

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """Execute a command; of qstat's answer, notice what Parsl does not."""
        status, out, err = super().execute_wait(cmd, timeout)
        if not cmd.startswith("qstat"):
            return status, out, err
        if status in FORGOTTEN:
            # A server without a history of jobs; Parsl would take the block to run for ever.
            status, out = 0, out if out.strip() else "{}"
        if status == 0:
            jobs = json.loads(out).get("Jobs", {})
            self._hopeless = {
                known: hopeless(job)
                for known in self.resources
                for name, job in jobs.items()
                if known.startswith(name) and hopeless(job)
            }
        return status, out, err

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the queue."""
        return 30


class Slurm(_Recorded, SlurmProvider):  # type: ignore[misc]
    """Blocks from Slurm."""

    command, answer = "scancel", "Submitted batch job {}\n"

    def execute_wait(self, cmd: str, timeout: int | None = None) -> tuple[int, str, str]:
        """Execute a command; a job that Slurm has forgotten has ended."""
        status, out, err = super().execute_wait(cmd, timeout)
        forgotten = cmd.startswith("squeue") and INVALID in err
        return (0 if forgotten else status), out, err

    @property
    def status_polling_interval(self) -> int:
        """Return the seconds between two looks at the queue."""
        return 30


class Local(_Recorded, LocalProvider):  # type: ignore[misc]
    """The nodes that are here: this machine, or an allocation that this process is in."""

    command = ""

    def __init__(self, **settings: Any) -> None:
        """Take Parsl's settings."""
        super().__init__(**settings)
        self._groups: dict[str, int] = {}

    def _how(self, job: str) -> dict[str, str]:
        group = os.getpgid(int(job))
        self._groups[job] = group
        return {"process": job, "group": str(group), "born": processes.born(int(job))}

    def status(self, job_ids: Sequence[str]) -> list[JobStatus]:
        """Return the state of each block; of one that ended, nothing goes on."""
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
    """Execute a command, which ends when it takes too long and when this process dies."""
    mortal = [sys.executable, "-m", "hed.pilot.processes", "mortal", str(os.getpid())]
    with subprocess.Popen(
        [*mortal, "/bin/sh", "-c", f"exec {cmd}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            processes.kill_group(process.pid)
            return SILENT, "", "no answer"
    return process.returncode, out, err


def hopeless(job: dict[str, Any]) -> str:
    """Return why PBS will never start a job, empty if it may."""
    comment = str(job.get("comment", ""))
    if job.get("job_state") == "H" and "s" in str(job.get("Hold_Types", "")):
        return f"PBS holds it: {comment or 'no reason given'}"
    return comment if NEVER in comment and job.get("job_state") in ("H", "Q") else ""
