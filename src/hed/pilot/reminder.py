"""Saying the same thing again, at growing intervals."""

from dataclasses import dataclass

from hed.pilot.timers import TIMERS


@dataclass
class Reminder:
    """When something that goes on is said again: after `gap` seconds, then twice as many.

    Attributes:
        text: what is said.
        since: when it began, in monotonic seconds.
        gap: seconds until it is said for the next time.
    """

    text: str
    since: float
    gap: float

    def is_due(self, now: float) -> bool:
        """Return whether it has to be said now; if so, the next time is later."""
        if now - self.since < self.gap:
            return False
        self.since, self.gap = now, min(2 * self.gap, TIMERS.longest_reminder)
        return True
