"""How well one order of things agrees with another; small values come first.

Ties are never broken at random: a measure that depends on them is the mean over all ways to break
them. A measure that is undefined is NaN.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Values that are compared with all before them at once.
BLOCK = 128
BEFORE = np.tri(BLOCK, dtype=bool)


@dataclass(frozen=True)
class Order:
    """The order of n values in levels of equal ones: the level of each value, from 0.

    `count` has the number of values on each level, `last` that up to and with it.
    """

    level: Integers
    count: Integers
    last: Integers

    def ranks(self) -> Floats:
        """Return the ranks from 1; tied values share their mean rank."""
        mean: Floats = self.last - (self.count - 1) / 2
        return mean[self.level]

    def spread(self, cumulative: Floats) -> Floats:
        """Return the weight of each value, the first i places having `cumulative[i]` together.

        Tied values share the mean of their places' weights.
        """
        mean: Floats = (cumulative[self.last] - cumulative[self.last - self.count]) / self.count
        return mean[self.level]


def arrange(values: Floats | Integers) -> Order:
    """Return the order of values, smallest first."""
    _, level, count = np.unique(values, return_inverse=True, return_counts=True)
    return Order(level=level, count=count, last=np.cumsum(count))


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


def spearman(true: Order, predicted: Order) -> float:
    """Return Spearman's correlation, NaN if either order is constant."""
    x, y = (order.ranks() - (len(order.level) + 1) / 2 for order in (true, predicted))
    size = float(x @ x) * float(y @ y)
    return float(x @ y) / size**0.5 if size > 0 else np.nan


def kendall(true: Order, predicted: Order) -> float:
    """Return Kendall's tau-b (Biometrika 33, 1945), NaN if either order is constant."""
    size = len(true.level)
    pairs, both = size * (size - 1) // 2, true.level * size + predicted.level
    tied, tied_there = _pairs(true.count), _pairs(predicted.count)
    tied_both = _pairs(np.unique(both, return_counts=True)[1])
    concordant = _concordant(true, predicted)
    discordant = pairs - tied - tied_there + tied_both - concordant
    squared = (pairs - tied) * (pairs - tied_there)
    return (concordant - discordant) / squared**0.5 if squared > 0 else np.nan


def _concordant(true: Order, predicted: Order) -> int:
    """Return the number of pairs that are in the same order in both.

    In the true order, with ties by falling prediction, these are pairs whose later value is larger.
    """
    size = len(true.level)
    place = np.argsort(true.level * size - predicted.level)
    # Many pairs are compared: the smallest type that holds the levels is the fastest.
    later = predicted.level[place].astype(np.min_scalar_type(size))
    count = 0
    for start in range(0, size, BLOCK):
        block = later[start : start + BLOCK, None]
        before = BEFORE[: len(block), : len(block)]
        count += int(np.count_nonzero(later[:start] < block))
        count += int(np.count_nonzero((block > block.T) & before))
    return count


def recall(true: Order, predicted: Order, cumulative: Floats) -> float:
    """Return the share of the true first k that are among the predicted first k.

    NaN if there are not more than k values, since then every order finds all. `cumulative` is
    `first` of at least that size.
    """
    k = cumulative[-1]
    if len(true.level) <= k:
        return np.nan
    return float(true.spread(cumulative) @ predicted.spread(cumulative)) / float(k)


def ndcg(gain: Floats, true: Order, predicted: Order, cumulative: Floats) -> float:
    """Return the normalised discounted cumulative gain, NaN if no value has a gain.

    Järvelin and Kekäläinen, ACM Trans. Inf. Syst. 20 (2002); ties as McSherry and Najork, ECIR
    2008. `gain` falls along the true order; `cumulative` are `discounts` of at least that size.
    """
    best = float(true.spread(cumulative) @ gain)
    return float(predicted.spread(cumulative) @ gain) / best if best > 0 else np.nan


def random_spearman(true: Order) -> tuple[float, float]:
    """Return mean and standard deviation of Spearman's correlation with a random order."""
    count = len(true.level)
    return (0.0, (count - 1) ** -0.5) if len(true.count) > 1 else (np.nan, np.nan)


def random_kendall(true: Order) -> tuple[float, float]:
    """Return mean and standard deviation of tau-b with a random order that has no ties.

    Kendall, Rank Correlation Methods (1970), chapter 4.
    """
    count, t = len(true.level), true.count
    if len(t) < 2:
        return np.nan, np.nan
    variance = (_variance_terms(np.array([count])) - _variance_terms(t)) / 18
    pairs = count * (count - 1) // 2
    return 0.0, (variance / (pairs * (pairs - _pairs(t)))) ** 0.5


def random_sum(values: Floats, cumulative: Floats) -> tuple[float, float]:
    """Return mean and standard deviation of the sum of n values in random order with weights.

    The first i places have `cumulative[i]` together. Hoeffding, Ann. Math. Stat. 22 (1951).
    """
    size = len(values)
    weights = np.diff(cumulative[: size + 1])
    a, b = values - values.sum() / size, weights - cumulative[size] / size
    squares = float(a @ a) * float(b @ b)
    mean = float(values.sum() * cumulative[size]) / size
    return mean, (squares / max(size - 1, 1)) ** 0.5


def _pairs(counts: Integers) -> int:
    """Return the number of pairs within groups of these sizes."""
    return int((counts * (counts - 1) // 2).sum())


def _variance_terms(counts: Integers) -> float:
    """Return the sum of t (t - 1) (2 t + 5) over groups of size t."""
    return float((counts * (counts - 1.0) * (2.0 * counts + 5)).sum())
