"""Do intervals hold the truth as often as they say, and drugs belong to the list as probably?

Experiments of known error are simulated. The error of drug d, cell c and repeat r is

    bias_d + u_dc + t_dr + v_dcr

with normal u (what the cell does), t (what the training does) and v (both), of standard deviations
that differ between drugs. Of R repeats the mean prediction has the mse

    bias^2 + su^2 + (st^2 + sv^2) / R

over all cells and trainings: the truth of an interval. For probabilities one drug in seven is worse
than most, some of them only just, and the truth is the list that the rule makes of the true errors:
in experiments of many drugs, as they are, and of few, which hardly show how far errors spread.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from hed.answers.heldout import COLUMNS, HeldOut
from hed.answers.high_error import tabulate
from hed.answers.rule import Rule, is_listed
from hed.experiment.runs import Run

BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)
SCALE = 0.05  # of a cell's error, AUC
SIZES = (770, 40)  # drugs of an experiment
DRUGS = 160  # of all sizes, for each simulation of intervals
WORSE = 0.15  # share of them
# Between which standard deviations trainings shift a drug, of that of its cells.
TRAININGS = ((0.1, 0.3), (0.5, 0.9), (1.0, 1.5))


@dataclass(frozen=True)
class Truth:
    """What errors are drawn from, by drug: AUC."""

    bias: np.ndarray
    cell: np.ndarray
    training: np.ndarray
    both: np.ndarray

    def rmse(self, repeats: int) -> np.ndarray:
        """Return the error over all cells and trainings of the mean of so many repeats."""
        noise = (self.training**2 + self.both**2) / repeats
        root: np.ndarray = np.sqrt(self.bias**2 + self.cell**2 + noise)
        return root


def main() -> None:
    """Simulate, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--cells", type=int, default=150)
    args = parser.parse_args()
    repeated = ((repeats, between) for between in TRAININGS for repeats in (2, 3, 5))
    rows = [
        covered(args.simulations, args.cells, repeats, between)
        for repeats, between in ((1, TRAININGS[0]), *repeated)
    ]
    with pl.Config(tbl_rows=-1):
        print(pl.DataFrame(rows))
    for drugs in SIZES:
        simulations = max(1, args.simulations * DRUGS // drugs)
        for repeats, between in ((1, TRAININGS[0]), *((3, between) for between in TRAININGS)):
            found = reliability(simulations, args.cells, repeats, drugs, between)
            print(
                f"{simulations} experiments of {drugs} drugs, {repeats} repeats, {between}", found
            )


def covered(
    simulations: int, cells: int, repeats: int, trainings: tuple[float, float]
) -> dict[str, str | float]:
    """Return how often the interval of a drug's rmse holds the truth."""
    inside, below, above = [], [], []
    for seed in range(simulations):
        drawn = draw(np.random.default_rng([seed, repeats]), 12, trainings)
        truth = known(drawn, repeats)
        table = judge(truth, cells, repeats, seed, ["index", "rmse_low", "rmse_high"])
        low, high = (table[name].to_numpy() for name in ("rmse_low", "rmse_high"))
        expected = truth.rmse(repeats)
        inside.append((low <= expected) & (expected <= high))
        below.append(expected < low)
        above.append(expected > high)
    shares = {"covered": inside, "below": below, "above": above}
    low, high = trainings
    return {
        "trainings": f"{low:g} to {high:g}",
        "repeats": repeats,
        **{name: float(np.mean(of)) for name, of in shares.items()},
    }


def reliability(
    simulations: int, cells: int, repeats: int, drugs: int, trainings: tuple[float, float]
) -> pl.DataFrame:
    """Return, by the probability that is told, how often a drug belongs to the list."""
    told, listed, rule = [], [], Rule()
    for seed in range(simulations):
        rng = np.random.default_rng([seed, 99])
        truth = draw(rng, drugs, trainings)
        worse = np.where(np.arange(drugs) < WORSE * drugs, rng.uniform(1.2, 2.6, drugs), 1.0)
        truth = known(replace(truth, bias=truth.bias * worse, cell=truth.cell * worse), repeats)
        table = judge(truth, cells, repeats, seed, ["index", "probability"])
        told.append(table["probability"].to_numpy())
        listed.append(is_listed(truth.rmse(repeats), rule))
    return binned(np.array(told), np.array(listed))


def binned(told: np.ndarray, listed: np.ndarray) -> pl.DataFrame:
    """Return the mean of told probabilities and the share of listed drugs, by told probability.

    The standard error of a share is one over experiments, as the drugs of one share a threshold.

    Args:
        told, listed: experiments x drugs.
    """
    simulation = np.repeat(np.arange(len(told)), told.shape[1])
    columns = {"simulation": simulation, "told": told.ravel(), "listed": listed.ravel()}
    found = pl.DataFrame(columns)
    names = [f"{low:g} to {high:g}" for low, high in pairwise(BINS)]
    between = np.array(names)[np.digitize(found["told"].to_numpy(), BINS[1:-1])]
    beyond = pl.col("listed") - pl.col("listed").mean().over("told_between")
    return (
        found.with_columns(told_between=pl.Series(between))
        .with_columns(beyond=beyond)
        .group_by("told_between", "simulation")
        .agg(pl.len().alias("drugs"), pl.col("told", "listed", "beyond").sum())
        .group_by("told_between")
        .agg(
            pl.col("drugs").sum(),
            pl.col("told", "listed").sum() / pl.col("drugs").sum(),
            error=pl.col("beyond").pow(2).sum().sqrt() / pl.col("drugs").sum(),
        )
        .sort("told")
    )


def known(truth: Truth, repeats: int) -> Truth:
    """Return the truth that can be known: a single training tells nothing of others."""
    return truth if repeats > 1 else replace(truth, training=truth.training * 0)


def draw(rng: np.random.Generator, drugs: int, trainings: tuple[float, float]) -> Truth:
    """Return errors that differ between drugs."""
    return Truth(
        bias=rng.normal(0, 0.6 * SCALE, drugs),
        cell=SCALE * rng.uniform(0.8, 1.2, drugs),
        training=SCALE * rng.uniform(*trainings, drugs),
        both=SCALE * rng.uniform(0.2, 0.4, drugs),
    )


def judge(truth: Truth, cells: int, repeats: int, seed: int, columns: list[str]) -> pl.DataFrame:
    """Return the table of a simulated experiment, by index."""
    rng = np.random.default_rng([seed, 7])
    drugs = len(truth.bias)
    base = truth.bias[:, None] + truth.cell[:, None] * rng.normal(size=(drugs, cells))
    runs, parts = list[Run](), []
    for number in range(repeats):
        moved = truth.training[:, None] * rng.normal(size=(drugs, 1))
        noise = truth.both[:, None] * rng.normal(size=(drugs, cells))
        new = list(_runs(drugs, number))
        runs += new
        parts.append(_rows(new, base + moved + noise))
    held = HeldOut("simulated", tuple(runs), pl.concat(parts).select(COLUMNS), ())
    return tabulate(held, Rule(), columns=columns).sort("index")


def _runs(drugs: int, number: int) -> Iterator[Run]:
    """Yield the runs of one repeat."""
    for drug in range(drugs):
        first = f"RUN{drug:03d}"
        own = f"{first}-{number + 1}" if number else first
        directory = Path("nowhere")
        repeat_of = first if number else ""
        yield Run(own, drug, f"D{drug}", directory, repeat_of=repeat_of)


def _rows(runs: list[Run], error: np.ndarray) -> pl.DataFrame:
    """Return predictions of 0.5 with these errors."""
    drugs, cells = error.shape
    return pl.DataFrame(
        {
            "run": np.repeat([run.id for run in runs], cells),
            "index": np.repeat(np.arange(drugs), cells),
            "held_out": np.repeat([run.drug for run in runs], cells),
            "drug": np.repeat([run.drug for run in runs], cells),
            "cell": np.tile([f"C{cell:03d}" for cell in range(cells)], drugs),
            "true": np.full(drugs * cells, 0.5),
            "predicted": 0.5 + error.ravel(),
        }
    )


if __name__ == "__main__":
    main()
