"""One check: what to look at, within which time, and what to do if it fails."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hed import command

# Seconds after which a check has failed: file systems hang as often as they fail.
PATIENCE = 30.0


class Fault(Exception):
    """A check has failed; the text is what was found."""


@dataclass(frozen=True)
class Check:
    """Something to check, how, and what to do if the check fails.

    `look` returns what it found, and raises Fault or OSError if that is not good enough.
    """

    name: str
    look: Callable[[], str]
    advice: str


@dataclass(frozen=True)
class Result:
    """What a check found."""

    check: str
    found: str
    ok: bool
    advice: str

    def as_row(self) -> dict[str, str]:
        """Return a row of the table."""
        result = "ok" if self.ok else "FAIL"
        return {
            "check": self.check,
            "found": self.found,
            "result": result,
            "what to do": "" if self.ok else self.advice,
        }


def attempt(check: Check, patience: float = PATIENCE) -> Result:
    """Return what a check finds within `patience` seconds."""
    results: list[tuple[str, bool]] = []
    # A thread that hangs in the kernel must not keep this process from ending.
    thread = threading.Thread(target=lambda: results.append(_look(check)), daemon=True)
    thread.start()
    thread.join(patience)
    found, ok = results[0] if results else (f"no answer within {patience:g} s", False)
    return Result(check.name, found, ok, check.advice)


def _look(check: Check) -> tuple[str, bool]:
    try:
        return check.look(), True
    except Fault as fault:
        return str(fault), False
    except OSError as error:
        return command.sentence(error), False
    except Exception as error:  # the other checks go on
        return f"{type(error).__name__}: {error}", False
