"""Checkpoints as CANDLE's `ckpt` module writes them, plus what an exact resume needs.

    ckpts/epochs/NNN/model.h5         the Keras model after epoch NNN, counted from 1
    ckpts/epochs/NNN/ckpt-info.json   CANDLE's description of it
    ckpts/epochs/NNN/state.json       ours: learning rate, stopping state, history, best epoch
    ckpts/epochs/NNN/optimizer.npz    ours: the optimizer's variables
    ckpts/best, ckpts/last            relative links to epochs
    ckpts/ckpt.log

An epoch's directory is written under another name and renamed, and the links are replaced in one
step, so a kill at any instant leaves the last complete checkpoint in force. To roll back, point
`last` at another epoch; later ones are overwritten.
"""

import contextlib
import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hed.files import sync, write_json
from hed.names import CHECKPOINT_INFO

MODEL = "model.h5"
STATE = "state.json"
OPTIMIZER = "optimizer.npz"
# CANDLE's word for a disabled checksum.
DISABLED = "__DISABLED__"


@dataclass(frozen=True)
class Policy:
    """CANDLE's `ckpt_*` hyperparameters: what is saved, kept, and checked.

    `loss` names the loss that the saved metrics are of.
    """

    restart_mode: str
    save_interval: int
    save_best: bool
    save_best_metric: str
    skip_epochs: int
    keep_all: bool
    keep_limit: int
    checksum: bool
    metadata: str | None
    epochs: int
    loss: str


def policy(parameters: Mapping[str, Any]) -> Policy:
    """Return the policy that a run's hyperparameters describe."""
    return Policy(
        restart_mode=parameters["ckpt_restart_mode"],
        save_interval=parameters["ckpt_save_interval"],
        save_best=parameters["ckpt_save_best"],
        save_best_metric=parameters["ckpt_save_best_metric"],
        skip_epochs=parameters["ckpt_skip_epochs"],
        keep_all=parameters["ckpt_keep_mode"] == "all",
        keep_limit=parameters["ckpt_keep_limit"],
        checksum=parameters["ckpt_checksum"],
        metadata=parameters["ckpt_metadata"],
        epochs=parameters["epochs"],
        loss=_loss(parameters),
    )


def _loss(parameters: Mapping[str, Any]) -> str:
    """Return what distinguishes a run's loss from others."""
    name = parameters["custom_loss_module"] or parameters["loss"]
    return f"{name}" if name in ("mse", "mae") else f"{name}, alpha {parameters['alpha']:g}"


def due(rules: Policy, epoch: int, *, improved: bool, final: bool) -> bool:
    """Return whether an epoch, counted from 1, is to be saved; the final one always is."""
    if final or epoch == rules.epochs:
        return True
    if epoch < rules.skip_epochs:
        return False
    at_interval = rules.save_interval > 0 and epoch % rules.save_interval == 0
    return (improved and rules.save_best) or at_interval


def save(
    directory: Path,
    rules: Policy,
    epoch: int,
    *,
    write: Callable[[Path], None],
    state: Mapping[str, Any],
) -> None:
    """Save an epoch, counted from 1, then remove what the policy does not keep.

    Args:
        directory: the run's `ckpts`.
        write: writes `model.h5` and `optimizer.npz` into the directory that it is given.
        state: JSON; its `best_epoch`, this or an older saved epoch, is what `best` will point to.
    """
    work = directory / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    write(work)
    write_json(work / STATE, state)
    write_json(work / CHECKPOINT_INFO, _info(directory, rules, epoch, work / MODEL, state))
    for path in work.iterdir():
        sync(path)
    _place(directory, work, epoch)
    _link(directory / "best", state["best_epoch"])
    _link(directory / "last", epoch)
    note(directory, f"saved epoch {epoch}")
    _clean(directory, rules, epoch, keep=state["best_epoch"])


def place_of(directory: Path, epoch: int) -> Path:
    """Return the directory of a saved epoch below a run's `ckpts`."""
    return directory / "epochs" / f"{epoch:03d}"


def epoch_of(place: Path) -> int:
    """Return the epoch whose directory `place_of` returned."""
    return int(place.name)


def _place(directory: Path, work: Path, epoch: int) -> None:
    """Move a complete checkpoint to its epoch's directory, replacing what may be there."""
    _remove(directory, epoch)
    place = place_of(directory, epoch)
    place.parent.mkdir(parents=True, exist_ok=True)
    work.rename(place)


