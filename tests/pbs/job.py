"""A job of the stand-in server and its attributes as qstat -f gives them."""

import os
import re
import time
from dataclasses import dataclass, field
from typing import Any

from .request import Request

SERVER = "stand-in"
WALLTIME, LOST_FIRST, LOST_SISTER = -29, -20, -14  # Exit_status
SUBSTATES = {"Q": 10, "H": 20, "R": 42, "E": 50, "F": 92}


@dataclass
class Job:
    """A job; times are those of time.time()."""

    number: int
    user: str
    host: str
    request: Request
    state: str = "Q"
    nodes: tuple[str, ...] = ()  # One for each chunk.
    queued: float = field(default_factory=time.time)
    changed: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    exit_status: int | None = None
    comment: str = ""
    hold: str = "n"
    run_count: int = 0
    deleted: bool = False
    forced: bool = False
    forgotten: bool = False
    expired: bool = False  # Its walltime is over, whatever the clock says.
    lost: int | None = None  # The Exit_status that the loss of a node gives.

    @property
    def id(self) -> str:
        """Return the identifier that qsub prints."""
        return f"{self.number}.{SERVER}"

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return the nodes of the job, each once, the first being where the script runs."""
        return tuple(dict.fromkeys(self.nodes))

    @property
    def output(self) -> str:
        """Return the path of standard output."""
        return place(self, self.request.output, "o", "OU")

    @property
    def error(self) -> str:
        """Return the path of standard error."""
        return place(self, self.request.error, "e", "ER")

    @property
    def streams(self) -> tuple[str, str]:
        """Return where standard output and error go, which -j oe and -j eo join."""
        joined = {"oe": (self.output, self.output), "eo": (self.error, self.error)}
        return joined.get(self.request.join, (self.output, self.error))

    def turn(self, state: str, comment: str = "") -> None:
        """Change the state."""
        self.state, self.changed = state, time.time()
        self.comment = comment or self.comment

    def used(self) -> float:
        """Return the seconds that the job has run."""
        return (self.ended or time.time()) - self.started if self.started else 0.0


def place(job: Job, path: str, letter: str, suffix: str) -> str:
    """Return where a stream goes; `path` is empty, or a file or DIRECTORY/, perhaps after HOST:."""
    path = re.sub(r"^[\w.-]+:", "", path) or f"{job.request.name}.{letter}{job.number}"
    path = os.path.join(job.request.directory, path)
    return f"{path}{job.id}.{suffix}" if path.endswith("/") else path


def clock(seconds: float) -> str:
    """Return HH:MM:SS."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def attributes(job: Job) -> dict[str, Any]:
    """Return a job as qstat -f gives it; what a job does not have yet is absent."""
    request, chunk = job.request, job.request.chunk
    total = {name: count * request.chunks for name, count in chunk.items()}
    chunk_text = ":".join(f"{name}={count}" for name, count in chunk.items())
    values = {
        "Job_Name": request.name,
        "Job_Owner": f"{job.user}@{job.host}",
        "resources_used": {"walltime": clock(job.used())} if job.started else None,
        "job_state": job.state,
        "queue": request.queue,
        "server": SERVER,
        "Account_Name": request.account,
        "ctime": time.ctime(job.queued),
        "Error_Path": f"{job.host}:{job.error}",
        "exec_host": "+".join(f"{node}/0*{chunk['ncpus']}" for node in job.nodes) or None,
        "exec_vnode": "+".join(f"({node}:{chunk_text})" for node in job.nodes) or None,
        "Hold_Types": job.hold,
        "Join_Path": request.join,
        "Keep_Files": request.keep or "doe",
        "mtime": time.ctime(job.changed),
        "Output_Path": f"{job.host}:{job.output}",
        "qtime": time.ctime(job.queued),
        "Rerunable": str(request.rerunnable),
        "Resource_List": {**request.resources, **total, "nodect": request.chunks},
        "stime": time.ctime(job.started) if job.started else None,
        "obittime": time.ctime(job.ended) if job.ended else None,
        "substate": SUBSTATES[job.state],
        "Variable_List": {"PBS_O_WORKDIR": request.directory, **request.variables},
        "comment": job.comment or None,
        "run_count": job.run_count or None,
        "Exit_status": job.exit_status,
        "history_timestamp": int(job.ended) if job.ended else None,
    }
    return {name: value for name, value in values.items() if value is not None}
