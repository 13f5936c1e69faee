"""What the server answers to qsub, qstat, qselect and qdel: [exit status, output, error output]."""

from __future__ import annotations

import getopt
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .job import SERVER, Job, attributes, clock
from .request import USAGE, RejectionError, read

if TYPE_CHECKING:
    from .server import Server

Answer = tuple[int, str, str]
Message = dict[str, Any]
HEADER = """\
Job id            Name             User              Time Use S Queue
----------------  ---------------- ----------------  -------- - -----
"""


def answer(server: Server, message: Message) -> Answer:
    """Answer a command, which is what client.py sends."""
    commands: dict[str, Callable[[Server, Message], Answer]]
    commands = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "qselect": qselect}
    name = message["command"]
    try:
        return commands[name](server, message)
    except RejectionError as error:
        return error.status, "", f"{name}: {error}\n"
    except getopt.GetoptError as error:
        return USAGE, "", f"{name}: {error}\n"


def qsub(server: Server, message: Message) -> Answer:
    """Queue a job and print its identifier."""
    request = read(
        message["words"], message["script"], message["name"], directory=message["directory"]
    )
    job = server.submit(request, user=message["user"], host=message["host"])
    return 0, f"{job.id}\n", ""


def qdel(server: Server, message: Message) -> Answer:
    """Delete jobs: -x also from the history, -W force without waiting for their end."""
    options, names = getopt.getopt(message["words"], "W:x")
    forget, forced = ("-x", "") in options, ("-W", "force") in options

    def delete(job: Job) -> None:
        if job.state != "F":
            server.delete(job, forced=forced)
        job.forgotten = forget

    status, errors = for_each(server, names, delete, command="qdel", finished=forget)
    return status, "", errors


def qstat(server: Server, message: Message) -> Answer:
    """Show jobs: -f in full, -F json as JSON, -x finished ones too, -u of a user."""
    options, names = getopt.getopt(message["words"], "fF:xu:")
    given = dict(options)
    finished = "-x" in given
    shown: list[Job] = []
    if names:
        status, errors = for_each(server, names, shown.append, command="qstat", finished=finished)
    else:
        status, errors = 0, ""
        shown = [job for job in server.jobs.values() if not job.forgotten]
        shown = [job for job in shown if finished or job.state != "F"]
    shown = [job for job in shown if given.get("-u") in (None, job.user)]
    if given.get("-F") == "json":
        # OpenPBS 23.06 loses all but the first that were named (json_jobs in qstat.c is NULL then).
        text = as_json(shown[:1] if names else shown)
    elif "-f" in given:
        text = "".join(map(as_text, shown))
    else:
        text = HEADER + "".join(map(as_line, shown)) if shown else ""
    return status, text, errors


def qselect(server: Server, message: Message) -> Answer:
    """Print the identifiers of the user's jobs that have not ended: -N of a name."""
    options, _ = getopt.getopt(message["words"], "N:")
    name = dict(options).get("-N")
    mine = [job for job in server.jobs.values() if job.user == message["user"] and job.state != "F"]
    return 0, "".join(f"{job.id}\n" for job in mine if name in (None, job.request.name)), ""


def for_each(
    server: Server,
    names: list[str],
    act: Callable[[Job], None],
    *,
    command: str,
    finished: bool,
) -> tuple[int, str]:
    """Act on each job; return the status of the last failure and all messages."""
    status, errors = 0, ""
    for name in names:
        try:
            act(server.find(name, finished=finished))
        except RejectionError as error:
            status, errors = error.status, f"{errors}{command}: {error}\n"
    return status, errors


def as_line(job: Job) -> str:
    """Return a job's line in the table."""
    used = clock(job.used()) if job.started else "0"
    cells = f"{job.id[:16]:16}  {job.request.name[:15]:15}  {job.user[:16]:16}  {used:>8}"
    return f"{cells} {job.state} {job.request.queue}\n"


def as_text(job: Job) -> str:
    """Return a job's attributes as text."""
    pairs = [pair for name, value in attributes(job).items() for pair in parts(name, value)]
    return f"Job Id: {job.id}\n" + "".join(f"    {k} = {v}\n" for k, v in pairs) + "\n"


def parts(name: str, value: Any) -> list[tuple[str, Any]]:
    """Return the lines of an attribute: one, or one for each resource."""
    if not isinstance(value, dict):
        return [(name, value)]
    if name == "Variable_List":
        return [(name, ",".join(f"{key}={item}" for key, item in value.items()))]
    return [(f"{name}.{key}", item) for key, item in value.items()]


def as_json(jobs: list[Job]) -> str:
    """Return jobs as JSON; without jobs there is no such key."""
    values: dict[str, Any] = {
        "timestamp": int(time.time()),
        "pbs_version": "23.06.06",
        "pbs_server": SERVER,
    }
    if jobs:
        values["Jobs"] = {job.id: attributes(job) for job in jobs}
    return json.dumps(values, indent=4) + "\n"
