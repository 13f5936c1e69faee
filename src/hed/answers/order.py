"""How well one order of things agrees with another; small values come first.

All functions take k lists of up to n values at once, as the rows of a matrix, and return k numbers.
Ties are never broken at random: a measure that depends on them is the mean over all ways to break
them. A measure that is undefined is NaN.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Values that are compared with all before them at once.
BLOCK = 128
BEFORE = np.tri(BLOCK, dtype=bool)


@dataclass(frozen=True)
class Order:
    """The orders of k lists of up to n values each.

    Attributes:
        before: how many values of its list are smaller, k x n.
        tied: how many are equal, itself among them, k x n; 0 where the list has no value.
    """

    before: Integers
    tied: Integers

    @cached_property
    def known(self) -> Booleans:
        """Where the lists have values, k x n."""
        return self.tied > 0

    @cached_property
    def size(self) -> Integers:
        """How many values each list has, k."""
        size: Integers = self.known.sum(axis=1)
        return size

    @cached_property
    def is_constant(self) -> Booleans:
        """Which lists have no two different values, k."""
        constant: Booleans = self.tied.max(axis=1, initial=0) == self.size
        return constant

    @cached_property
    def pairs(self) -> Integers:
        """How many pairs of values each list has, k."""
        return self.size * (self.size - 1) // 2

    @cached_property
    def tied_pairs(self) -> Integers:
        """How many pairs of equal values each list has, k."""
        pairs: Integers = (self.tied - self.known).sum(axis=1) // 2
        return pairs

    def ranks(self) -> Floats:
        """Return the ranks from 1, k x n; tied values share their mean rank."""
        return self.before + (self.tied + 1) / 2

    def spread(self, cumulative: Floats) -> Floats:
        """Return the weight of each value, the first i places having `cumulative[i]` together.

        Tied values share the mean of their places' weights. 0 where a list has no value. k x n.
        """
        whole = cumulative[self.before + self.tied] - cumulative[self.before]
        shared: Floats = whole / np.maximum(self.tied, 1)
        return shared


def arrange(values: Floats) -> Order:
    """Return the orders of lists, smallest first; NaN is no value of a list."""
    place = np.argsort(values, axis=1)
    first, last = _levels(np.take_along_axis(values, place, axis=1))
    before, tied = np.empty_like(place), np.empty_like(place)
    np.put_along_axis(before, place, first, axis=1)
    np.put_along_axis(tied, place, last - first, axis=1)
    known = ~np.isnan(values)
    return Order(before * known, tied * known)


def _levels(ordered: npt.NDArray[np.generic]) -> tuple[Integers, Integers]:
    """Return for each place in ordered lists where its equals begin, and after which they end."""
    count = ordered.shape[1]
    differs = ordered[:, 1:] != ordered[:, :-1]
    at = np.arange(1, count)
    first, last = np.zeros(ordered.shape, np.int64), np.full(ordered.shape, count)
    np.maximum.accumulate(at * differs, axis=1, out=first[:, 1:])
    ends = np.where(differs, at, count)[:, ::-1]
    last[:, :-1] = np.minimum.accumulate(ends, axis=1)[:, ::-1]
    return first, last


def first(size: int, k: int) -> Floats:
    """Return how many of the first i places are among the first k, i from 0 to `size`."""
    return np.minimum(np.arange(size + 1), k).astype(np.float64)


def discounts(size: int, k: int | None = None) -> Floats:
    """Return the sum of 1 / log2(1 + rank) over the first i places, i from 0 to `size`.

    Places after the first k have no weight.
    """
    weights = 1 / np.log2(np.arange(size) + 2)
    weights[slice(k, None) if k is not None else slice(0)] = 0
    return np.concatenate([[0.0], np.cumsum(weights)])


def spearman(true: Order, predicted: Order) -> Floats:
    """Return Spearman's correlation, NaN if either order is constant."""
    middle = (true.size[:, None] + 1) / 2
    x, y = ((order.ranks() - middle) * order.known for order in (true, predicted))
    return _ratio(_dot(x, y), np.sqrt(_dot(x, x) * _dot(y, y)))


def kendall(true: Order, predicted: Order) -> Floats:
    """Return Kendall's tau-b (Biometrika 33, 1945), NaN if either order is constant."""
    concordant, tied_both = _compare(true, predicted)
    free, free_there = true.pairs - true.tied_pairs, true.pairs - predicted.tied_pairs
    discordant = free - predicted.tied_pairs + tied_both - concordant
    return _ratio(concordant - discordant, np.sqrt(free.astype(np.float64) * free_there))


def _compare(true: Order, predicted: Order) -> tuple[Integers, Integers]:
    """Return the numbers of pairs that are in the same order in both, and that are tied in both.

    In the true order, with ties by falling prediction, the former are pairs whose later value is
    larger.
    """
    count = true.tied.shape[1]
    # Missing values come last.
    keys = np.where(true.known, true.before * count + count - 1 - predicted.before, count**2)
    keys.sort(axis=1)
    # Many pairs are compared: the smallest type that holds the places is the fastest.
    later = (count - 1 - keys % count).astype(np.min_scalar_type(count))
    concordant = [_rising(row[:size]) for row, size in zip(later, true.size, strict=True)]
    begin, end = _levels(keys)
    both = (end - begin - 1) * (keys < count**2)
    return np.array(concordant, np.int64), both.sum(axis=1) // 2


