"""Checkpoints are written while the next epoch trains.

On a GPU or a tile an epoch can be shorter than the writing of its checkpoint: 150 MB at the
published size, and a disk's word that it has them.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any

from hed.training import checkpoint

# Copies what an epoch changes; returns what writes the copy into a checkpoint.
Copy = Callable[[], Callable[[Path], None]]


class Saver:
    """Saves the epochs of a training, one after the other, in a thread of its own.

    What is left of a training that is killed is the newest complete checkpoint: the last or, while
    that is being written, the one before. A saver that is left has saved everything.
    """

    def __init__(self, directory: Path, policy: checkpoint.Policy) -> None:
        """Take the run's `ckpts`, and what is to be kept there."""
        self._directory, self._policy = directory, policy
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._last: Future[None] | None = None

    def __enter__(self) -> "Saver":
        """Return the saver."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait until everything is saved; raise what kept an epoch from it, or tell it."""
        self._thread.shutdown()
        if error is None:
            self._wait()
        elif self._last is not None and (failure := self._last.exception()) not in (None, error):
            print(f"warning: the last checkpoint could not be written: {failure}")

    def save(self, epoch: int, *, copy: Copy, state: Mapping[str, Any]) -> None:
        """Begin to save an epoch, when the one before is saved.

        Args:
            copy: is called when the last copy is no longer needed.
            state: as for `checkpoint.save`.

        Raises:
            OSError: if the epoch before could not be saved.
        """
        self._wait()
        self._last = self._thread.submit(
            checkpoint.save, self._directory, self._policy, epoch, write=copy(), state=state
        )

    def _wait(self) -> None:
        """Wait for the epoch that is being saved; raise what kept it from that."""
        if self._last is not None:
            self._last.result()
