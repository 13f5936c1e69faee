"""Which of Snakemake's messages a person reads."""

import logging
from pathlib import Path

import pytest

from hed.experiment import messages


def record(text: str, level: int = logging.ERROR, **more: object) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": text, "levelno": level, **more})


def test_a_dry_run_does_not_speak_of_temporary_outputs() -> None:
    assert not messages.is_shown(record("Would remove temporary output x", logging.INFO))
    assert messages.is_shown(record("Nothing to be done", logging.INFO))


def test_runs_are_not_named_by_the_ids_of_their_jobs() -> None:
    text = "Submitted group job 7e27231a-c928 with external jobid 'run_mark_train.7e27231a-c928'."
    assert not messages.is_shown(record(text, logging.INFO))


@pytest.mark.parametrize("level", [logging.INFO, logging.ERROR])
def test_a_failure_is_shown_where_a_log_tells_why(tmp_path: Path, level: int) -> None:
    log = tmp_path / "train.txt"
    assert messages.is_shown(record("Error in rule train", level, log=[str(log)])) == (
        level == logging.INFO
    )
    log.touch()
    assert messages.is_shown(record("Error in rule train", level, log=[str(log)]))
    assert messages.is_shown(record("Error in rule all", level, log=[]))
    assert messages.is_shown(record("Error in rule all", level))
