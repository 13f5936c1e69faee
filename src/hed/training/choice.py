"""Which checkpoint a training goes on from, and which one predicts: always an intact one."""

import zipfile
from pathlib import Path

from hed.errors import InputError
from hed.files import read_json
from hed.names import CHECKPOINT_INFO, CHECKPOINTS, STOPPED
from hed.training.checkpoint import (
    DISABLED,
    MODEL,
    OPTIMIZER,
    STATE,
    Policy,
    checksum,
    linked_epoch,
    note,
    place_of,
    saved_epochs,
)


def find(directory: Path, rules: Policy) -> Path | None:
    """Return the checkpoint to resume from, or None to start anew.

    It is the one that `last` points to; if that is damaged, the newest older one that is intact.

    Raises:
        InputError: if the mode is `required` and there is none.
    """
    if rules.restart_mode == "off":
        return None
    last = linked_epoch(directory / "last")
    candidates = [epoch for epoch in saved_epochs(directory) if last is None or epoch <= last]
    for epoch in reversed(candidates):
        place = place_of(directory, epoch)
        if _whole(place, rules):
            note(directory, f"resuming from epoch {epoch}")
            return place
        note(directory, f"epoch {epoch} is damaged, trying an older one")
        print(f"warning: checkpoint {place} is damaged; trying an older one")
    if rules.restart_mode == "required":
        raise InputError(
            f"ckpt_restart_mode is required, but there is no checkpoint in {directory}"
        )
    return None


def best(directory: Path) -> Path:
    """Return the checkpoint with the best metric, or the last if none is marked.

    Raises:
        InputError: if there is no checkpoint, or its model is not what was written.
    """
    for name in ("best", "last"):
        epoch = linked_epoch(directory / name)
        if epoch is not None and (place_of(directory, epoch) / MODEL).exists():
            return _intact(place_of(directory, epoch))
    raise InputError(f"there is no checkpoint in {directory}: train the run first")


def predicting(run: Path, predict_with: str) -> Path:
    """Return the checkpoint of the epoch that predicts.

    Args:
        run: directory of the run.
        predict_with: `best`, or `last`, which is also the best if training stopped early.

    Raises:
        InputError: as `best` does.
    """
    directory = run / CHECKPOINTS
    epoch = linked_epoch(directory / "last")
    if predict_with == "best" or (run / STOPPED).exists() or epoch is None:
        return best(directory)
    return _intact(place_of(directory, epoch))


def _intact(place: Path) -> Path:
    """Return a checkpoint's directory, after checking its model if a checksum was written."""
    info = read_json(place / CHECKPOINT_INFO) if (place / CHECKPOINT_INFO).exists() else {}
    if not _is_as_told(place, info.get("checksum", DISABLED)):
        raise InputError(
            f"{place / MODEL} is damaged: its checksum is not that of {CHECKPOINT_INFO}; remove "
            "the run's directory and its marker to train it anew"
        )
    return place


def _is_as_told(place: Path, stored: str) -> bool:
    """Return whether a model has the checksum that was stored, if one was."""
    return stored in (DISABLED, checksum(place / MODEL))


def _whole(place: Path, rules: Policy) -> bool:
    """Return whether a checkpoint is what was written."""
    try:
        stored = read_json(place / CHECKPOINT_INFO)["checksum"]
        if not rules.checksum:
            return True
        if not _is_as_told(place, stored):
            return False
        if not (place / STATE).exists():  # of the original
            return True
        read_json(place / STATE)
        with zipfile.ZipFile(place / OPTIMIZER) as arrays:  # an npz has checksums of its own
            return arrays.testzip() is None
    except (InputError, KeyError, OSError, zipfile.BadZipFile):
        return False
