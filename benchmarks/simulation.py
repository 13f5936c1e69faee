#!/usr/bin/env python3
"""How long experiments take on many nodes, and why tiles are idle meanwhile: simulated.

The costs are those that dispatch.py measured (docs/overheads.md); what only the machine can tell
is assumed below. --measured FILE... simulates experiments of dispatch.py again, with costs from
their own times, and sets makespan and idle shares side by side.
"""

import argparse
import json
import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import listscheduling
from chainmodel import Costs, simulate, spread
from listscheduling import Idle, Placed

# Seconds; measured, as docs/overheads.md tells.
COSTS = Costs(
    submit=0.033,
    finish=0.33,
    status=0.003,
    look=0.2,
    dispatch=0.002,
    latency=0.1,
    # By overhead.py, of a run after another and, in addition, of the first of a tile. ASSUME: on a
    # node as on the machine that measured them.
    startup=0.6,
    first=3.9,
    jobs=5000,
)
# Seconds from the command to the first submission, for each run of the graph.
BEGIN = 0.008
# ASSUME: nodes of a block are staged and ready within a minute, half of it at random.
READY, STRAGGLING = 30.0, 30.0
TILES_PER_NODE = 12
# Median seconds of a training; at 10 and 60 s, 1,000 nodes wait for submissions and little else.
LENGTHS = (10, 60, 600, 3600)
LONG = (600, 3600)


@dataclass(frozen=True)
class Spread:
    """How the lengths of trainings differ: lognormal, cut off at a multiple of the median."""

    width: float
    longest: float


SPREADS = {
    # All train for the same number of epochs, on slightly different rows.
    "20 epochs": Spread(0.03, math.inf),
    # Early stopping ends most of them at any time before epoch 200.
    "early stopping": Spread(0.35, 2.0),
}


@dataclass(frozen=True)
class Scenario:
    """So many runs on so many nodes."""

    nodes: int
    runs: int
    jobs: int = COSTS.jobs
    lengths: Sequence[float] = LENGTHS

    @property
    def tiles(self) -> int:
        """Return the number of tiles."""
        return self.nodes * TILES_PER_NODE

    @property
    def costs(self) -> Costs:
        """Return what the steps take with so many runs."""
        return replace(COSTS, begin=BEGIN * self.runs, jobs=self.jobs)


SCENARIOS = {
    "13 nodes": Scenario(13, 770),
    "65 nodes": Scenario(65, 770),
    "257 nodes": Scenario(257, 4 * 770),
    "1,000 nodes": Scenario(1000, 12_000, lengths=LONG),
    "1,000 nodes, jobs: 20000": Scenario(1000, 12_000, jobs=20_000, lengths=LONG),
}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--measured", metavar="FILE", nargs="+", type=Path, default=[])
    args = parser.parse_args()
    if args.measured:
        for path in args.measured:
            print(repeat(path))
        return
    print("|", " | ".join(HEADER), "|")
    print("|", "---|" * len(HEADER), sep="")
    for name, scenario in SCENARIOS.items():
        for spread_name, widths in SPREADS.items():
            for seconds in scenario.lengths:
                cells = [name, spread_name, *line(scenario, seconds, widths)]
                print("|", " | ".join(cells), "|", flush=True)
    for name, scenario in SCENARIOS.items():
        print(f"{name}: {limits(scenario)}")


HEADER = (
    *("", "lengths", "s/run", "makespan", "list", "beyond", "known"),
    *("submission", "dispatch", "tail", "start-up", "main busy", "dispatcher busy"),
)


def line(scenario: Scenario, seconds: float, widths: Spread) -> list[str]:
    """Return what trainings of a median length make of a scenario: minutes, and per cent."""
    longest = widths.longest * seconds
    durations = spread(scenario.runs, seconds, width=widths.width, longest=longest)
    begins = ready(scenario.tiles)
    outcome = simulate(durations, begins, scenario.costs)
    # The same runs on the same tiles, by a chain that costs nothing.
    free = simulate(durations, begins, Costs()).makespan
    used = {tile: at for tile, at in named(begins).items() if at < min(free, outcome.makespan)}
    idle = listscheduling.idle(outcome.placed, used)
    work, least = (sum(durations) / tile_time(used, end) for end in (outcome.makespan, free))
    startup, beyond = 1 - idle.all - work, least - work
    busy = outcome.main / outcome.known, outcome.dispatcher / outcome.makespan
    percent = [idle.submission, idle.dispatch, idle.tail, startup, *busy]
    minutes = [f"{time / 60:.1f}" for time in (outcome.makespan, free)]
    shares = [f"{100 * share:.1f}" for share in percent]
    known = f"{outcome.known / 60:.1f}"
    return [f"{seconds:.0f}", *minutes, f"{100 * beyond:.1f}", known, *shares]


def tile_time(begins: Mapping[str, float], end: float) -> float:
    """Return the seconds of all tiles from their beginnings to an end."""
    return sum(end - begin for begin in begins.values())


def ready(tiles: int) -> list[float]:
    """Return when each tile begins, those of a node together."""
    draw = random.Random(0)
    nodes = [READY + draw.uniform(0, STRAGGLING) for _ in range(tiles // TILES_PER_NODE)]
    return [begin for begin in nodes for _ in range(TILES_PER_NODE)]


def named(begins: Sequence[float]) -> dict[str, float]:
    """Return the beginnings by the names that the model gives tiles."""
    return {str(tile): begin for tile, begin in enumerate(begins)}


def limits(scenario: Scenario) -> str:
    """Return how long runs must be for the chain to keep up with the tiles, wave after wave."""
    costs = scenario.costs
    main = scenario.tiles * (costs.submit + costs.finish)
    dispatcher = scenario.tiles * costs.dispatch
    return (
        f"the main process keeps up with all tiles if a run takes {main:.0f} s on its tile, "
        f"the dispatcher if it takes {dispatcher:.0f} s"
    )


def repeat(path: Path) -> str:
    """Return an experiment of dispatch.py beside its simulation, with costs from its own times."""
    measured = json.loads(path.read_text())
    runs = sorted((Placed(*run) for run in measured["runs"]), key=lambda run: run.submitted)
    begins, zero = measured["begins"], runs[0].submitted
    submit = (runs[-1].submitted - zero) / (len(runs) - 1)
    waits = statistics.mean(listscheduling.latencies(runs))
    costs = Costs(submit=submit, look=0.2, latency=waits)
    start = [max(0.0, begin - zero) for begin in begins.values()]
    outcome = simulate([run.end - run.start for run in runs], start, costs)
    real = listscheduling.idle(runs, begins)
    makespan = max(run.end for run in runs) - zero
    model = listscheduling.idle(outcome.placed, named(start))
    return (
        f"{path.stem}: measured {makespan:.1f} s, {shares(real)}; "
        f"simulated {outcome.makespan:.1f} s, {shares(model)}"
    )


def shares(idle: Idle) -> str:
    """Return the idle shares in per cent."""
    parts = {"submission": idle.submission, "dispatch": idle.dispatch, "tail": idle.tail}
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in parts.items())


if __name__ == "__main__":
    main()
