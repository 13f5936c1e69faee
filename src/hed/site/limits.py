"""What the queue of a scheduler accepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hed.errors import InputError
from hed.site import walltime


@dataclass(frozen=True)
class Limits:
    """What a queue accepts from one user; None is no limit.

    Attributes:
        min_walltime, max_walltime: seconds.
        small_blocks: (nodes, seconds): the longest walltime of blocks of up to `nodes` nodes.
        max_queued: jobs that are queued or running.
    """

    min_nodes: int = 1
    max_nodes: int | None = None
    min_walltime: int | None = None
    max_walltime: int | None = None
    small_blocks: tuple[tuple[int, int], ...] = ()
    max_queued: int | None = None
    max_running: int | None = None

    def takes_nodes(self, nodes: int) -> bool:
        """Return whether a block may have `nodes` nodes."""
        return self.min_nodes <= nodes and (self.max_nodes is None or nodes <= self.max_nodes)

    def longest(self, nodes: int) -> int | None:
        """Return the longest walltime of a block of `nodes` nodes, in seconds."""
        limits = (seconds for most, seconds in sorted(self.small_blocks) if nodes <= most)
        return next(limits, self.max_walltime)


def from_settings(values: Mapping[str, Any], where: str) -> Limits:
    """Return the limits of a queue that a site's settings give, with defaults filled in.

    Args:
        where: the queue's place in the settings, for the error's text.

    Raises:
        InputError: if a walltime is not HH:MM:SS, or no number of nodes is allowed.
    """
    limits = Limits(
        min_nodes=values["min_nodes"],
        max_nodes=values["max_nodes"],
        min_walltime=_optional(values["min_walltime"], f"min_walltime of {where}"),
        max_walltime=_optional(values["max_walltime"], f"max_walltime of {where}"),
        small_blocks=tuple(
            (
                step["up_to_nodes"],
                walltime.seconds(step["max_walltime"], f"small_blocks of {where}"),
            )
            for step in values["small_blocks"]
        ),
        max_queued=values["max_queued"],
        max_running=values["max_running"],
    )
    if not limits.takes_nodes(limits.min_nodes):
        raise InputError(f"min_nodes of {where} must be at most max_nodes")
    return limits


def _optional(text: str | None, where: str) -> int | None:
    return None if text is None else walltime.seconds(text, where)
