"""The fork server of a node: it imports what a run's Snakemake needs, once, and forks the guards.

`python -m hed.pilot.forkserver KEEPER LISTENER`: LISTENER is the number of the open socket on which
the workers of the node wait.

Between the server and each guard is a process of the run's own, its steward: it ends the run with
the worker, and what the run leaves if the guard is killed.
"""

import json
import multiprocessing
import os
import signal
import socket
import sys
from contextlib import suppress
from multiprocessing import connection
from typing import Any

from hed.pilot import guard, inner, processes
from hed.pilot.forks import READY, Order
from hed.pilot.timers import TIMERS


def main() -> None:
    """Fork a steward for each run, until the keeper ends."""
    keeper, number = map(int, sys.argv[1:])
    processes.die_with_parent(keeper)
    inner.import_all()
    context = multiprocessing.get_context("fork")
    signal.signal(signal.SIGTERM, guard.stop)
    try:
        with socket.socket(fileno=number) as listener:
            while not guard.is_told():
                worker, _ = listener.accept()
                with worker:
                    context.Process(target=_attend, args=(listener, worker)).start()
    except guard.Stopped:
        pass
    os._exit(0)  # the stewards go on, until their workers end


def _attend(listener: socket.socket, worker: socket.socket) -> None:
    """Be the steward of a worker's run: start its guard, and answer how that ended."""
    listener.close()
    os.setsid()
    processes.adopt_orphans()
    stream, line = worker.makefile("rw"), ""
    try:
        with suppress(OSError):  # the worker may have died
            print(READY, end="", file=stream, flush=True)
            line = stream.readline()
        if not line.endswith("\n"):
            return
        status = _run(Order(**json.loads(line)), worker)
    except BaseException as error:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        processes.kill_descendants()
        if not isinstance(error, guard.Stopped):
            raise
        status = guard.STATUS["lost"]
    with suppress(OSError):
        print(status, file=stream, flush=True)


def _run(order: Order, worker: socket.socket) -> int:
    """Run a guard to its end, which this process or the worker's death may hasten."""
    os.environ.clear()
    os.environ.update(order.environment)
    os.sched_setaffinity(0, order.cores)
    context: Any = multiprocessing.get_context("fork")
    child = context.Process(target=guard.attend, args=(os.getpid(), order.arguments))
    child.start()
    ended = os.pidfd_open(child.pid)  # its sentinel is open in its own forks, too
    with suppress(guard.Stopped):
        if not guard.is_told():
            connection.wait([ended, worker])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while child.exitcode is None:
        child.terminate()  # again: a process that forks, or has just been forked, may lose it
        connection.wait([ended], TIMERS.repeat_signal)
    if child.exitcode in guard.STATUS.values():
        return int(child.exitcode)
    processes.kill_descendants()
    return guard.STATUS["lost"] if guard.is_told() else int(child.exitcode)


if __name__ == "__main__":
    main()