def _rising(values: Integers) -> int:
    """Return the number of pairs of which the later value is larger."""
    count = 0
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK, None]
        before = BEFORE[: len(block), : len(block)]
        count += int(np.count_nonzero(values[:start] < block))
        count += int(np.count_nonzero((block > block.T) & before))
    return count


def recall(true: Order, predicted: Order, cumulative: Floats) -> Floats:
    """Return the share of the true first k that are among the predicted first k.

    NaN if there are not more than k values, since then every order finds all. `cumulative` is
    `first` of at least that size.
    """
    k = cumulative[-1]
    shared = _dot(true.spread(cumulative), predicted.spread(cumulative)) / k
    return np.where(true.size > k, shared, np.nan)


def ndcg(gain: Floats, true: Order, predicted: Order, cumulative: Floats) -> Floats:
    """Return the normalised discounted cumulative gain, NaN if no value has a gain.

    Järvelin and Kekäläinen, ACM Trans. Inf. Syst. 20 (2002); ties as McSherry and Najork, ECIR
    2008. `gain`, of k x n, falls along the true order; `cumulative` are `discounts` of at least
    that size.
    """
    return _ratio(_dot(predicted.spread(cumulative), gain), best(gain, true, cumulative))


def best(gain: Floats, true: Order, cumulative: Floats) -> Floats:
    """Return the discounted cumulative gain of the true order, by which others are normalised."""
    return _dot(true.spread(cumulative), gain)


def random_spearman(true: Order) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of Spearman's correlation with a random order."""
    deviation = 1 / np.sqrt(np.maximum(true.size - 1, 1))
    return _undefined(true, np.zeros(len(true.size))), _undefined(true, deviation)


def random_kendall(true: Order) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of tau-b with a random order that has no ties.

    Kendall, Rank Correlation Methods (1970), chapter 4.
    """
    tied = ((true.tied - 1.0) * (2.0 * true.tied + 5) * true.known).sum(axis=1)
    variance = (true.size * (true.size - 1.0) * (2.0 * true.size + 5) - tied) / 18
    pairs = true.pairs.astype(np.float64)
    deviation = np.sqrt(_ratio(variance, pairs * (pairs - true.tied_pairs)))
    return _undefined(true, np.zeros(len(true.size))), _undefined(true, deviation)


def random_sum(values: Floats, known: Booleans, cumulative: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the sum of values in random order with weights.

    The first i places have `cumulative[i]` together. Hoeffding, Ann. Math. Stat. 22 (1951).

    Args:
        values: k x n.
        known: where lists have values, k x n.
        cumulative: n + 1 or more.
    """
    size = known.sum(axis=1)
    count = np.maximum(size, 1)
    mean, weight = (values * known).sum(axis=1) / count, cumulative[size]
    around = np.where(known, values - mean[:, None], 0.0)
    squares = np.concatenate([[0.0], np.cumsum(np.diff(cumulative) ** 2)])[size]
    both = _dot(around, around) * np.maximum(squares - weight**2 / count, 0.0)
    return mean * weight, np.sqrt(both / np.maximum(size - 1, 1))


def random_recall(true: Order, cumulative: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of `recall` of a random order."""
    k = cumulative[-1]
    found = random_sum(true.spread(cumulative) / k, true.known, cumulative)
    mean, deviation = (np.where(true.size > k, values, np.nan) for values in found)
    return mean, deviation


def random_ndcg(gain: Floats, true: Order, cumulative: Floats) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of `ndcg` of a random order."""
    most = best(gain, true, cumulative)
    mean, deviation = random_sum(gain, true.known, cumulative)
    return _ratio(mean, most), _ratio(deviation, most)


def random_mean(values: Floats, known: Booleans, deviation: Floats) -> float:
    """Return the standard deviation of a mean over lists, if one random order is that of all.

    Exact for sums of values with weights, in lists that have the same places; for tau-b, whose
    values are ranks, an approximation.

    Args:
        values: whose order matters, k x n.
        known: where lists have values, k x n.
        deviation: of each list by itself, k; NaN where it has none.
    """
    defined = np.isfinite(deviation)
    size = np.maximum(known.sum(axis=1), 1)
    around = np.where(known, values - ((values * known).sum(axis=1) / size)[:, None], 0.0)
    length = np.sqrt(_dot(around, around))
    scale = np.divide(deviation, length, out=np.zeros(len(length)), where=defined & (length > 0))
    return float(np.linalg.norm(scale @ around)) / max(int(defined.sum()), 1)


def _dot(x: Floats, y: Floats) -> Floats:
    """Return the product sum of each list."""
    product: Floats = np.einsum("ij,ij->i", x, y)
    return product


def _ratio(part: Floats | Integers, whole: Floats) -> Floats:
    """Return ratios, NaN where there is nothing to divide by."""
    undefined = np.full(len(whole), np.nan)
    ratio: Floats = np.divide(part, whole, out=undefined, where=whole > 0)
    return ratio


def _undefined(order: Order, values: Floats) -> Floats:
    """Return values with NaN where the order is constant."""
    return np.where(order.is_constant, np.nan, values)
