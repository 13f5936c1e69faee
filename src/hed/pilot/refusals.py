"""Why a scheduler refuses a block, and whether the refusal is temporary.

The exit status of qsub is the last byte of PBS's error number (PBSE_* of OpenPBS's pbs_error.h),
its texts are those of pbs_messages.c; sbatch has one status for everything, and the texts of
slurm_errno.c.
"""

import re
from typing import Literal

# passes: the same request will be accepted later. final: it never will. unclear: unknown.
Kind = Literal["passes", "final", "unclear"]

# Exit status that stands for a command that does not answer.
SILENT = 255
# PBS's commands when its server is away: qstat has 255, the others PBSE_SYSTEM.
AWAY = (SILENT, 162)

NO_SERVER = "the server does not answer"
CLOSED = "the queue is closed for now"
PER_USER, FULL = (
    "the queue's limit of jobs per user is reached",
    "the queue's limit of jobs is reached",
)
UNFIT = "the queue takes no block of this size and walltime, see scripts/blocks.py"
ENDED = "its reservation has no queue now"

QSUB: dict[int, tuple[str, Kind]] = {
    **{status: (NO_SERVER, "passes") for status in AWAY},
    13: ("the server has too many connections", "passes"),
    185: ("the server has too many connections", "passes"),
    163: ("the server has an error of its own", "passes"),
    183: (NO_SERVER, "passes"),
    186: (NO_SERVER, "passes"),
    212: ("the server is shutting down", "passes"),
    57: ("the server cannot save jobs", "passes"),
    104: ("the server asks to try later", "passes"),
    38: (PER_USER, "passes"),
    39: ("the queue's limit of resources per user is reached", "passes"),
    188: (FULL, "passes"),
    198: (FULL, "passes"),
    173: (CLOSED, "passes"),
    32: ("a rule of the site rejects it", "unclear"),
    166: ("", "final"),
    170: ("", "final"),
    174: ("", "final"),
    187: ("", "final"),
    189: ("", "final"),
    201: ("", "final"),
}
# In the text of 188, this concerns the nodes or the walltime of the block.
VIOLATES = "violates"
# How PBS names the queue of a reservation; it disappears when the reservation ends.
RESERVATION = re.compile(r"-q [RSM][0-9]+\b")
UNKNOWN_QUEUE = 170

SBATCH: tuple[tuple[str, str, Kind], ...] = (
    ("unable to contact slurm controller", NO_SERVER, "passes"),
    ("timed out", NO_SERVER, "passes"),
    ("connection refused", NO_SERVER, "passes"),
    ("backup controller", NO_SERVER, "passes"),
    ("zero bytes were transmitted", NO_SERVER, "passes"),
    ("temporarily unable", NO_SERVER, "passes"),
    ("required partition not available", CLOSED, "passes"),
    ("requested partition configuration not available now", CLOSED, "passes"),
    ("reservation", ENDED, "passes"),
    ("time limit is invalid", UNFIT, "final"),
    ("node count specification invalid", UNFIT, "final"),
    ("node configuration is not available", UNFIT, "final"),
    ("invalid partition", "", "final"),
    ("invalid account", "", "final"),
    ("limit", "", "passes"),
)


class Refused(Exception):
    """A scheduler refused a block.

    Attributes:
        kind: whether it will accept the same block later.
        why: what the refusal means, empty if only its text says that.
    """

    def __init__(self, command: str, status: int, text: str) -> None:
        """Take the command line, its exit status and its output."""
        said = " ".join(text.split())
        self.why, self.kind = _judge(command, status, said.lower())
        reason = ": ".join(filter(None, [self.why, said])) or f"exit status {status}"
        super().__init__(f"{command.split()[0]} refused a block ({reason})")


def _judge(command: str, status: int, said: str) -> tuple[str, Kind]:
    """Return what a refusal means, empty if only its text says that, and its kind."""
    if status == SILENT:
        return NO_SERVER, "passes"
    if command.split()[0] != "qsub":
        found = (judged for words, *judged in SBATCH if words in said)
        why, kind = next(found, ("", "unclear"))
        return why, kind  # type: ignore[return-value]
    if VIOLATES in said:
        return UNFIT, "final"
    if status == UNKNOWN_QUEUE and RESERVATION.search(command):
        return ENDED, "passes"
    return QSUB.get(status, ("", "unclear"))
