"""How far an experiment has come, and how long it will still take."""

import heapq
import os
import statistics
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from hed import files
from hed.runs import Experiment, Run, epoch_seconds, list_runs, read_experiment, read_markers

FILE = "progress.txt"
UNKNOWN = "-"

Summary = dict[str, str | int]


def read_progress(directory: Path) -> Summary:
    """Return the progress of the experiment in `directory`, as KEY to value.

    Raises:
        InputError: if the directory is not an experiment.
    """
    experiment = read_experiment(directory)
    return summarise(experiment, list_runs(experiment))


def summarise(experiment: Experiment, runs: Sequence[Run]) -> Summary:
    """Return the progress of `experiment`, given its runs, as KEY to value."""
    states = [run.state for run in runs]
    markers = read_markers(experiment.directory)
    return {
        "DIR": str(experiment.directory.resolve()),
        "JOB": _job(experiment.directory),
        "JSON": experiment.upf.name if experiment.upf else UNKNOWN,
        "PROCS": os.environ.get("PROCS") or UNKNOWN,
        "PPN": os.environ.get("PPN") or UNKNOWN,
        "epochs": count_epochs(runs),
        "OUTs": len(list(experiment.directory.glob("out/out-*.txt"))),
        "RUNs": len(runs),
        "NEWs": states.count("running"),
        "DONE": states.count("done"),
        "MKRs": len(markers),
        **_end(runs, markers),
    }


def write_progress(directory: Path, progress: Summary) -> None:
    """Write progress.txt, one `KEY: value` a line."""
    files.write_text(directory / FILE, render(progress))


def render(progress: Summary) -> str:
    """Return the text of progress.txt."""
    return "".join(f"{key}: {value}\n" for key, value in progress.items())


def count_epochs(runs: Sequence[Run]) -> str:
    """Return `done/planned` over all runs; a run that stopped early leaves the sum below."""
    return f"{sum(r.epochs_done for r in runs)}/{sum(r.epochs_planned for r in runs)}"


def seconds_left(runs: Sequence[Run]) -> float | None:
    """Estimate the seconds until the last run is done, None if nothing tells.

    As many runs go on at once as do now, each next run starts where one ends, and every epoch
    takes the median time of those recorded.
    """
    running = [_epochs_left(run) for run in runs if run.state == "running"]
    seconds = _seconds_per_epoch(runs)
    if not running or seconds is None:
        return None
    heapq.heapify(running)
    for run in runs:
        if run.state == "waiting":
            heapq.heapreplace(running, running[0] + _epochs_left(run))
    return seconds * max(running)


def render_duration(seconds: float) -> str:
    """Return a duration in its two largest units: `3d 4h`, `2h 13m`, `13m` or `45s`."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if days:
        return f"{days}d {hours % 24}h"
    if hours:
        return f"{hours}h {minutes % 60}m"
    return f"{minutes}m" if minutes else f"{whole}s"


def _end(runs: Sequence[Run], markers: Mapping[str, Path]) -> Summary:
    """Return the time left, or when the last run ended if all are done."""
    if runs and all(run.state == "done" for run in runs):
        last = max(path.stat().st_mtime for path in markers.values())
        return {"STOP": f"{datetime.fromtimestamp(last):%Y-%m-%d %H:%M:%S}"}
    left = seconds_left(runs)
    return {"TIME": UNKNOWN if left is None else render_duration(left)}


def _job(directory: Path) -> str:
    """Return the ids of the PBS jobs that worked on the experiment."""
    path = directory / "jobid.txt"
    return (" ".join(path.read_text().split()) if path.is_file() else "") or UNKNOWN


def _epochs_left(run: Run) -> int:
    return max(run.epochs_planned - run.epochs_done, 0)


def _seconds_per_epoch(runs: Sequence[Run]) -> float | None:
    """Return the median over all recorded epochs; before the first, over the checkpoints."""
    recorded = [seconds for run in runs for seconds in epoch_seconds(run)]
    if not recorded:
        # A first wave of long runs would otherwise have no estimate until its end.
        recorded = [s for run in runs if run.state == "running" for s in _between_checkpoints(run)]
    return statistics.median(recorded) if recorded else None


def _between_checkpoints(run: Run) -> list[float]:
    """Return the mean seconds per epoch between a run's oldest and newest checkpoint."""
    paths = sorted(run.directory.glob("ckpts/epochs/*[0-9]/ckpt-info.json"))
    if len(paths) < 2:
        return []
    epochs = int(paths[-1].parent.name) - int(paths[0].parent.name)
    seconds = paths[-1].stat().st_mtime - paths[0].stat().st_mtime
    return [seconds / epochs] if epochs > 0 and seconds > 0 else []
