"""What every provider adds to Parsl's: no block is forgotten, every refusal is explained."""

import logging
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from parsl.jobs.states import JobState, JobStatus

from hed.pilot import processes, release
from hed.pilot.parsl.launcher import LAUNCHED
from hed.pilot.refusals import AWAY, SILENT, Refused
from hed.pilot.reminder import Reminder
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS

# What sbatch says when the controller may have taken the job.
TIMED_OUT = "timed out"
SUBMIT = ("qsub", "sbatch")

log = logging.getLogger("hed.pilot")


class Recorded:
    """Records blocks in the spool, and executes the scheduler's commands."""

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
        self._unknown = self._unknown or Reminder(now, TIMERS.first_reminder / 4)
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
        given = [all(super(Recorded, self).cancel([job])) for job in job_ids]  # type: ignore[misc]
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
