"""How far an experiment has come, how fast it progresses, and how long it will still take."""

import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hed import files
from hed.config import hyperparameters
from hed.experiment import usage
from hed.experiment.runs import (
    Experiment,
    TrackedRun,
    read_experiment,
    read_markers,
    recorded_dflts,
    track_runs,
)
from hed.names import JOBS, PROGRESS
from hed.watching.health import Health, diagnose, seconds_per_epoch

UNKNOWN = "-"


@dataclass(frozen=True)
class Progress:
    """The progress of an experiment; None is unknown.

    runs = done + running + waiting + failed. `rate` is in epochs per hour, of all running runs
    together. `seconds_left` assumes that failed runs are repeated. `stopped` is when the last run
    ended, if all are done. `epochs` and `alpha` are those of DFLTS. `empty` names the runs without
    test rows. `procs` is the number of tiles that have ended a run, `ppn` the most of one node; for
    an experiment of the original, what its log says.
    """

    directory: str
    job: str | None
    upf: str | None
    dflts: str | None
    epochs: int | None
    alpha: float | None
    procs: int | None
    ppn: int | None
    epochs_done: int
    epochs_planned: int
    logs: int
    runs: int
    done: int
    running: int
    waiting: int
    failed: int
    markers: int
    empty: str | None
    rate: float | None
    seconds_left: float | None
    stopped: str | None


def read_progress(directory: Path) -> Progress:
    """Return the progress of the experiment in `directory`.

    Raises:
        InputError: if the directory is not an experiment.
    """
    experiment = read_experiment(directory)
    return summarise(experiment, track_runs(experiment))


def summarise(
    experiment: Experiment, runs: Sequence[TrackedRun], healths: Sequence[Health] | None = None
) -> Progress:
    """Return the progress of `experiment`, given its runs and, if known, their health."""
    healths = diagnose(runs) if healths is None else healths
    states = Counter(health.state for health in healths)
    markers = read_markers(experiment.directory)
    pace = seconds_per_epoch(runs)
    is_done = bool(runs) and states["done"] == len(runs)
    return Progress(
        directory=str(experiment.directory.resolve()),
        job=_job(experiment.directory),
        upf=experiment.upf.name if experiment.upf else None,
        dflts=experiment.dflts.name if experiment.dflts else None,
        **_of_dflts(experiment),
        **_processes(experiment.directory),
        epochs_done=sum(run.epochs_done for run in runs),
        epochs_planned=sum(run.epochs_planned for run in runs),
        logs=sum(1 for _ in experiment.directory.glob("out/out-*.txt")),
        runs=len(runs),
        done=states["done"],
        running=states["running"],
        waiting=states["waiting"],
        failed=states["failed"],
        markers=len(markers),
        empty=" ".join(run.id for run in runs if run.empty) or None,
        rate=3600 * states["running"] / pace if pace and states["running"] else None,
        seconds_left=None if is_done else seconds_left(_to_do(runs, healths)),
        stopped=_last_end(markers) if is_done else None,
    )


def write_progress(directory: Path, progress: Progress) -> None:
    """Write progress.txt, one `KEY: value` a line."""
    files.write_text(directory / PROGRESS, render(progress))


def render(progress: Progress) -> str:
    """Return the text of progress.txt, in the original's keys and UPF, SUM, WAIT, FAIL, ..."""
    return "".join(f"{key}: {value}\n" for key, value in texts(progress).items())


def texts(progress: Progress) -> dict[str, str]:
    """Return the content of progress.txt, as KEY to value."""
    values: dict[str, str | float | None] = {
        "DIR": progress.directory,
        "JOB": progress.job,
        "JSON": progress.dflts,
        "PROCS": progress.procs,
        "PPN": progress.ppn,
        "epochs": progress.epochs,
        "alpha": progress.alpha,
        "OUTs": progress.logs,
        "RUNs": progress.runs,
        "NEWs": progress.running,
        "DONE": progress.done,
        "MKRs": progress.markers,
        "UPF": progress.upf,
        "SUM": f"{progress.epochs_done}/{progress.epochs_planned} epochs",
        "WAIT": progress.waiting,
        "FAIL": progress.failed,
    }
    if progress.empty:
        values["EMPTY"] = progress.empty
    if progress.stopped:
        values["STOP"] = progress.stopped
    else:
        values["RATE"] = None if progress.rate is None else f"{progress.rate:.1f} epochs/h"
        values["TIME"] = _duration_or_none(progress.seconds_left)
    return {key: UNKNOWN if value is None else str(value) for key, value in values.items()}


def count_epochs(runs: Sequence[TrackedRun]) -> str:
    """Return `done/planned` over all runs; a run that stopped early keeps the sum lower."""
    return f"{sum(r.epochs_done for r in runs)}/{sum(r.epochs_planned for r in runs)}"


def seconds_left(runs: Sequence[TrackedRun]) -> float | None:
    """Estimate the seconds until the last run is done, None if unknown.

    Assumes that as many runs run at once as now, that each next run starts where one ends, and
    that every epoch takes the median recorded time.
    """
    running = [_epochs_left(run) for run in runs if run.state == "running"]
    seconds = seconds_per_epoch(runs)
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


def _to_do(runs: Sequence[TrackedRun], healths: Sequence[Health]) -> list[TrackedRun]:
    """Return the runs, with failed ones as waiting to be continued."""
    pairs = zip(runs, healths, strict=True)
    return [replace(r, state="waiting" if h.state == "failed" else h.state) for r, h in pairs]


def _duration_or_none(seconds: float | None) -> str | None:
    return None if seconds is None else render_duration(seconds)


def _last_end(markers: Mapping[str, Path]) -> str:
    """Return when the last run was marked, in local time."""
    last = max(path.stat().st_mtime for path in markers.values())
    return f"{datetime.fromtimestamp(last):%Y-%m-%d %H:%M:%S}"


def _of_dflts(experiment: Experiment) -> dict[str, Any]:
    """Return `epochs` and `alpha` of DFLTS, Uno's where it does not set them."""
    given = recorded_dflts(experiment.dflts) if experiment.dflts else {}
    return {name: given.get(name, hyperparameters.default(name)) for name in ("epochs", "alpha")}


def _job(directory: Path) -> str | None:
    """Return the ids of the PBS jobs that worked on the experiment."""
    path = directory / JOBS
    return (" ".join(path.read_text().split()) if path.is_file() else "") or None


def _processes(directory: Path) -> dict[str, int | None]:
    """Return PROCS and PPN, None if neither the pilot nor the original's log has them."""
    with suppress(OSError):
        log = (directory / "turbine.log").read_text(errors="replace")
        found = {key: re.search(rf"^{key}:\s*(\d+)", log, re.MULTILINE) for key in ("PROCS", "PPN")}
        return {key.lower(): int(match[1]) if match else None for key, match in found.items()}
    tiles: set[tuple[str, str]] = set()
    with suppress(ValueError, KeyError, TypeError):  # a truncated line
        tiles = {(each["node"], each["tile"]) for each in usage.read(directory / usage.PILOT)}
    nodes = Counter(node for node, _ in tiles)
    return {"procs": len(tiles) or None, "ppn": max(nodes.values(), default=None)}


def _epochs_left(run: TrackedRun) -> int:
    return max(run.epochs_planned - run.epochs_done, 0)
