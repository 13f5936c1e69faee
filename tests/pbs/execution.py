"""How a job runs on its nodes: environment, output files, and its end for whatever reason."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from nodes import Nodes, Words

from .job import SERVER, WALLTIME, Job

# Opens the output files on the node, as -k doe does, and becomes the script.
BECOME = """
shell=$1 script=$2 output=$3 error=$4
exec > "$output"
if [ "$output" = "$error" ]; then exec 2>&1; else exec 2> "$error"; fi
exec $shell "$script"
"""


class Execution:
    """One job on its nodes, which it has for itself.

    `path` is the PATH that the job starts with, `directory` where the server keeps its files,
    `grace` the seconds between SIGTERM and SIGKILL.
    """

    def __init__(self, job: Job, nodes: Nodes, directory: Path, *, path: str, grace: float) -> None:
        """Describe the execution."""
        self.job, self.nodes, self.directory = job, nodes, directory
        self.path, self.grace = path, grace

    def can_write(self) -> bool:
        """Say whether the first node finds the directories of the output files."""
        output, error = map(os.path.dirname, self.job.streams)
        test = ["test", "-d", output, "-a", "-d", error]
        return self.nodes.run(self.job.hosts[0], test).returncode != 1

    def run(self, wait: Callable[[float], object]) -> int:
        """Run the script until it ends, is deleted or is out of time and return its Exit_status.

        `wait` sleeps up to so many seconds, less when something has happened to a job.
        """
        process = self._start()
        deadline = time.monotonic() + self.job.request.walltime
        while process.poll() is None and not self.job.deleted:
            if self.job.expired or time.monotonic() > deadline:
                self._terminate(process)
                self._note("walltime", self.job.used(), self.job.request.walltime)
                return WALLTIME
            wait(0.05)
        if process.poll() is None:
            self._terminate(process)
        return status(process.wait())

    def clear(self) -> None:
        """Kill what is left of the job on its nodes."""
        for node in self.job.hosts:
            self.nodes.signal(node)

    def _start(self) -> subprocess.Popen[str]:
        """Start the script on the first node."""
        script, nodefile = (self.directory / f"{self.job.id}.{end}" for end in ("SC", "nodes"))
        script.write_text(self.job.request.script)
        nodefile.write_text("".join(f"{node}\n" for node in self.job.nodes))
        argv: Words = ["sh", "-c", BECOME, "sh", self.job.request.shell, script, *self.job.streams]
        return self.nodes.popen(
            self.job.hosts[0],
            argv,
            env=self._environment(nodefile),
            cwd=Path.home(),
            stdin=subprocess.DEVNULL,
        )

    def _environment(self, nodefile: Path) -> dict[str, str]:
        """Return what the job finds in its environment: nothing of the submitter's own."""
        user = {"HOME": str(Path.home()), "USER": self.job.user, "LOGNAME": self.job.user}
        pbs = {
            "PBS_ENVIRONMENT": "PBS_BATCH",
            "PBS_JOBID": self.job.id,
            "PBS_JOBNAME": self.job.request.name,
            "PBS_NODEFILE": str(nodefile),
            "PBS_NODENUM": "0",
            "PBS_O_HOST": self.job.host,
            "PBS_O_WORKDIR": self.job.request.directory,
            "PBS_QUEUE": self.job.request.queue,
            "PBS_SERVER": SERVER,
        }
        cores = str(self.job.request.chunk["ncpus"])
        system = {"PATH": self.path, "SHELL": "/bin/bash", "LANG": "C.UTF-8", "NCPUS": cores}
        return user | system | pbs | dict(self.job.request.variables)

    def _terminate(self, process: subprocess.Popen[str]) -> None:
        """End all processes of the job, first politely."""
        if not self.job.forced:
            for node in self.job.hosts:
                self.nodes.signal(node, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self.grace)
        while process.poll() is None:  # A script may be about to start when the signal comes.
            self.clear()
            time.sleep(0.05)

    def _note(self, resource: str, used: float, limit: float) -> None:
        """Write the reason of a kill to the job's standard error."""
        text = f"=>> PBS: job killed: {resource} {used:.0f} exceeded limit {limit}\n"
        with open(self.job.streams[1], "a") as stream:
            stream.write(text)


def status(code: int) -> int:
    """Return a script's Exit_status; PBS adds 256 to a signal's number, a shell 128.

    255 means that the messenger was killed too, which only SIGKILL does.
    """
    # ASSUME: no script exits with such a number by itself.
    if code == 255:
        return 256 + signal.SIGKILL
    return code + 128 if 128 < code < 192 else code
