"""The rule by which a drug is a high error drug: how far out its error lies among all drugs."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hed.answers.grid import Floats
from hed.errors import InputError
from hed.watching.aggregate import BASELINES

SKILLS = tuple(f"skill_{name}" for name in BASELINES)
METRICS = ("rmse", "mse", "mae", "bias", "pcc", "scc", "r2", *SKILLS)
LARGER_IS_WORSE = ("rmse", "mse", "mae", "bias")
# Iglewicz and Hoaglin, How to Detect and Handle Outliers (1993), call 3.5 for the robust z-score.
THRESHOLDS = {"robust_z": 3.5, "z": 3.0, "quantile": 0.95, "top": 10.0}
RANGES = {"quantile": (0.0, 1.0), "top": (1.0, 1e9)}
# MAD of a normal distribution / its standard deviation.
NORMAL_MAD = 0.6745


@dataclass(frozen=True)
class Rule:
    """Which drugs are high error drugs: those whose `metric` lies far out among all drugs.

    Attributes:
        metric: one of `METRICS`. Correlations, r2 and skill are bad if they are low; a bias
            counts by its size.
        by: `robust_z` (0.6745 (x - median) / MAD), `z`, `quantile` (share of the drugs that are at
            most as bad) or `top` (place among the worst).
        threshold: the least `by` of a high error drug, for `top` their number; None for
            `THRESHOLDS`.

    Raises:
        InputError: if there is no such metric or `by`, or no drug could be at the threshold.
    """

    metric: str = "rmse"
    by: str = "robust_z"
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown metric or `by`, and a threshold that means nothing."""
        for value, known in ((self.metric, METRICS), (self.by, THRESHOLDS)):
            if value not in known:
                raise InputError(f"no rule by {value!r}: choose one of {', '.join(known)}")
        low, high = RANGES.get(self.by, (-math.inf, math.inf))
        if not low <= self.least <= high or not math.isfinite(self.least):
            raise InputError(
                f"the threshold of {self.by} must be a number"
                + (f" from {low:g} to {high:g}" if self.by in RANGES else "")
                + f", not {self.least:g}"
            )

    @property
    def least(self) -> float:
        """The threshold in use."""
        return THRESHOLDS[self.by] if self.threshold is None else self.threshold

    @property
    def text(self) -> str:
        """The rule in words."""
        if self.by == "top":
            return f"the {self.least:g} worst by {self.metric}"
        return f"{self.by} of {self.metric} at least {self.least:g}"


def to_badness(values: Floats, metric: str) -> Floats:
    """Return a metric so that larger is worse."""
    if metric == "bias":
        values = np.abs(values)
    worse: Floats = values if metric in LARGER_IS_WORSE else -values
    return worse


def is_listed(badness: Floats, rule: Rule, noise: float = 0.0) -> npt.NDArray[np.bool_]:
    """Return which drugs (last axis) the rule lists; `noise`: see `standardise`."""
    place = standardise(badness, rule.by, noise)
    listed: npt.NDArray[np.bool_] = place <= rule.least if rule.by == "top" else place >= rule.least
    return listed


def standardise(values: Floats, by: str, noise: float = 0.0) -> Floats:
    """Return where values lie among those of the last axis, larger being worse (see `Rule.by`).

    NaN where that is undefined: a single value, or no spread.

    Args:
        noise: variance that the values have in addition to that of what they estimate. Without it
            the spread of `z` and `robust_z` is that of the estimated; half of the variance stays.
    """
    if by in ("quantile", "top"):
        return _placed(values, by)
    centre, spread = _location(values, by)
    spread = np.sqrt(np.maximum(spread**2 - noise, spread**2 / 2)) if noise else spread
    undefined = np.full_like(values, np.nan)
    scores: Floats = np.divide(values - centre, spread, out=undefined, where=spread > 0)
    return scores


def noise_in(draws: Floats, estimates: Floats, rule: Rule) -> float:
    """Return the variance that noise adds to the spread of each draw: `noise` of `standardise`.

    A draw has the noise of the estimates and its own. They add twice what adding the noise of
    another draw does, from which this extrapolates, since errors of drugs and their noise are far
    from normal (Cook and Stefanski, Simulation-extrapolation, J. Am. Stat. Assoc. 89, 1994).

    Args:
        draws: badness in each draw, replicates x drugs.
        estimates: one per drug.
    """
    if rule.by in ("quantile", "top"):
        return 0.0
    noisier = draws + np.roll(draws, 1, axis=0) - estimates
    once, twice = (np.square(_location(each, rule.by)[1]).mean() for each in (draws, noisier))
    return 2 * max(float(twice - once), 0.0)


def limit(badness: Floats, rule: Rule) -> float | None:
    """Return the value from which on a rule of scores lists a drug; None if there is no spread."""
    centre, spread = (float(part[0]) for part in _location(badness, rule.by))
    return centre + rule.least * spread if spread > 0 else None


def _location(values: Floats, by: str) -> tuple[Floats, Floats]:
    """Return centre and spread over the last axis, which is kept: by `z` or by `robust_z`."""
    if by == "z":
        centre = values.mean(axis=-1, keepdims=True)
        return centre, values.std(axis=-1, keepdims=True, ddof=min(1, values.shape[-1] - 1))
    centre = np.median(values, axis=-1, keepdims=True)
    return centre, np.median(np.abs(values - centre), axis=-1, keepdims=True) / NORMAL_MAD


def _placed(values: Floats, by: str) -> Floats:
    """Return the share of values at most as large as each, or its place from the largest."""
    count = values.shape[-1]
    no_worse: Floats = np.apply_along_axis(_count_at_most, -1, values)
    place: Floats = no_worse / count if by == "quantile" else count - no_worse + 1.0
    return place


def _count_at_most(values: Floats) -> Floats:
    """Return how many values are at most as large as each."""
    count: Floats = np.searchsorted(np.sort(values), values, side="right").astype(np.float64)
    return count
