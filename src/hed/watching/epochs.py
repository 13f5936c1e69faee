"""What a run recorded about its epochs: in its history, its checkpoints and its times.

The original's history has only the epochs since the last restart. For earlier ones, and for a
running run, the checkpoints' descriptions have the time and the best metric.
"""

from collections.abc import Iterator
from typing import Any

from hed.experiment.runs import (
    Run,
    checkpoint_infos,
    epoch_seconds,
    last_checkpoint,
    read_object,
)
from hed.names import CHECKPOINTS, HISTORY

MEASURES = ("loss", "val_loss", "r2_train", "r2_val", "lr", "seconds")
# From checkpoints: the least val_loss up to an epoch.
BEST = "best"

# Measure to value: None is unknown; NaN or an infinity means that the training diverged.
Values = dict[str, float | None]


def read(run: Run) -> dict[int, Values]:
    """Return what is known of each epoch of a run, counted from 1, in order."""
    known = _recorded(run)
    complete = 1 in known and all(values["seconds"] is not None for values in known.values())
    told = {} if complete else dict(_told(run))
    found = {
        epoch: _without_none(told.get(epoch, {})) | _without_none(known.get(epoch, {}))
        for epoch in sorted({*known, *told})
    }
    return {e: dict.fromkeys((*MEASURES, BEST)) | values for e, values in found.items() if values}


def _recorded(run: Run) -> dict[int, Values]:
    """Return the epochs for which the history has values, with their seconds."""
    lists = _lists(run)
    count = max((len(values) for name, values in lists.items() if name != "seconds"), default=0)
    before = max(int(last_checkpoint(run.directory).get("epoch", 0)) - count, 0) if count else 0
    return {
        before + place + 1: {name: _number(lists.get(name, []), place) for name in MEASURES}
        for place in range(count)
    }


def _lists(run: Run) -> dict[str, list[Any]]:
    """Return the lists over epochs that a run has written, the newest complete ones."""
    if history := read_object(run.directory / HISTORY):
        found = {**history, "seconds": epoch_seconds(run)}
    else:
        state = read_object(run.directory / CHECKPOINTS / "last" / "state.json") or {}
        found = {**state.get("history", {}), "seconds": state.get("seconds")}
    return {name: values for name, values in found.items() if isinstance(values, list)}


def _told(run: Run) -> Iterator[tuple[int, Values]]:
    """Yield what the descriptions of the checkpoints say about their epochs."""
    previous = 0
    for path in checkpoint_infos(run.directory):
        info = read_object(path) or {}
        epoch, elapsed, best = (info.get(k) for k in ("epoch", "time_elapsed", "best_metric_last"))
        if not isinstance(epoch, int):
            continue
        is_loss = info.get("save_best_metric") == "val_loss" and isinstance(best, int | float)
        yield (
            epoch,
            {"seconds": _per_epoch(elapsed, epoch - previous), BEST: best if is_loss else None},
        )
        previous = epoch


def _per_epoch(elapsed: Any, epochs: int) -> float | None:
    """Return the seconds per epoch since the last checkpoint; None for the first of a start."""
    return elapsed / epochs if isinstance(elapsed, int | float) and epochs > 0 else None


def _without_none(values: Values) -> Values:
    return {name: value for name, value in values.items() if value is not None}


def _number(values: list[Any], place: int) -> float | None:
    """Return the number at a place, None if there is none."""
    value = values[place] if place < len(values) else None
    return float(value) if isinstance(value, int | float) else None
