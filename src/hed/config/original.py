"""Hyperparameters of the original's files that are not ours: ignored, renamed, or refused.

CANDLE's parser, Supervisor's `model_runner` and IMPROVE's scripts take many more than a model has.
original.json lists them, and what to do instead.
"""

import json
from collections.abc import Collection, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from hed.errors import InputError

Parameters = dict[str, Any]


@cache
def definition() -> Mapping[str, Any]:
    """Return the names: `ignored`, `idle` (ignored with some values), `moved`, `renamed`."""
    text = files("hed.config").joinpath("original.json").read_text()
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def settle(given: Parameters, source: str, own: Collection[str] = ()) -> Parameters:
    """Return the hyperparameters that have an effect, under our names.

    Args:
        source: where they were read, for the error's text.
        own: names that the model itself has, with a meaning of its own.

    Raises:
        InputError: if one asks for something that the pipeline does elsewhere or not at all.
    """
    renamed, counted = definition()["renamed"], {}
    for name, value in given.items():
        if name in own:
            counted[name] = value
        elif name in renamed:
            counted[renamed[name]] = given.get(renamed[name], value)
        elif not _is_ignored(name, value, source):
            counted[name] = value
    return counted


def ignored(given: Parameters, own: Collection[str] = ()) -> list[str]:
    """Return the names that `settle` leaves out."""
    names = {*definition()["ignored"]["names"], *definition()["idle"]["names"]}
    return [name for name in given if name in names and name not in own]


def _is_ignored(name: str, value: Any, source: str) -> bool:
    """Return whether a hyperparameter has no effect here; refuse one that should have one."""
    if name in definition()["moved"]:
        raise InputError(f"{name} in {source} {definition()['moved'][name]}")
    idle = definition()["idle"]["names"].get(name)
    # JSON's true and 1 are equal in Python, and nobody means them to differ here.
    if idle and value not in idle["values"]:
        raise InputError(
            f"{name} in {source} cannot be {json.dumps(value)} here: {idle['instead']}"
        )
    return idle is not None or name in definition()["ignored"]["names"]
