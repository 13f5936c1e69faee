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
NO_OTHERS: Mapping[str, Parameters] = {}
# What names a run or says what it holds out, rather than how it trains.
NAMES = frozenset({"id", "index", "held_out", "marker", SEED})


def expand(
    upf: Sequence[UpfLine],
    count: int,
    dflts: Parameters,
    defaults: Mapping[str, Parameters] = NO_OTHERS,
) -> list[UpfLine]:
    """Return the runs, and after them `count` - 1 repeats of each with the next seeds.

    All first repeats come first, so that every drug has a result before any has two.

    Args:
        defaults: hyperparameters of models other than Uno, by model, as far as they are known.

    Raises:
        InputError: if a model has no seed, or it is not a whole number.
    """
    numbers = range(2, count + 1)
    return [*upf, *(_repeat(line, n, dflts, defaults) for n in numbers for line in upf)]


def _repeat(
    line: UpfLine, number: int, dflts: Parameters, defaults: Mapping[str, Parameters]
) -> UpfLine:
    """Return the repeat of a run with a number from 2."""
    model = hyperparameters.model_of(line.overrides, hyperparameters.model_of(dflts))
    usual = {SEED: hyperparameters.default(SEED)} if model == hyperparameters.OURS else {}
    own = {**usual, **defaults.get(model, {}), **dflts, **line.overrides}
    if SEED not in own and model not in defaults:
        raise InputError(f"repeats: the {SEED} of {model} is not known here: set it in DFLTS")
    if SEED not in own:
        raise InputError(
            f"repeats: {model} has no hyperparameter {SEED}, in which its repeats would differ: "
            "add it to the model, or set repeats to 1"
        )
    seed = own[SEED]
    if not isinstance(seed, int):
        raise InputError(f"{SEED} of {line.id} must be a whole number to be repeated, not {seed!r}")
    if not hyperparameters.RUN_ID.fullmatch(repeat := f"{line.id}-{number}"):
        raise InputError(f"the id {line.id} is too long for its repeats")
    most = hyperparameters.definition()["properties"][SEED]["maximum"]
    if model == hyperparameters.OURS and seed + number - 1 > most:
        raise InputError(f"{SEED} of {line.id} is too large for its repeats: {most} is the most")
    return UpfLine(repeat, line.index, {**line.overrides, SEED: seed + number - 1})


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
