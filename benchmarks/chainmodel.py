"""A model of the chain from Snakemake to the tiles, in the words of simpy: who waits for whom.

Snakemake's main process submits all that it may, one after the other, then deals with the runs
that have ended, one after the other; a thread of it looks at one after the other. The dispatcher
gives one run after the other to a free tile. The tiles work at the same time.
"""

import math
import random
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import simpy
from listscheduling import Placed

Steps = Generator[simpy.Event, object, None]


@dataclass(frozen=True)
class Costs:
    """What each step takes, in seconds.

    Attributes:
        begin: from the command to the first submission.
        submit: a submission, of the main process's time.
        finish: a run that has ended, of the main process's time.
        status: a look at one run.
        pause: between two rounds of looks at all runs.
        look: between two of the dispatcher's looks for submitted runs.
        dispatch: a run, of the dispatcher's time.
        latency: from the dispatcher to the tile and back; no one else waits for it.
        startup: on the tile, beside the training (Snakemake, partition, score).
        first: in addition, in the first run of a tile, whose server starts (TensorFlow, tracing).
        jobs: the most runs that are submitted and not known to have ended.
    """

    begin: float = 0.0
    submit: float = 0.0
    finish: float = 0.0
    status: float = 0.0
    pause: float = 2.0
    look: float = 0.0
    dispatch: float = 0.0
    latency: float = 0.0
    startup: float = 0.0
    first: float = 0.0
    jobs: int = 1_000_000


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        placed: the runs, in the order in which they ended.
        known: when the main process knew that all had ended.
        main, dispatcher: seconds that they were busy until the last run ended.
    """

    placed: list[Placed] = field(default_factory=list)
    known: float = 0.0
    main: float = 0.0
    dispatcher: float = 0.0

    @property
    def makespan(self) -> float:
        """Return when the last run ended."""
        return max(run.end for run in self.placed)


def simulate(durations: Sequence[float], begins: Sequence[float], costs: Costs) -> Outcome:
    """Return when and where each run takes place.

    Args:
        durations: seconds of each training, in the order of submission.
        begins: for each tile, when it is there; the tile's name is its number.
        costs: of the steps around the trainings.
    """
    model = _Model(durations, costs)
    for tile, begin in enumerate(begins):
        model.env.process(model.arrive(tile, begin))
    for process in (model.watch(), model.dispatch()):
        model.env.process(process)
    model.env.run(until=model.env.process(model.main()))
    return model.outcome


def spread(
    runs: int, median: float, *, width: float, longest: float = math.inf, seed: int = 0
) -> list[float]:
    """Return lognormal lengths, those beyond the longest cut off; seconds."""
    draw = random.Random(seed)
    return [min(longest, median * draw.lognormvariate(0, width)) for _ in range(runs)]


class _Model:
    """The state of the chain: what waits where."""

    def __init__(self, durations: Sequence[float], costs: Costs) -> None:
        self.env = simpy.Environment()
        self.durations, self.costs = durations, costs
        self.outcome = Outcome()
        self.spool, self.tiles = simpy.Store(self.env), simpy.Store(self.env)
        self.active: dict[int, None] = {}
        self.ends: dict[int, float] = {}
        self.warm: set[int] = set()
        self.noticed = simpy.Store(self.env)

    def main(self) -> Steps:
        """Submit all runs, as far as there may be more, and deal with those that have ended."""
        yield self.env.timeout(self.costs.begin)
        submitted = finished = 0
        while finished < len(self.durations):
            while submitted < min(len(self.durations), finished + self.costs.jobs):
                yield self._work(self.costs.submit)
                self.active[submitted] = None
                self.spool.put((submitted, self.env.now))
                submitted += 1
            yield self.noticed.get()
            yield self._work(self.costs.finish)
            finished += 1
        self.outcome.known = self.env.now

    def watch(self) -> Steps:
        """Look at all runs that are not known to have ended, again and again."""
        while True:
            yield self.env.timeout(self.costs.pause)
            status, begin = self.costs.status, self.env.now
            looks = [(begin + status * number, run) for number, run in enumerate(self.active, 1)]
            # A look that finds a run on its tile is not worth an event: there are millions.
            for time, run in looks:
                if self.ends.get(run, math.inf) <= time:
                    yield self._until(time)
                    del self.active[run]
                    self.noticed.put(run)
            yield self._until(begin + status * len(looks))

    def dispatch(self) -> Steps:
        """Give runs to tiles, first come, first served."""
        while True:
            run, submitted = yield self.spool.get()
            yield self._until(self._look_after(submitted))
            tile = yield self.tiles.get()
            self.outcome.dispatcher += self.costs.dispatch
            yield self.env.timeout(self.costs.dispatch)
            self.env.process(self._train(run, submitted, tile))

    def arrive(self, tile: int, begin: float) -> Steps:
        """Have a tile begin."""
        yield self.env.timeout(begin)
        self.tiles.put(tile)

    def _train(self, run: int, submitted: float, tile: int) -> Steps:
        yield self.env.timeout(self.costs.latency)
        start = self.env.now
        first = 0.0 if tile in self.warm else self.costs.first
        self.warm.add(tile)
        self.ends[run] = start + first + self.costs.startup + self.durations[run]
        yield self._until(self.ends[run])
        self.outcome.placed.append(Placed(str(tile), submitted, start, self.ends[run]))
        self.tiles.put(tile)

    def _work(self, seconds: float) -> simpy.Event:
        """Return the event of the main process having worked for so long."""
        self.outcome.main += seconds
        return self.env.timeout(seconds)

    def _look_after(self, submitted: float) -> float:
        """Return when the dispatcher sees a submitted run."""
        look = self.costs.look
        return math.ceil(submitted / look) * look if look else submitted

    def _until(self, time: float) -> simpy.Event:
        """Return the event of a time, now if it is past."""
        return self.env.timeout(max(0.0, time - self.env.now))
