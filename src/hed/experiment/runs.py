"""The runs of an experiment and how far each has come, read from its directory.

The experiment may be running, half copied, or written by the original system: a run's file that
is missing or incomplete counts as absent and is never an error.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hed.config import hyperparameters, repeats
from hed.errors import InputError
from hed.experiment import description, outcome, parameters
from hed.names import (
    CHECKPOINT_INFO,
    CHECKPOINTS,
    HISTORY,
    MARKERS,
    RECORD,
    RUNS,
    TEST_SCORES,
    TIMINGS,
)

State = Literal["done", "running", "waiting"]
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One run: what it holds out.

    `index` and `drug` are None if nothing in the directory gives them. A run is `empty` when it
    ended without a test row. `repeat_of` is the first run on the same index that differs only in
    its seed; empty for a run that repeats none.
    """

    id: str
    index: int | None
    drug: str | None
    directory: Path
    empty: bool = False
    repeat_of: str = ""

    @property
    def first(self) -> str:
        """The id of the first of this run's repeats, which stands for all of them."""
        return self.repeat_of or self.id


@dataclass(frozen=True, kw_only=True)
class TrackedRun(Run):
    """A run and how far it has come.

    It is `done` when its marker and its scores exist, `running` when it was started and is not
    done.
    """

    epochs_done: int
    epochs_planned: int
    state: State


@dataclass(frozen=True)
class Experiment:
    """What an experiment directory says about itself.

    `named` has what experiment.json and the UPF say about each run, by run id, in their order.
    `is_original` marks a directory of the original system, which has no experiment.json.
    """

    directory: Path
    upf: Path | None
    dflts: Path | None
    named: Mapping[str, Values]
    is_original: bool

    @property
    def name(self) -> str:
        """The directory's name, such as EXP011."""
        return self.directory.resolve().name


