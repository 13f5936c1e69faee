"""Bootstrap intervals of many statistics at once, by weights on what is resampled.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapters 11, 13 and 14. Drawing
whole cells keeps a cell's rows together: the cluster bootstrap of Field and Welsh, Bootstrapping
clustered data, J. R. Stat. Soc. B 69 (2007).
"""

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from hed.errors import InputError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Replicates of the same value differ by less, relatively.
ROUNDING = 1e-12
# A command has 3 s in all, and scipy.special alone takes a half to import.
_NORMAL = NormalDist()
ndtr = np.vectorize(_NORMAL.cdf, otypes=[np.float64])
ndtri = np.vectorize(_NORMAL.inv_cdf, otypes=[np.float64])


@dataclass(frozen=True)
class Resampling:
    """How often to draw, from which seed, and how much an interval covers.

    Raises:
        InputError: if there are no replicates, the seed is negative, or the level is not a share.
    """

    replicates: int = 1000
    seed: int = 0
    level: float = 0.95

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn."""
        if self.replicates < 2 or self.seed < 0 or not 0 < self.level < 1:
            raise InputError(
                f"cannot draw {self.replicates} replicates with seed {self.seed} for a level of "
                f"{self.level}: give at least 2, at least 0, and a share"
            )


@lru_cache(maxsize=4)
def draw(count: int, how: Resampling) -> Floats:
    """Return how often each of `count` things is drawn with replacement, replicates x count.

    The array is shared between calls and may not be changed.
    """
    rng = np.random.default_rng(how.seed)
    chosen = rng.integers(0, count, (how.replicates, count))
    offsets = count * np.arange(how.replicates)[:, None]
    drawn = np.bincount((chosen + offsets).ravel(), minlength=chosen.size)
    weights = drawn.reshape(chosen.shape).astype(np.float64)
    weights.flags.writeable = False
    return weights


@lru_cache(maxsize=4)
def median_places(count: int, how: Resampling) -> tuple[Integers, Integers]:
    """Return the two places whose mean is the median of each draw of `count` ordered values."""
    reached = np.cumsum(draw(count, how), axis=1)
    return (reached >= count / 2).argmax(axis=1), (reached > count / 2).argmax(axis=1)


def bca(
    estimate: Floats,
    replicates: Floats,
    without: Floats,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Return the bias-corrected and accelerated interval of each of n estimates.

    Efron, Better bootstrap confidence intervals, J. Am. Stat. Assoc. 82 (1987).

    Args:
        estimate: n values.
        replicates: B x n; NaN where a replicate has nothing to compute the value from.
        without: m x n, the values without each of m things; NaN for a thing that was not in it.
        level: what an interval covers.

    Returns:
        The lower and the upper ends; NaN where all replicates are equal.
    """
    spread = np.nan_to_num(replicates, nan=-np.inf).max(axis=0) - np.nan_to_num(
        replicates, nan=np.inf
    ).min(axis=0)
    low, high = (np.full_like(estimate, np.nan) for _ in range(2))
    varies = np.isfinite(estimate) & (spread > ROUNDING * np.abs(estimate))
    if varies.any():
        some = estimate[varies], replicates[:, varies], without[:, varies]
        low[varies], high[varies] = _bca(*some, tail=_NORMAL.inv_cdf((1 + level) / 2))
    return low, high


def _bca(
    estimate: Floats, replicates: Floats, without: Floats, *, tail: float
) -> tuple[Floats, Floats]:
    """Return the intervals of estimates that are defined and vary."""
    centre = ndtri(_share_below(estimate, replicates))
    tails = np.stack([-tail + centre, tail + centre])
    low, high = _quantiles(replicates, ndtr(centre + tails / (1 - acceleration(without) * tails)))
    return low, high


def acceleration(without: Floats) -> Floats:
    """Return how fast the standard error of each of n estimates changes with its value."""
    defined = np.isfinite(without)
    values = np.where(defined, without, 0.0)
    mean = values.sum(axis=0) / np.maximum(defined.sum(axis=0), 1)
    deviation = np.where(defined, mean - values, 0.0)
    square: Floats = np.square(deviation).sum(axis=0)
    cube: Floats = (np.square(deviation) * deviation).sum(axis=0)
    return np.divide(cube, 6 * square**1.5, out=np.zeros_like(cube), where=square > 0)


def _share_below(estimate: Floats, replicates: Floats) -> Floats:
    """Return the share of replicates below each estimate, ties by half, kept off 0 and 1."""
    defined = np.isfinite(replicates).sum(axis=0)
    below = (replicates < estimate).sum(axis=0) + (replicates == estimate).sum(axis=0) / 2
    share: Floats = np.clip(below, 0.5, defined - 0.5) / defined
    return share


def _quantiles(replicates: Floats, levels: Floats) -> Floats:
    """Return the quantiles (linear interpolation) of each column at its own levels, k x n."""
    ordered = np.sort(replicates, axis=0)  # NaN last
    place = levels * (np.isfinite(replicates).sum(axis=0) - 1)
    columns = np.arange(ordered.shape[1])
    low, high = (ordered[f(place).astype(np.int64), columns] for f in (np.floor, np.ceil))
    between: Floats = low + (place - np.floor(place)) * (high - low)
    return between
