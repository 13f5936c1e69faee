"""What runs need and what blocks provide, before anything is submitted: arithmetic only."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

from hed.errors import InputError
from hed.site.limits import Limits
from hed.site.site import Site
from hed.words import clock

# No machine is larger; keeps the search for the best fill short.
MOST_NODES = 100_000

HOUR = 3600


@dataclass(frozen=True)
class Outlook:
    """How a number of runs will fill a site.

    Attributes:
        nodes: of each block.
        blocks: that are requested at once.
        running: those that the queue lets run at once.
        tiles: runs at once, in all running blocks.
        waves: trainings that the busiest tile does one after the other.
        fill: share of the tiles' time that has a run, if all take equally long.
        node_hours: requested at once, used up only if the blocks last to their end.
    """

    runs: int
    nodes: int
    blocks: int
    running: int
    tiles: int
    waves: int
    fill: float
    node_hours: float


@dataclass(frozen=True)
class Estimate:
    """How long it takes if every run takes equally long, without the wait in the queue.

    Attributes:
        hours: that the blocks run.
        node_hours: that they use.
        rounds: successive blocks that it takes; runs continue from their checkpoints.
    """

    hours: float
    node_hours: float
    rounds: int


def limits_of(site: Site) -> Limits:
    """Return the limits of the site's queue; none if they are unknown."""
    return site.queues.get(site.queue, Limits())


def foresee(site: Site, runs: int) -> Outlook:
    """Return how `runs` runs (at least 1) will fill a site.

    Blocks that no run would need are not requested, except those that the site always starts.
    """
    per_block = site.nodes_per_block * site.tiles_per_node
    blocks = min(site.max_blocks, max(site.init_blocks, _parts(runs, per_block)))
    running = min(blocks, limits_of(site).max_running or blocks)
    tiles = running * per_block
    waves = _parts(runs, tiles)
    return Outlook(
        runs=runs,
        nodes=site.nodes_per_block,
        blocks=blocks,
        running=running,
        tiles=tiles,
        waves=waves,
        fill=runs / (waves * tiles),
        node_hours=blocks * site.nodes_per_block * site.walltime / HOUR,
    )


def estimate(site: Site, outlook: Outlook, *, hours_per_run: float) -> Estimate:
    """Return how long the runs of `outlook` take at `hours_per_run`.

    In a block before the last, a tile works at least until the reserve begins.
    """
    # Whole seconds, so that 240 waves of 0.1 h are exactly a day.
    per_run = max(1, round(hours_per_run * HOUR))
    total = outlook.waves * per_run
    usable = site.walltime - site.reserve
    fits = total <= site.walltime and total - per_run <= usable
    return Estimate(
        hours=total / HOUR,
        node_hours=total / HOUR * outlook.running * outlook.nodes,
        rounds=1 if fits else max(2, _parts(total, usable)),
    )


def suggest(site: Site, runs: int, *, count: int = 5) -> list[Outlook]:
    """Return the nodes per block with the best fill that the queue takes, best first.

    Of two with the same fill, the larger finishes sooner.
    """
    outlooks = (
        foresee(dataclasses.replace(site, nodes_per_block=nodes), runs)
        for nodes in _sizes(site, runs)
    )
    # Of the sizes with the same number of waves, all but the best would only idle more.
    best = {outlook.waves: outlook for outlook in sorted(outlooks, key=_merit)}
    return sorted(best.values(), key=_merit, reverse=True)[:count]


def _merit(outlook: Outlook) -> tuple[float, int]:
    return outlook.fill, outlook.nodes


def _sizes(site: Site, runs: int) -> range:
    """Return the numbers of nodes that the queue takes, up to those of a single wave."""
    if not site.launcher:
        return range(1, 2)
    limits = limits_of(site)
    most = min(limits.max_nodes or MOST_NODES, _parts(runs, site.tiles_per_node), MOST_NODES)
    return range(limits.min_nodes, max(limits.min_nodes, most) + 1)


def refuse(site: Site, runs: int) -> None:
    """Refuse blocks that the queue would refuse; a queue without known limits refuses nothing.

    Raises:
        InputError: one sentence about the first limit, with what would be taken instead.
    """
    for refusal in _refusals(site, runs):
        raise InputError(refusal)


def _refusals(site: Site, runs: int) -> Iterator[str]:
    limits = limits_of(site)
    yield from _refused_nodes(site, limits, runs)
    yield from _refused_walltime(site, limits)
    if limits.max_queued is not None and site.max_blocks > limits.max_queued:
        yield (
            f"queue {site.queue} takes {limits.max_queued} jobs of a user, queued or running, "
            f"not {site.max_blocks}: set max_blocks to {limits.max_queued}"
        )


def _refused_nodes(site: Site, limits: Limits, runs: int) -> Iterator[str]:
    nodes = site.nodes_per_block
    if limits.takes_nodes(nodes):
        return
    others = " or ".join(_others(site))
    use = f"use {others}, or " if others else ""
    best = suggest(site, runs)[0].nodes
    procs = best * site.tiles_per_node * site.max_blocks
    yield (
        f"queue {site.queue} takes {nodes_of(limits)}, not {nodes}: "
        f"{use}set nodes_per_block to {best} (PROCS={procs})"
    )


def _refused_walltime(site: Site, limits: Limits) -> Iterator[str]:
    longest = limits.longest(site.nodes_per_block)
    if longest is not None and site.walltime > longest:
        yield (
            f"queue {site.queue} takes {site.nodes_per_block} nodes for up to {clock(longest)}, "
            f"not {clock(site.walltime)}: set walltime (WALLTIME) to that, "
            "and runs continue from their checkpoints in the next block"
        )
    if limits.min_walltime is not None and site.walltime < limits.min_walltime:
        yield (
            f"queue {site.queue} takes a walltime (WALLTIME) from {clock(limits.min_walltime)}, "
            f"not {clock(site.walltime)}"
        )


def _others(site: Site) -> Iterator[str]:
    """Yield the queues that take the site's blocks, and for how long if that is shorter."""
    for name, limits in site.queues.items():
        if limits.takes_nodes(site.nodes_per_block):
            longest = limits.longest(site.nodes_per_block)
            shorter = longest is not None and longest < site.walltime
            yield f"{name} (up to {clock(longest)})" if longest and shorter else name


def nodes_of(limits: Limits) -> str:
    """Return in words how many nodes a queue takes."""
    if limits.max_nodes is None:
        return f"{limits.min_nodes} nodes and more"
    return f"{limits.min_nodes} to {limits.max_nodes} nodes"


def _parts(whole: int, part: int) -> int:
    """Return how many parts a whole needs: the quotient, rounded up."""
    return -(-whole // part)
