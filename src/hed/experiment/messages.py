"""Which of Snakemake's messages are shown to the user."""

import logging
from pathlib import Path


def is_shown(record: logging.LogRecord) -> bool:
    """Tell whether a message is worth showing.

    Not shown: what a dry run says about temporary outputs, three lines for each run; the id by
    which the pilot knows each run; and the failure of a job that has no log because it never
    started, like those after the failed one of a run: the logger shows the log of a failure, and a
    traceback if there is none.
    """
    message = record.getMessage()
    if "temporary output" in message or message.startswith("Submitted group job"):
        return False
    logs = getattr(record, "log", None) if record.levelno >= logging.ERROR else None
    return not logs or any(Path(path).exists() for path in logs)
