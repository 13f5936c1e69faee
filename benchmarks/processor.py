"""CPU seconds of the processes of a chain, while it runs."""

import os
import threading
import time
from collections import defaultdict
from contextlib import suppress
from types import TracebackType

import psutil

# Seconds between two looks; what a process does after the last is not seen.
PERIOD = 2.0

# Part of a command line to what it belongs to, the first that fits.
KINDS = {
    "hed.pilot.sidecar": "sidecar",
    "hed.pilot.dispatcher": "dispatcher",
    "HTEX interchange": "interchange",
    "interchange.py": "interchange",
    "process_worker_pool.py": "pools",
    "multiprocessing": "workers",
    "hed.pilot.guard": "guards",
    "hed/warm/server.py": "servers",
    "--profile": "main",
}


class Watch:
    """Adds up the CPU seconds of all processes with a mark in their environment.

    Attributes:
        looks: time, and CPU seconds until then of main, sidecar, dispatcher, interchange, of
            Parsl's processes on the nodes (pools, workers), and of what the tiles ran (runs).
        load: of the machine, at each look.
    """

    def __init__(self, name: str, value: str) -> None:
        """Take the variable and its value that mark them."""
        self._mark = (name, value)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._seen: dict[psutil.Process, dict[str, float]] = {}
        self.looks: list[tuple[float, dict[str, float]]] = []
        self.load: list[float] = []

    def __enter__(self) -> "Watch":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(PERIOD):
            found = self._look()
            # When the sidecar has ended, its seconds are also among those of its parent, main.
            if any("sidecar" in seconds for seconds in found.values()):
                self._seen |= found
                self.load.append(os.getloadavg()[0])
                self.looks.append((time.time(), self._total()))

    def _look(self) -> dict[psutil.Process, dict[str, float]]:
        """Return the CPU seconds of each process that is there."""
        found = {}
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process in self._seen or self._is_ours(process):
                    found[process] = self._use(process)
        return found

    def _total(self) -> dict[str, float]:
        total: dict[str, float] = defaultdict(float)
        for seconds in self._seen.values():
            for kind, value in seconds.items():
                total[kind] += value
        return dict(total)

    def _is_ours(self, process: psutil.Process) -> bool:
        name, value = self._mark
        # A process that has given itself a title, as Parsl's interchange, may have no environment.
        is_marked = process.environ().get(name) == value or process.parent() in self._seen
        return is_marked and self._kind(process) != ""

    def _kind(self, process: psutil.Process) -> str:
        line = " ".join(process.cmdline())
        return next((kind for part, kind in KINDS.items() if part in line), "")

    def _use(self, process: psutil.Process) -> dict[str, float]:
        """Return the CPU seconds of a process, and of its children that have ended."""
        kind, times = self._kind(process), process.cpu_times()
        own, below = times.user + times.system, times.children_user + times.children_system
        if kind == "workers":
            return {"workers": own, "runs": below}
        if kind == "servers":
            return {"runs": own}
        if kind == "guards":
            # The forks of a tile's fork server are among its children once they have ended.
            parent = process.parent()
            is_server = parent is not None and self._kind(parent) == "workers"
            return {"runs": own + below} if is_server else {}
        return {kind: own + below if kind == "main" else own}
