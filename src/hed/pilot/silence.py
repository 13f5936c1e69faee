"""How long a run has written nothing: a device or a file system that hangs ends no process."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hed.names import LOG_OF, LOGS, MONITOR, PHASES, RUNS

# Looks at a run's files within the time that it may write nothing: each asks the file system.
LOOKS = 20


class Silence:
    """Watches the logs of a run and the files below its directory."""

    def __init__(self, experiment: Path, run: str, limit: float) -> None:
        """Begin now.

        Args:
            experiment: its directory.
            run: id.
            limit: seconds after which a run that writes nothing hangs; 0 for never.
        """
        self._experiment, self._run, self._limit = experiment, run, limit
        self._seen = 0
        self._since = self._looked = time.monotonic()

    def look(self) -> bool:
        """Return whether the run has written nothing for so long that it must hang."""
        now = time.monotonic()
        if not self._limit or not self._run or now - self._looked < self._limit / LOOKS:
            return False
        self._looked = now
        # Compared with each other, not with this machine's clock.
        latest = max(self._times(), default=0)
        if latest != self._seen:
            self._seen, self._since = latest, now
        return now - self._since >= self._limit

    def _times(self) -> Iterator[int]:
        """Yield when each file was written, in ns of the file system's clock."""
        for path in self._files():
            with suppress(OSError):
                yield path.stat().st_mtime_ns

    def _files(self) -> Iterator[Path]:
        """Yield what the run writes, without the samples that are taken whatever it does."""
        for phase in PHASES:
            yield self._experiment / LOGS / LOG_OF.format(self._run, phase)
        for place, _, names in os.walk(self._experiment / RUNS / self._run):
            yield from (Path(place, name) for name in names if name != MONITOR)
