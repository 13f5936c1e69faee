"""What the site refuses: the hook's rules as on Aurora, and the limits of the queues."""

from collections.abc import Iterable
from dataclasses import dataclass

from .job import Job
from .request import RejectionError, Request, illegal

HOOK, PER_USER, QUEUE_LIMIT, UNKNOWN_QUEUE, DISABLED = 32, 38, 188, 170, 173
MANDATORY = ("walltime", "filesystems", "select")
REFUSALS = {
    HOOK: "Job rejected by a hook of the site",
    PER_USER: "would exceed the queue's per-user limit",
    QUEUE_LIMIT: "Maximum number of jobs already in queue",
    DISABLED: "Queue is not enabled",
    UNKNOWN_QUEUE: "Unknown queue",
}
KEEP = {"", "doe", "deo", "ode", "oed", "edo", "eod"}


@dataclass(frozen=True)
class Queue:
    """Limits of a queue: nodes, walltime in seconds, jobs per user in all and running."""

    min_nodes: int = 1
    max_nodes: int = 1_000_000
    min_walltime: int = 300
    max_walltime: int = 3600
    max_jobs: int = 1_000_000
    max_running: int = 1_000_000


def check(request: Request, queues: dict[str, Queue], jobs: Iterable[Job], user: str) -> None:
    """Raise RejectionError if the server would refuse the request, after `jobs` of before."""
    check_hook(request)
    if request.queue not in queues:
        raise RejectionError(UNKNOWN_QUEUE, "Unknown queue")
    queue = queues[request.queue]
    if not (
        queue.min_nodes <= request.chunks <= queue.max_nodes
        and queue.min_walltime <= request.walltime <= queue.max_walltime
    ):
        text = "Job violates queue and/or server resource limits"
        raise RejectionError(QUEUE_LIMIT, text)
    mine = [job for job in jobs if (job.request.queue, job.user) == (request.queue, user)]
    if sum(job.state != "F" for job in mine) >= queue.max_jobs:
        raise RejectionError(PER_USER, f"would exceed queue {request.queue}'s per-user limit")


def check_hook(request: Request) -> None:
    """Refuse what the site's submission hook refuses."""
    missing = [f"-l {name}" for name in MANDATORY if name not in request.resources]
    missing = ["-A"] * (not request.account) + missing
    if missing:
        raise RejectionError(HOOK, f"Job rejected: please specify {', '.join(missing)}")
    if request.exports_all:
        raise RejectionError(HOOK, "Job rejected: -V is not allowed")
    if request.resources.get("place", "free") not in ("free", "scatter", "scatter:exclhost"):
        raise RejectionError(HOOK, illegal("place"))
    if request.keep not in KEEP:
        raise RejectionError(HOOK, "Job rejected: -k doe is enforced")
