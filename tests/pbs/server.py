"""The stand-in server: it keeps the jobs, starts them in order and answers the commands."""

import json
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nodes import Nodes

from . import commands
from .execution import Execution
from .job import LOST_FIRST, LOST_SISTER, Job
from .request import RejectionError, Request
from .rules import REFUSALS, Queue, check

UNKNOWN_ID, FINISHED = 153, 35
SOCKET = "pbs.sock"


class Server:
    """Jobs in the order of their submission, on nodes of `cpus` cores and `tiles` tiles each.

    `execution` makes the Execution of a job. All state is guarded by `changed`, a condition that
    is notified whenever something has happened to a job. `is_down` stops answers and scheduling;
    `refusals` are the exit statuses with which the next qsubs are refused, whatever they ask for.
    """

    def __init__(
        self,
        nodes: Nodes,
        queues: dict[str, Queue],
        execution: Callable[[Job], Execution],
        *,
        cpus: int,
        tiles: int,
    ) -> None:
        """Start with no jobs."""
        self.nodes, self.queues, self.execution = nodes, queues, execution
        self.node = {"ncpus": cpus, "ngpus": tiles}
        self.jobs: dict[int, Job] = {}
        self.changed = threading.Condition()
        self.is_down = False
        self.refusals: Iterator[int] = iter(())
        self.is_closed = False
        self.threads: list[threading.Thread] = []

    @contextmanager
    def serving(self, directory: Path) -> Iterator[None]:
        """Answer at a socket in the directory and schedule, until the context ends."""
        place = os.open(directory, os.O_PATH)
        # The path of a socket may have no more than 107 characters.
        address = f"/proc/self/fd/{place}/{SOCKET}"
        with socketserver.ThreadingUnixStreamServer(address, handler(self)) as listener:
            self.start(listener.serve_forever, 0.05)
            self.start(self.schedule)
            try:
                yield
            finally:
                self.close()
                listener.shutdown()
                os.close(place)
                for thread in self.threads:
                    thread.join()

    def start(self, target: Callable[..., None], *arguments: Any) -> None:
        """Run a function in a thread."""
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self.threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Delete all jobs and start no more."""
        with self.changed:
            self.is_closed = True
            for job in self.jobs.values():
                job.deleted = job.forced = True
            self.changed.notify_all()

    def submit(self, request: Request, *, user: str, host: str) -> Job:
        """Queue a job; RejectionError if the site's rules refuse it."""
        with self.changed:
            if status := next(self.refusals, 0):
                raise RejectionError(status, REFUSALS[status])
            check(request, self.queues, self.jobs.values(), user)
            job = Job(len(self.jobs) + 1, user, host, request)
            self.jobs[job.number] = job
            self.changed.notify_all()
        return job

    def find(self, name: str, *, finished: bool) -> Job:
        """Return the job with an identifier, of the finished ones only if asked to."""
        number = name.split(".")[0]
        job = self.jobs.get(int(number)) if number.isdigit() else None
        if job is None or job.forgotten:
            raise RejectionError(UNKNOWN_ID, f"Unknown Job Id {name}")
        if job.state == "F" and not finished:
            raise RejectionError(FINISHED, f"{job.id} Job has finished")
        return job

    def delete(self, job: Job, *, forced: bool = False) -> None:
        """Delete a job: at once if it waits, else its own thread sees to it."""
        with self.changed:
            job.deleted, job.forced = True, forced
            if job.state in "QH":
                job.turn("F")
                job.ended = job.changed
            self.changed.notify_all()

    def expire(self, job: Job) -> None:
        """Let the walltime of a running job be over now."""
        with self.changed:
            job.expired = True
            self.changed.notify_all()

    def lose(self, node: str) -> None:
        """Take note that a node is gone: its job ends, on its other nodes too."""
        with self.changed:
            for job in self._running():
                if node in job.nodes:
                    job.lost = LOST_FIRST if node == job.nodes[0] else LOST_SISTER
                    job.deleted = job.forced = True
            self.changed.notify_all()

    def schedule(self) -> None:
        """Start what can be started whenever something has happened."""
        with self.changed:
            while not self.is_closed:
                if not self.is_down:
                    for job in [job for job in self.jobs.values() if job.state == "Q"]:
                        self._consider(job)
                self.changed.wait(0.2)

    def _consider(self, job: Job) -> None:
        """Start a job or say in its comment why not."""
        taken = {node for other in self._running() for node in other.nodes}
        free = [node for node in self.nodes.names if node not in taken and self.nodes.is_up(node)]
        request = job.request
        spread = request.resources.get("place", "free").startswith("scatter")
        each = 1 if spread else max(1, self.node["ncpus"] // max(1, request.chunk["ncpus"]))
        job.comment = self._obstacle(job, -(-request.chunks // each), len(free))
        if not job.comment:
            job.nodes = tuple(free[i // each] for i in range(request.chunks))
            job.turn("R", f"Job run on {'+'.join(job.hosts)}")
            job.started, job.run_count = job.changed, job.run_count + 1
            self.start(self._run, job)

    def _running(self) -> list[Job]:
        """Return the jobs that have nodes."""
        return [job for job in self.jobs.values() if job.state in "RE"]

    def _obstacle(self, job: Job, count: int, free: int) -> str:
        """Return why a job that needs `count` nodes cannot start now, or nothing."""
        has_all = all(job.request.chunk.get(name, 0) <= has for name, has in self.node.items())
        if count > len(self.nodes.names) or not has_all:
            return "Can Never Run: Insufficient amount of resource"
        owner, queue = job.user, job.request.queue
        rivals = [(other.user, other.request.queue) for other in self._running()]
        if rivals.count((owner, queue)) >= self.queues[queue].max_running:
            return f"Not Running: User has reached queue {queue} running job limit."
        return "Not Running: Not enough free nodes available" if count > free else ""

    def _run(self, job: Job) -> None:
        """Run a job to its end, in a thread of its own."""
        execution = self.execution(job)
        if not execution.can_write():
            with self.changed:
                job.started, job.nodes, job.hold = None, (), "s"
                job.turn("H", "job held, too many failed attempts to run")
            return
        status = execution.run(self._wait)
        with self.changed:
            # The server may learn of a lost node later than the job's processes feel it.
            while not (all(map(self.nodes.is_up, job.hosts)) or job.lost or self.is_closed):
                self.changed.wait(0.2)
            job.turn("E")
        execution.clear()
        with self.changed:
            self._finish(job, status)
            self.changed.notify_all()

    def _wait(self, seconds: float) -> None:
        """Wait until something has happened to a job, or for so long."""
        with self.changed:
            self.changed.wait(seconds)

    def _finish(self, job: Job, status: int) -> None:
        """Record the end of a job, or queue it again if a node was lost and it allows that."""
        if job.lost and job.request.rerunnable and not self.is_closed:
            job.nodes, job.started, job.lost = (), None, None
            job.deleted = job.forced = False
            job.turn("Q", "Not Running: node lost")
            return
        job.exit_status = job.lost or status
        job.turn("F", f"{job.comment} and {'failed' if job.exit_status else 'finished'}")
        job.ended = job.changed


def handler(server: Server) -> type[socketserver.StreamRequestHandler]:
    """Return the class that answers one command; a server that is down says nothing."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            message = self.rfile.readline()
            if server.is_down or server.is_closed:
                return
            with server.changed:
                answer = commands.answer(server, json.loads(message))
            self.wfile.write(json.dumps(answer).encode())

    return Handler
