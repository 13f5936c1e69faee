"""Epochs are saved behind a training: one after the other, as they were, and none is forgotten."""

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hed.config import hyperparameters, schema
from hed.training import checkpoint
from hed.training.saving import Saver

POLICY = checkpoint.policy(schema.defaults(hyperparameters.definition()))
SECONDS = 30


def state(epoch: int) -> Mapping[str, Any]:
    return {"epoch": epoch, "best_epoch": epoch, "best_metric": 0.5}


def content(text: bytes) -> Callable[[Path], None]:
    return lambda place: (place / "model.h5").write_bytes(text) and None


def waiting_for(event: threading.Event, text: bytes) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        assert event.wait(SECONDS)
        content(text)(place)

    return write


def full(_: Path) -> None:
    raise OSError(28, "No space left on device")


def test_a_training_goes_on_while_its_epoch_is_saved(tmp_path: Path) -> None:
    trained = threading.Event()
    with Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: waiting_for(trained, b"one"), state=state(1))
        assert checkpoint.saved_epochs(tmp_path) == []
        trained.set()
    assert checkpoint.saved_epochs(tmp_path) == [1]


def test_an_epoch_is_saved_after_the_one_before(tmp_path: Path) -> None:
    first = threading.Event()
    with Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: waiting_for(first, b"one"), state=state(1))
        threading.Timer(0.2, first.set).start()
        saver.save(2, copy=lambda: content(b"two"), state=state(2))
        assert (tmp_path / "epochs/001/model.h5").read_bytes() == b"one"
    assert (tmp_path / "last/model.h5").read_bytes() == b"two"


def test_there_is_one_copy_at_a_time(tmp_path: Path) -> None:
    first, saved = threading.Event(), []

    def copy() -> Callable[[Path], None]:
        saved.extend(checkpoint.saved_epochs(tmp_path))
        return content(b"two")

    with Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: waiting_for(first, b"one"), state=state(1))
        threading.Timer(0.2, first.set).start()
        saver.save(2, copy=copy, state=state(2))
    assert saved == [1]


def test_what_kept_an_epoch_from_its_disk_ends_the_training_with_the_next_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OSError, match="No space left"), Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: content(b"one"), state=state(1))
        saver.save(2, copy=lambda: full, state=state(2))
        saver.save(3, copy=lambda: content(b"three"), state=state(3))
    assert checkpoint.saved_epochs(tmp_path) == [1]
    assert capsys.readouterr().out == ""  # the error says it


def test_what_kept_the_last_epoch_from_its_disk_is_not_forgotten(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: full, state=state(1))


def test_a_training_that_fails_says_why_and_has_its_last_epoch_saved(tmp_path: Path) -> None:
    diverged = threading.Event()
    with pytest.raises(ValueError, match="diverged"), Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: waiting_for(diverged, b"one"), state=state(1))
        threading.Timer(0.2, diverged.set).start()
        raise ValueError("diverged")
    assert (tmp_path / "last/model.h5").read_bytes() == b"one"


def test_a_training_that_fails_says_that_and_warns_of_its_disk(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="diverged"), Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: full, state=state(1))
        raise ValueError("diverged")
    printed = capsys.readouterr().out
    assert printed == (
        "warning: the last checkpoint could not be written: [Errno 28] No space left on device\n"
    )


def test_a_saver_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    with Saver(tmp_path, POLICY) as saver:
        saver.save(1, copy=lambda: content(b"one"), state=state(1))
    deadline = time.monotonic() + SECONDS
    while threading.active_count() > before:
        assert time.monotonic() < deadline
