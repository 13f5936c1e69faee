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


def main() -> None:
    """Fork a steward for each run, until the keeper ends."""
    keeper, number = map(int, sys.argv[1:])
    processes.die_with_parent(keeper)
    inner.import_all()
    context = multiprocessing.get_context("fork")
    signal.signal(signal.SIGTERM, guard.stop)
    try:
        with socket.socket(fileno=number) as listener:
            while True:
                worker, _ = listener.accept()
                with worker:
                    context.Process(target=_attend, args=(listener, worker)).start()
    except guard.Stopped:
        os._exit(0)  # the stewards go on, until their workers end


def _attend(listener: socket.socket, worker: socket.socket) -> None:
    """Be the steward of a worker's run: start its guard, and answer how that ended."""
    listener.close()
    os.setsid()
    processes.adopt_orphans()
    with suppress(OSError), worker.makefile("rw") as stream:  # the worker may have died
        stream.write(READY)
        stream.flush()
        if line := stream.readline():
            try:
                status = _run(Order(**json.loads(line)), worker)
            except guard.Stopped:
                status = guard.STATUS["lost"]
            print(status, file=stream)


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
        connection.wait([ended, worker])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child.terminate()
    child.join()
    if child.exitcode not in guard.STATUS.values():
        processes.kill_descendants()
    return int(child.exitcode)


if __name__ == "__main__":
    main()
