"""Repeats: runs that hold out the same and differ only in the seed of the training.

The first repeat of a run has its id, the others `{id}-2`, `{id}-3`, ..., so that repeats can be
added to an experiment. All have the same partition: what differs is the training.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.config.original import Parameters
from hed.errors import InputError

SEED = "rng_seed"
# What names a run or says what it holds out, rather than how it trains.
NAMES = frozenset({"id", "index", "held_out", "marker", SEED})


def expand(upf: Sequence[UpfLine], count: int, dflts: Parameters) -> list[UpfLine]:
    """Return the runs, and after them `count` - 1 repeats of each with the next seeds.

    All first repeats come first, so that every drug has a result before any has two.

    Raises:
        InputError: if a seed is not a whole number.
    """
    usual = dflts.get(SEED, hyperparameters.default(SEED))
    return [*upf, *(_repeat(line, n, usual) for n in range(2, count + 1) for line in upf)]


def _repeat(line: UpfLine, number: int, usual: Any) -> UpfLine:
    """Return the repeat of a run with a number from 2."""
    seed = line.overrides.get(SEED, usual)
    if not isinstance(seed, int):
        raise InputError(f"{SEED} of {line.id} must be a whole number to be repeated, not {seed!r}")
    return UpfLine(f"{line.id}-{number}", line.index, {**line.overrides, SEED: seed + number - 1})


def first_of_each(named: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return for each run that repeats another one the id of the first of them.

    Args:
        named: what experiment.json and the UPF say about each run, by id. A run without an index
            there repeats none.
    """
    first: dict[str, str] = {}
    indexed = {run: values for run, values in named.items() if "index" in values}
    found = {run: first.setdefault(_training(of), run) for run, of in indexed.items()}
    return {run: other for run, other in found.items() if other != run}


def _training(values: Mapping[str, Any]) -> str:
    """Return what is the same for all repeats of a run, as text."""
    settings = {name: value for name, value in values.items() if name not in NAMES}
    return json.dumps([str(values["index"]), settings], sort_keys=True)
