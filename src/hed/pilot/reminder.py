"""Saying the same thing again, at growing intervals."""

import math
import time
from dataclasses import dataclass

from hed.pilot.timers import TIMERS


@dataclass
class Reminder:
    """When to repeat a message about something that lasts: after `gap` seconds, then doubled.

    Attributes:
        text: the message.
        since: when it was last said, in monotonic seconds.
        gap: seconds until it is said again.
    """

    text: str
    since: float
    gap: float

    def about(self, text: str, gap: float) -> "Reminder":
        """Return the reminder of a message: this one, or if it is another's one that is due now."""
        return self if self.text == text else Reminder(text, -math.inf, gap)

    def is_due(self, now: float) -> bool:
        """Return whether the message is due now; if so, schedule the next one."""
        if now - self.since < self.gap:
            return False
        self.since, self.gap = now, min(2 * self.gap, TIMERS.longest_reminder)
        return True


class Complaint:
    """What is said about something that goes wrong again and again."""

    def __init__(self) -> None:
        """Start without any."""
        self._reminder = Reminder("", 0.0, 0.0)

    def is_due(self, text: str) -> bool:
        """Return whether to say now what is wrong."""
        self._reminder = self._reminder.about(text, TIMERS.first_reminder)
        return self._reminder.is_due(time.monotonic())
