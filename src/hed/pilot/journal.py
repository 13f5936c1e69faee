"""The pilot's log: everything to the spool, and what needs attention to the terminal."""

import logging

from hed.pilot.spool import Spool

FILE = "pilot.log"
# Exit status of a process that has told the user what to fix.
REFUSED = 2


def start(spool: Spool) -> None:
    """Send the pilot's messages to the terminal and to the spool."""
    logging.raiseExceptions = False  # the terminal may be gone
    log = logging.getLogger("hed.pilot")
    log.setLevel(logging.INFO)
    log.propagate = False
    terminal, kept = logging.StreamHandler(), logging.FileHandler(spool.directory / FILE)
    terminal.setLevel(logging.WARNING)
    terminal.setFormatter(logging.Formatter("pilot: %(message)s"))
    kept.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    _hand_over(log, terminal, kept)
    # Parsl explains itself in tracebacks.
    parsl = logging.getLogger("parsl")
    parsl.propagate = False
    _hand_over(parsl, logging.FileHandler(spool.directory / "parsl" / "parsl.log", delay=True))


def _hand_over(log: logging.Logger, *handlers: logging.Handler) -> None:
    """Redirect a logger to other files, and close those of an earlier pilot of this process."""
    for handler in log.handlers:
        handler.close()
    log.handlers = [*handlers]
