"""A view of a live experiment in a terminal, refreshed until the experiment is done."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from hed.experiment.kind import drug_label, shorten
from hed.experiment.runs import TrackedRun, read_experiment, track_runs
from hed.watching.health import Health, State, diagnose
from hed.watching.progress import Progress, render, render_duration, summarise

BAR_WIDTH = 40
DRUG_WIDTH = 20
# Lines of a terminal that are not the list of runs.
OTHER_LINES = 10

# Distinguished by shape as well as by colour.
STYLES: Mapping[State, tuple[str, str]] = {
    "done": ("█", "green"),
    "running": ("▓", "cyan"),
    "waiting": ("░", "bright_black"),
    "failed": ("x", "bold red"),
}


def watch(directory: Path, *, seconds: float, console: Console) -> None:
    """Show the progress of an experiment every few seconds, until it is done or Ctrl-C.

    If `console` is not a terminal, the text of progress.txt is printed instead of the view.

    Raises:
        InputError: if the directory is not an experiment.
    """
    # An interrupt must not leave the terminal without a cursor.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Live(console=console, auto_refresh=False) as live:
            for progress, shown in _readings(directory, console.height, seconds):
                if console.is_terminal:
                    live.update(shown, refresh=True)
                else:
                    print(render(progress), flush=True)
    except KeyboardInterrupt:
        return


def view(
    progress: Progress, runs: Sequence[TrackedRun], healths: Sequence[Health], *, height: int
) -> RenderableType:
    """Return the view of an experiment, in `height` lines if its runs allow."""
    listed = max(height - OTHER_LINES, 3)
    lines = [_line(run, health) for run, health in _notable(runs, healths)]
    table = Table.grid(padding=(0, 2, 0, 0))
    for line in lines[:listed]:
        table.add_row(*line)
    more = len(lines) - listed
    return Group(
        Text(f"{Path(progress.directory).name}  job {progress.job or '-'}", style="bold"),
        Text(),
        _bar(progress),
        _epochs(progress),
        Text(),
        table,
        *([Text(f"and {more:,} more", style="bright_black")] if more > 0 else []),
    )


def _readings(
    directory: Path, height: int, seconds: float
) -> Iterator[tuple[Progress, RenderableType]]:
    """Yield the progress and its view, repeatedly until all runs are done."""
    while True:
        experiment = read_experiment(directory)
        runs = track_runs(experiment)
        healths = diagnose(runs)
        progress = summarise(experiment, runs, healths)
        yield progress, view(progress, runs, healths, height=height)
        if progress.done == progress.runs:
            return
        time.sleep(seconds)


def _notable(
    runs: Sequence[TrackedRun], healths: Sequence[Health]
) -> list[tuple[TrackedRun, Health]]:
    """Return the runs that have failed, then those that are running."""
    pairs = list(zip(runs, healths, strict=True))
    return [pair for state in ("failed", "running") for pair in pairs if pair[1].state == state]


def _line(run: TrackedRun, health: Health) -> Iterator[RenderableType]:
    """Yield what is shown of one run: its drug, its epochs, and why it failed."""
    symbol, style = STYLES[health.state]
    yield Text(f"{symbol} {run.id}", style=style)
    yield Text(shorten(drug_label(run.id, run.index, run.drug), DRUG_WIDTH))
    yield _epoch_bar(run.epochs_done, run.epochs_planned, width=20)
    yield Text(f"{run.epochs_done}/{run.epochs_planned}", justify="right")
    yield Text(health.reason or "", style=style, overflow="ellipsis", no_wrap=True)


def _bar(progress: Progress) -> RenderableType:
    """Return one bar of all runs by their states, and below it how many each state has."""
    counts: dict[State, int] = {
        "done": progress.done,
        "running": progress.running,
        "waiting": progress.waiting,
        "failed": progress.failed,
    }
    bar, legend = Text(), Text()
    for state, width in zip(counts, _widths(list(counts.values())), strict=True):
        symbol, style = STYLES[state]
        bar.append(symbol * width, style=style)
        legend.append(f"{counts[state]:,} {state}  ", style=style if width else "bright_black")
    return _labelled("runs", bar, legend)


def _widths(counts: Sequence[int]) -> list[int]:
    """Return each count's share of the bar; nonzero counts are always visible."""
    total = max(sum(counts), 1)
    ends = [round(BAR_WIDTH * sum(counts[: i + 1]) / total) for i in range(len(counts))]
    starts = [0, *ends[:-1]]
    return [max(e - s, int(c > 0)) for s, e, c in zip(starts, ends, counts, strict=True)]


def _epochs(progress: Progress) -> RenderableType:
    """Return the bar of all epochs, and below it their rate and the time left."""
    told = [f"{progress.epochs_done:,}/{progress.epochs_planned:,}"]
    if progress.rate is not None:
        told.append(f"{progress.rate:,.1f} epochs/h")
    if progress.seconds_left is not None:
        told.append(f"{render_duration(progress.seconds_left)} left")
    elif progress.stopped:
        told.append(f"ended {progress.stopped}")
    bar = _epoch_bar(progress.epochs_done, progress.epochs_planned, width=BAR_WIDTH)
    return _labelled("epochs", bar, Text("  ".join(told)))


def _epoch_bar(done: int, planned: int, *, width: int) -> ProgressBar:
    """Return a bar of the completed epochs."""
    return ProgressBar(total=max(planned, 1), completed=done, width=width, complete_style="green")


def _labelled(label: str, bar: RenderableType, legend: Text) -> Table:
    """Return a bar with its label before it and its numbers below it."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=6)
    grid.add_row(label, bar)
    grid.add_row("", legend)
    return grid