def read_object(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in `path`: None if there is no file, {} while it is incomplete."""
    try:
        value = json.loads(path.read_bytes())
    except OSError:
        return None
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def read_experiment(directory: Path) -> Experiment:
    """Read what `directory` says about itself.

    Raises:
        InputError: if it does not exist, is not an experiment, or its experiment.json is damaged.
    """
    if not directory.is_dir():
        raise InputError(f"no such directory: {directory}")
    described = description.read(directory) or {}
    upf = _file_named(directory, described.get("upf")) or _find_upf(directory)
    if not described and not any(directory.glob(f"{RUNS}/*/")):
        raise InputError(
            f"{directory} is not an experiment: it has neither experiment.json nor run/*: "
            "give a directory such as output/EXP000"
        )
    return Experiment(
        directory=directory,
        upf=upf,
        dflts=_file_named(directory, described.get("dflts")) or _find_dflts(directory, upf),
        named=_merged(_upf_lines(upf) or [] if upf else [], described.get("runs", [])),
        is_original=not described,
    )


def read_runs(experiment: Path) -> list[TrackedRun]:
    """Return the runs of the directory `experiment`: those named, then those only in run/.

    Raises:
        InputError: if the directory is not an experiment.
    """
    return track_runs(read_experiment(experiment))


def list_runs(experiment: Experiment) -> list[Run]:
    """Return the runs of an experiment in the order of experiment.json, UPF and run/*."""
    # A dict keeps the order and holds each run once.
    ids = dict.fromkeys([*experiment.named, *_run_directories(experiment.directory)])
    first = repeats.first_of_each(experiment.named)
    place = experiment.directory / RUNS
    return [
        _read_run(place / run_id, experiment.named.get(run_id, {}), first.get(run_id, ""))
        for run_id in ids
    ]


def track_runs(experiment: Experiment) -> list[TrackedRun]:
    """Return the runs of an experiment, as `list_runs`, and how far each has come."""
    markers = read_markers(experiment.directory)
    defaults = recorded_dflts(experiment.dflts) if experiment.dflts else {}
    return [
        _track(run, experiment, defaults=defaults, markers=markers) for run in list_runs(experiment)
    ]


def count_first(runs: Sequence[Run]) -> int:
    """Return how many runs there are, repeats counted once."""
    return len({run.first for run in runs})


def read_markers(directory: Path) -> dict[str, Path]:
    """Return the marker files of an experiment by `NNN` of marker-NNN.txt."""
    paths = directory.glob(f"{MARKERS}/marker-*.txt")
    return {path.stem.removeprefix("marker-"): path for path in paths}


def last_checkpoint(run_directory: Path) -> dict[str, Any]:
    """Return the ckpt-info of a run's last epoch, {} if it has no checkpoint.

    The original's links are absolute and break when an experiment moves; then the highest
    numbered epoch is the last.
    """
    checkpoints = run_directory / CHECKPOINTS
    if info := read_object(checkpoints / "last" / CHECKPOINT_INFO):
        return info
    infos = checkpoint_infos(run_directory)
    return (read_object(infos[-1]) or {}) if infos else {}


def checkpoint_infos(run_directory: Path) -> list[Path]:
    """Return the ckpt-info files of a run in order of their epochs, which may have 4 digits."""
    found = run_directory.glob(f"{CHECKPOINTS}/epochs/*/{CHECKPOINT_INFO}")
    numbered = [path for path in found if path.parent.name.isdecimal()]
    return sorted(numbered, key=lambda path: int(path.parent.name))


def epoch_seconds(run: Run) -> list[float]:
    """Return the seconds of each epoch that a run recorded, [] if it recorded none."""
    timings = read_object(run.directory / TIMINGS) or {}
    return [float(second) for second in timings.get("epoch_seconds", [])]


def _file_named(directory: Path, name: str | None) -> Path | None:
    """Return the file of that name in `directory`, None if unnamed or missing."""
    path = directory / name if name else None
    return path if path and path.is_file() else None


def _find_upf(directory: Path) -> Path | None:
    """Return the JSON file whose lines are objects with an id."""
    return next((path for path in _json_files(directory) if _upf_lines(path)), None)


def _find_dflts(directory: Path, upf: Path | None) -> Path | None:
    """Return the JSON file that is one object and not the UPF."""
    others = (path for path in _json_files(directory) if path != upf)
    return next((path for path in others if recorded_dflts(path)), None)


def recorded_dflts(path: Path) -> dict[str, Any]:
    """Return the JSON object among comments in `path`, {} if it is missing or incomplete."""
    try:
        value = json.loads("\n".join(_uncommented(path)))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _json_files(directory: Path) -> Iterator[Path]:
    """Yield an experiment's JSON files apart from experiment.json, by name."""
    return (path for path in sorted(directory.glob("*.json")) if path.name != RECORD)


def _upf_lines(path: Path) -> list[dict[str, Any]] | None:
    """Return the objects of a UPF, None if the file is not one."""
    try:
        values = [json.loads(line) for line in _uncommented(path) if line.strip()]
    except ValueError:
        return None
    return values if all(isinstance(v, dict) and "id" in v for v in values) else None


def _uncommented(path: Path) -> list[str]:
    """Return the lines of a UPF or a DFLTS, comments emptied."""
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return hyperparameters.uncommented(text.splitlines())


def _merged(*sources: list[dict[str, Any]]) -> dict[str, Values]:
    """Return what several lists of runs say about each id; later lists take precedence."""
    named: dict[str, dict[str, Any]] = {}
    for values in (values for source in reversed(sources) for values in source):
        run_id = str(values["id"])
        named[run_id] = {**values, **named.get(run_id, {})}
    return dict(named)


def _run_directories(directory: Path) -> list[str]:
    """Return the names of the directories in run/, sorted."""
    try:
        with os.scandir(directory / RUNS) as entries:
            return sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    except OSError:
        return []


def _read_run(directory: Path, line: Values, repeat_of: str) -> Run:
    """Read what one run, named in a line or not, holds out; its directory need not exist."""
    index = _first_integer("index", line)
    return Run(
        id=directory.name,
        index=_first_integer("index", parameters.read(directory)) if index is None else index,
        drug=line.get("held_out"),
        directory=directory,
        empty=outcome.is_empty(directory),
        repeat_of=repeat_of,
    )


def _track(
    run: Run, experiment: Experiment, *, defaults: Values, markers: Mapping[str, Path]
) -> TrackedRun:
    """Read how far a run has come."""
    directory, line = run.directory, experiment.named.get(run.id, {})
    begun = parameters.read(directory)
    has_scores = experiment.is_original or (directory / TEST_SCORES).exists()
    # Two runs of one index have two markers, which are in experiment.json.
    marker = line.get("marker", f"{run.index:03d}" if run.index is not None else None)
    is_done = marker in markers and has_scores
    epochs_done = _epochs_done(directory)
    planned = _first_integer("epochs", begun, line, defaults)
    return TrackedRun(
        **vars(run),
        epochs_done=epochs_done,
        # Nothing is trained where nothing is tested.
        epochs_planned=epochs_done if run.empty else planned or hyperparameters.default("epochs"),
        state="done" if is_done else "waiting" if begun is None else "running",
    )


def _first_integer(key: str, *sources: Values | None) -> int | None:
    """Return the first integer that `sources` have under `key`."""
    values = (source[key] for source in sources if source and key in source)
    return next((int(v) for v in values if re.fullmatch(r"\d+", str(v))), None)


def _epochs_done(directory: Path) -> int:
    """Return the epochs that a run has completed.

    The original's history has only those since its last restart, its checkpoints count all.
    """
    losses = (read_object(directory / HISTORY) or {}).get("loss")
    saved = _first_integer("epoch", last_checkpoint(directory)) or 0
    return max(len(losses), saved) if isinstance(losses, list) else saved
