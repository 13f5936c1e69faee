"""What the repeats of a run say together: averaged predictions, and how far trainings differ.

Other trainings would have moved the average by a normal amount, of the variance that its R repeats
show: a multiplier bootstrap (Wu, Jackknife, bootstrap and other resampling methods in regression
analysis, Ann. Stat. 14, 1986), since draws of 2 or 3 repeats cannot lie beyond the farthest one.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from hed.answers.bootstrap import Resampling
from hed.answers.grid import Floats, Grid, Integers
from hed.experiment.runs import Run


@dataclass(frozen=True)
class Repeats:
    """Which of n runs repeat each other.

    Attributes:
        order: the positions of the n runs, repeats next to each other.
        counts: how many runs each of m drugs has, in the order of their first runs.
    """

    order: Integers
    counts: Integers

    def mean(self, values: Floats) -> Floats:
        """Return the means over repeats of the last axis, which has the n runs in their order."""
        return self._added(self._ordered(values)) / self.counts

    def weighted(self, values: Floats, weights: Floats) -> Floats:
        """Return the B x m sums over repeats of n values, by the B x n weights of `deviate`."""
        return self._added(self._ordered(values) * weights)

    def _ordered(self, values: Floats) -> Floats:
        """Return values of runs with repeats next to each other, as in most experiments."""
        is_ordered = np.array_equal(self.order, np.arange(len(self.order)))
        return values if is_ordered else values[..., self.order]

    def _added(self, values: Floats) -> Floats:
        added: Floats
        if (self.counts == (number := self.counts[0])).all():  # three times as fast as reduceat
            added = sum((values[..., k::number] for k in range(1, number)), values[..., ::number])
        else:
            added = np.add.reduceat(values, np.cumsum(self.counts) - self.counts, axis=-1)
        return added

    def deviate(self, how: Resampling) -> Floats:
        """Return the weights of runs, in `order`, that give draws of how far their mean may be off.

        B x n; those of a drug add up to 0, and the variance of its weighted values is s^2 / R.
        """
        random = np.random.default_rng([how.seed, 1])
        normal = random.standard_normal((how.replicates, len(self.order)))
        of_run = np.repeat(self.counts, self.counts)
        centred = normal - np.repeat(self._added(normal) / self.counts, self.counts, axis=1)
        return centred / np.sqrt(of_run * np.maximum(of_run - 1, 1))


def find(runs: Sequence[str], repeat_of: Mapping[str, str]) -> Repeats:
    """Return which of some runs repeat each other.

    Args:
        repeat_of: run to the first one that it repeats, for those that repeat another.
    """
    first = np.array([repeat_of.get(run, run) for run in runs])
    _, place, number = np.unique(first, return_index=True, return_inverse=True)
    by_appearance = np.argsort(np.argsort(place))[number]
    order = np.argsort(by_appearance, kind="stable")
    return Repeats(order=order, counts=np.bincount(by_appearance))


def number(runs: Iterable[Run]) -> dict[str, int]:
    """Return the number of each run among its repeats, from 1."""
    counts, numbers = Counter[str](), {}
    for run in runs:
        counts[run.first] += 1
        numbers[run.id] = counts[run.first]
    return numbers


def average(
    parts: pl.DataFrame, grid: Grid, repeat_of: Mapping[str, str]
) -> tuple[pl.DataFrame, Integers]:
    """Return predictions averaged over repeats, and for each single one the row of its average.

    Repeats are tested on the same rows; replicates (of the same drug and cell) are in the same
    order. What only some of them predict is averaged over those.

    Args:
        parts: as `heldout.HeldOut.parts`.
        grid: of `parts`, by run and cell.
    """
    firsts = [repeat_of.get(run, run) for run in grid.drugs]
    number_of = {first: number for number, first in enumerate(dict.fromkeys(firsts))}
    of_run = np.array([number_of[first] for first in firsts])
    own, key = grid.pair, of_run[grid.drug] * len(grid.cells) + grid.cell
    if parts.select((pl.col("drug") != pl.col("held_out")).any()).item():
        drug = parts.select(pl.col("drug").rank("dense").fill_null(0)).to_series().to_numpy()
        own, key = (_numbered(each, drug) for each in (own, key))
    copy = _copies(own)
    key = key * (copy.max() + 1) + copy
    total, count = np.bincount(key, parts["predicted"].to_numpy()), np.bincount(key)
    # Of several rows with the same key, the last one written stays: the first of the table.
    row = np.zeros(len(count), dtype=np.int64)
    row[key[::-1]] = np.arange(len(key))[::-1]
    chosen = np.sort(row[count > 0])
    number = np.zeros(len(count), dtype=np.int64)
    number[key[chosen]] = np.arange(len(chosen))
    mean = pl.Series("predicted", (total / np.maximum(count, 1))[key[chosen]])
    names = pl.Series("run", firsts)[grid.drug[chosen]]
    return parts[chosen].with_columns(names, mean), number[key]


def _numbered(one: Integers, other: Integers) -> Integers:
    """Return a number for each distinct pair of two values, for one after the other."""
    number: Integers = np.unique(one * (other.max() + 1) + other, return_inverse=True)[1]
    return number


def _copies(pair: Integers) -> Integers:
    """Return how many earlier values equal each value: which replicate a row of a pair is."""
    if np.bincount(pair).max(initial=0) <= 1:  # most experiments have no replicates
        return np.zeros(len(pair), dtype=np.int64)
    order = np.argsort(pair, kind="stable")
    ordered = pair[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(pair)))
    copy = np.empty(len(pair), dtype=np.int64)
    copy[order] = np.arange(len(pair)) - np.repeat(starts, sizes)
    return copy
