"""Saying the same thing again, at growing intervals."""

import math
import time
from dataclasses import dataclass

from hed.pilot.timers import TIMERS


@dataclass
class Reminder:
    """When to repeat a message about something that lasts: after `gap` seconds, then doubled.

    Attributes:
        since: when it was last said, in monotonic seconds.
        gap: seconds until it is said again.
    """

    since: float
    gap: float

    def is_due(self, now: float) -> bool:
        """Return whether the message is due now; if so, schedule the next one."""
        if now - self.since < self.gap:
            return False
        self.since, self.gap = now, min(2 * self.gap, TIMERS.longest_reminder)
        return True


class Complaint:
    """What is said about something that goes wrong again and again: another text at once."""

    def __init__(self) -> None:
        """Start without any."""
        self._text: str | None = None
        self._reminder = Reminder(-math.inf, 0.0)

    def is_due(self, text: str, gap: float = TIMERS.first_reminder) -> bool:
        """Return whether to say now what is wrong, and the same again after `gap` seconds."""
        if text != self._text:
            self._text, self._reminder = text, Reminder(-math.inf, gap)
        return self._reminder.is_due(time.monotonic())