def _remove(directory: Path, epoch: int) -> None:
    """Remove an epoch, if it exists; never leave a part of it that looks like a checkpoint."""
    removed = directory / "removed"
    shutil.rmtree(removed, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        place_of(directory, epoch).rename(removed)
    shutil.rmtree(removed, ignore_errors=True)


def _info(
    directory: Path, rules: Policy, epoch: int, model: Path, state: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of CANDLE's ckpt-info.json."""
    previous = directory / "last" / CHECKPOINT_INFO
    elapsed: float | str = "__FIRST__"
    if previous.exists():
        elapsed = round(time.time() - previous.stat().st_mtime, 3)
    return {
        "epoch": epoch,
        "save_best_metric": rules.save_best_metric,
        "best_metric_last": state["best_metric"],
        "model_file": MODEL,
        "checksum": checksum(model) if rules.checksum else DISABLED,
        "timestamp": time.strftime("%Y-%m-%d %H:%M:%S"),
        "time_elapsed": elapsed,
        "metadata": rules.metadata,
    }


def checksum(path: Path) -> str:
    """Return the CRC-32 of a file in decimal, as CANDLE stores it."""
    value = 0
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            value = zlib.crc32(chunk, value)
    return str(value)


def _link(link: Path, epoch: int) -> None:
    """Point a link at an epoch, in one step."""
    temporary = link.with_name(f".{link.name}.tmp")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(f"epochs/{epoch:03d}")
    os.replace(temporary, link)


def saved_epochs(directory: Path) -> list[int]:
    """Return the epochs that have a model below a run's `ckpts`, ascending."""
    places = (directory / "epochs").glob("*")
    found = [p for p in places if re.fullmatch(r"\d{3,}", p.name) and (p / MODEL).exists()]
    return sorted(int(place.name) for place in found)


def _clean(directory: Path, rules: Policy, last: int, *, keep: int) -> None:
    """Remove epochs older than the `keep_limit` that end with `last`, but not `keep`.

    Later ones, from before a rollback, do not count.
    """
    if rules.keep_all:
        return
    done = [epoch for epoch in saved_epochs(directory) if epoch <= last]
    for epoch in done[: -rules.keep_limit]:
        if epoch != keep:
            empty(place_of(directory, epoch))
            note(directory, f"removed epoch {epoch}")


def empty(place: Path) -> None:
    """Remove a checkpoint except its description, which CANDLE leaves, too.

    The model goes first: what a kill leaves has no model, so it is no checkpoint.
    """
    for path in removable(place):
        path.unlink()


def removable(place: Path) -> list[Path]:
    """Return the files that `empty` removes from an epoch's directory, in this order."""
    files = [path for path in place.iterdir() if path.name != CHECKPOINT_INFO]
    return sorted(files, key=lambda path: path.name != MODEL)


def note(directory: Path, text: str) -> None:
    """Add a line with the time to `ckpt.log`."""
    with (directory / "ckpt.log").open("a") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


def linked_epoch(link: Path) -> int | None:
    """Return the epoch that a link points to, even by an absolute link of a moved experiment."""
    if not link.is_symlink():
        return None
    name = os.readlink(link).rstrip("/").rpartition("/")[2]
    return int(name) if name.isdigit() else None


def adopt(source: Path, directory: Path) -> None:
    """Copy the best and the last checkpoint of another experiment's run, unless there are some.

    Of the other epochs the descriptions are kept: they show how the training went. `source` is not
    modified. An interrupted copy is started again: `last` comes last.
    """
    if linked_epoch(directory / "last") is not None or not source.is_dir():
        return
    _adopt_descriptions(source, directory)
    for name in ("best", "last"):
        epoch = linked_epoch(source / name)
        if epoch is None or not (place_of(source, epoch) / MODEL).exists():
            continue
        work = directory / "work"
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(place_of(source, epoch), work)
        _place(directory, work, epoch)
        _link(directory / name, epoch)
        note(directory, f"copied epoch {epoch} of {source} ({name})")


def _adopt_descriptions(source: Path, directory: Path) -> None:
    """Copy what describes the epochs up to the last one, with its time."""
    last = linked_epoch(source / "last")
    for info in (source / "epochs").glob(f"*[0-9]/{CHECKPOINT_INFO}"):
        if last is None or int(info.parent.name) <= last:
            place = directory / "epochs" / info.parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy2(info, place)
