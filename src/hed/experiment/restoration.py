"""Finished runs of an earlier experiment, ours or the original's, taken over into a new one."""

import math
import shutil
from collections.abc import Callable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from hed.experiment import outcome, parameters
from hed.files import read_json, replacing, write_json, write_text
from hed.names import (
    ADOPTED,
    BASELINE_SCORES,
    CHECKPOINTS,
    EMPTY,
    HISTORY,
    MONITOR,
    PARAMETERS,
    PREDICTED_OF,
    RANK,
    RESTORED,
    RESULT,
    SCORES_OF,
    STOPPED,
    TEST_SCORES,
    TIMINGS,
    VAL_SCORES,
)
from hed.training import checkpoint

SCORES = (VAL_SCORES, TEST_SCORES)
# Files of a run that do not come from its model.
OWN = (
    *(PARAMETERS, RANK, HISTORY, RESULT, STOPPED, TIMINGS, RESTORED, EMPTY, MONITOR),
    *(SCORES_OF.format("*"), PREDICTED_OF.format("*")),
)


def restore(source: Path, run: Path) -> list[str]:
    """Copy a finished run, which is not modified, and return the names of its files.

    What the original wrote in another form is converted: hyperparameters to JSON, the history to
    all epochs with null for unknown ones, no NaN, scores of no rows.
    """
    checkpoint.adopt(source / CHECKPOINTS, run / CHECKPOINTS)
    if not (source / BASELINE_SCORES).exists():
        # The original has no baselines; the row of the score table shows that they are unknown.
        write_json(run / BASELINE_SCORES, {})
    write_text(run / RESTORED, f"{source.resolve()}\n")
    _copy_directories(source, run)
    files = [p for p in source.iterdir() if p.is_file() and p.name[0] != "." and p.name != RESTORED]
    # The scores come last: they mean that everything is there.
    for path in sorted(files, key=lambda path: path.name == TEST_SCORES):
        _copy(path, run / path.name)
    if outcome.is_empty(source):
        outcome.write_empty(run)
    return [path.name for path in files]


def continue_from(source: Path, run: Path) -> None:
    """Copy the directories and files that a model left in a run, once.

    What the run deletes later does not come back. The files of ours are left out, and so are
    `ckpts/`, of which `checkpoint.adopt` takes what is needed.
    """
    if (run / ADOPTED).exists():
        return
    _copy_directories(source, run)
    for path in sorted(source.iterdir()):
        is_ours = any(fnmatch(path.name, name) for name in OWN)
        copy = run / path.name
        if path.is_file() and not (is_ours or path.name.startswith(".") or copy.exists()):
            _copy_bytes(path, copy)
    write_text(run / ADOPTED, f"{source.resolve()}\n")


def _copy_directories(source: Path, run: Path) -> None:
    """Copy the directories of a run that are not there, but for `ckpts/`, with links and times."""
    for path in sorted(source.iterdir()):
        copy, work = run / path.name, run / f".{path.name}.tmp"
        is_ours = path.name == CHECKPOINTS or path.name.startswith(".")
        if path.is_dir() and not is_ours and not copy.exists():
            shutil.rmtree(work, ignore_errors=True)  # of a copy that was interrupted
            shutil.copytree(path, work, symlinks=True)
            work.rename(copy)


def _copy(path: Path, copy: Path) -> None:
    """Copy a file, in our form."""
    normal = _FORMS.get(path.name)
    value = normal(path) if normal else None
    if value is not None:
        write_json(copy, value)
    else:
        _copy_bytes(path, copy)


def _copy_bytes(path: Path, copy: Path) -> None:
    """Copy a file as it is."""
    with replacing(copy) as temporary:
        shutil.copy2(path, temporary)


def _parameters(path: Path) -> Mapping[str, Any] | None:
    """Return hyperparameters that are not JSON yet."""
    text = path.read_text(errors="replace")
    return parameters.parse(text) if text.lstrip().startswith("[") else None


def _history(path: Path) -> Mapping[str, Any] | None:
    """Return a history that lacks the epochs before the last restart of the original."""
    history = read_json(path)
    lists = {name: values for name, values in history.items() if isinstance(values, list)}
    known = max(map(len, lists.values()), default=0)
    unknown = (checkpoint.linked_epoch(path.parent / CHECKPOINTS / "last") or 0) - known
    if unknown <= 0:
        return None
    return {**history, **{name: [None] * unknown + values for name, values in lists.items()}}


def _scores(path: Path) -> Mapping[str, Any] | None:
    """Return scores without NaN, which is not JSON."""
    scores = read_json(path)
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in scores.items()
    }


_FORMS: Mapping[str, Callable[[Path], Mapping[str, Any] | None]] = {
    PARAMETERS: _parameters,
    HISTORY: _history,
    **dict.fromkeys(SCORES, _scores),
}
