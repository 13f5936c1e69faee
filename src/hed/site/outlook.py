"""What a submission will do, as people read it."""

from collections.abc import Iterable, Iterator, Sequence

from hed.config import schema
from hed.site import capacity
from hed.site.capacity import Outlook
from hed.site.site import Site
from hed.words import clock

Row = Sequence[str]


def render(site: Site, runs: int, *, source: str, hours_per_run: float | None = None) -> str:
    """Return how `runs` runs will fill a site, a name and a value per line.

    Args:
        source: where the settings were read.
    """
    outlook = capacity.foresee(site, runs)
    rows = [("site", source), *_places(site), *_load(site, outlook)]
    if hours_per_run is not None:
        rows += _time(site, outlook, hours_per_run)
    width = max(len(name) for name, _ in rows)
    return "".join(f"{name:<{width}}  {value}\n" for name, value in rows)


def render_suggestions(site: Site, runs: int, *, hours_per_run: float | None = None) -> str:
    """Return a table of the nodes per block that leave the fewest tiles idle."""
    outlooks = capacity.suggest(site, runs)
    head = ["nodes per block", "blocks", "tiles", "waves", "fill"]
    rows = [[*_counts(outlook), _percent(outlook.fill)] for outlook in outlooks]
    if hours_per_run is not None:
        head += ["hours", "node-hours"]
        for row, outlook in zip(rows, outlooks, strict=True):
            time = capacity.estimate(site, outlook, hours_per_run=hours_per_run)
            row += [_number(time.hours), _number(time.node_hours)]
    return _aligned([head, *rows])


def _places(site: Site) -> Iterator[tuple[str, str]]:
    """Yield what the scheduler needs to know."""
    if site.scheduler == "local":
        return
    yield "queue", _queue(site)
    if site.account:
        yield "account", site.account
    elif site.scheduler == "pbs":
        yield "account", "none: set PROJECT in the environment before you submit"


def _queue(site: Site) -> str:
    """Return which queue the blocks wait in and what it takes."""
    name = site.queue or "the default"
    if site.queue not in site.queues:
        hint = f"; {schema.nearest(name, site.queues)}" if site.queue and site.queues else ""
        return f"{name}, limits not known{hint}"
    limits = capacity.limits_of(site)
    longest = limits.longest(site.nodes_per_block)
    words = [capacity.nodes_of(limits)]
    words += [f"up to {clock(longest)}"] if longest is not None else []
    words += [f"{limits.max_running} jobs running at once"] if limits.max_running else []
    return f"{name}: {', '.join(words)}"


def _load(site: Site, outlook: Outlook) -> Iterator[tuple[str, str]]:
    nodes = f"{outlook.nodes:,} node{'s' if outlook.nodes > 1 else ''}"
    waiting = outlook.blocks - outlook.running
    note = f", {waiting} of them waiting for the others" if waiting else ""
    yield "blocks", f"{outlook.blocks} x {nodes} for {clock(site.walltime)}{note}"
    yield "nodes", f"{outlook.running * outlook.nodes:,}"
    yield "tiles", f"{outlook.tiles:,}"
    yield "runs", f"{outlook.runs:,}"
    yield "waves", f"{outlook.waves:,}"
    yield "fill", _percent(outlook.fill)
    yield "node-hours", f"{_number(outlook.node_hours)} requested"


def _time(site: Site, outlook: Outlook, hours: float) -> Iterator[tuple[str, str]]:
    time = capacity.estimate(site, outlook, hours_per_run=hours)
    used = f"{_number(time.hours)} h, {_number(time.node_hours)} node-hours"
    yield "time", f"{used}, if each run takes {hours:g} h"
    if time.rounds == 1:
        yield "walltime", "suffices"
    else:
        blocks = f"about {time.rounds:,} blocks one after the other"
        yield "walltime", f"too short for one block: {blocks}, runs continue from their checkpoints"


def _counts(outlook: Outlook) -> list[str]:
    return [f"{n:,}" for n in (outlook.nodes, outlook.running, outlook.tiles, outlook.waves)]


def _aligned(rows: Iterable[Row]) -> str:
    """Return rows as aligned columns, values on the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "".join(f"{line}\n" for line in lines)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _number(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
