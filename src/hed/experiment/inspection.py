"""Inspects the modules that hyperparameters name, before any job starts.

A module may spend seconds importing TensorFlow, or exit, so it is imported in another process.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from hed import candle, command, modules, variables
from hed.config import hyperparameters
from hed.config.hyperparameters import OURS, UpfLine
from hed.config.original import Parameters
from hed.errors import InputError

MODEL, LOSS = "model", "custom_loss_module"
SECONDS = 300.0
SOURCES = Path(__file__).parents[2]


@dataclass(frozen=True)
class Findings:
    """What was found in the modules.

    Attributes:
        defaults: of the hyperparameters of models other than Uno, by model.
        notes: sentences on what could not be checked.
    """

    defaults: Mapping[str, Parameters]
    notes: tuple[str, ...]

    @property
    def own(self) -> frozenset[str]:
        """The names of the hyperparameters of models other than Uno."""
        return frozenset().union(*self.defaults.values())


class ElsewhereError(Exception):
    """A module cannot be imported here, but perhaps on the nodes of a cluster."""


def inspect(dflts: Parameters, upf: Sequence[UpfLine]) -> Findings:
    """Check every module that DFLTS and UPF name, and the hyperparameters of other models.

    Raises:
        InputError: one sentence about the first one that no run could use.
    """
    defaults: dict[str, Parameters] = {}
    notes = []
    for kind, name in _named(dflts, upf):
        try:
            found = _ask(kind, name)
        except ElsewhereError as error:
            notes.append(_unchecked(kind, name, error))
            continue
        if kind == MODEL:
            defaults[name] = found
            _check_lines(name, found, dflts, upf)
    return Findings(defaults, tuple(notes))


def _named(dflts: Parameters, upf: Sequence[UpfLine]) -> Iterable[tuple[str, str]]:
    """Return each module once, as kind and name; Uno, which is ours, needs no inspection."""
    places = [dflts, *(line.overrides for line in upf)]
    named = {
        (kind, _required(kind, place[kind]))
        for place in places
        for kind, unset in ((MODEL, (OURS,)), (LOSS, (None, "")))
        if kind in place and place[kind] not in unset
    }
    return sorted(named, reverse=True)  # models first


def _required(kind: str, name: Any) -> str:
    """Return the name of a module that exists."""
    if not isinstance(name, str):
        raise InputError(f"{kind} must be the name of a module, not {json.dumps(name)}")
    if not modules.is_found(name):
        raise InputError(
            f"{kind} {name!r} cannot be imported: install it, or add its directory to PYTHONPATH"
        )
    return name


def _check_lines(
    model: str, own: Mapping[str, Any], dflts: Parameters, upf: Sequence[UpfLine]
) -> None:
    """Refuse hyperparameters that a run's model does not have."""
    usual = hyperparameters.model_of(dflts)
    for line in upf:
        if hyperparameters.model_of(line.overrides, usual) == model:
            candle.settle(model, own, dflts, line)


def _unchecked(kind: str, name: str, error: ElsewhereError) -> str:
    """Return a note if jobs run in an environment of their own; otherwise refuse the module."""
    if variables.PROFILE in os.environ:
        return f"{kind} {name!r} cannot be imported here ({error}): it is checked when a run begins"
    raise InputError(
        f"{kind} {name!r} cannot be imported ({error}): install what is missing, "
        "or add its directory to PYTHONPATH"
    )


def _ask(kind: str, name: str) -> Any:
    """Return what a separate process finds in a module."""
    paths = [str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        asked = subprocess.run(
            [sys.executable, "-m", __name__, kind, name],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"},
            capture_output=True,
            errors="replace",
            check=False,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise InputError(f"{kind} {name!r} cannot be used: its import hangs") from None
    answers = asked.stdout.splitlines()
    if asked.returncode or not answers:
        said = command.reason(asked.stderr.splitlines())
        raise InputError(f"{kind} {name!r} cannot be used: {said}")
    answer = json.loads(answers[-1])
    if "missing" in answer:
        raise ElsewhereError(answer["missing"])
    return answer["found"]


def main() -> None:
    """Print what is in a module, for `_ask`."""
    kind, name = sys.argv[1:]
    try:
        module = modules.load(name)
    except ImportError as error:
        print(json.dumps({"missing": str(error)}))
    else:
        found = _hyperparameters(module) if kind == MODEL else _construct(module)
        print(json.dumps({"found": found}))


def _hyperparameters(module: ModuleType) -> Parameters:
    """Return the hyperparameters of a model with their defaults, as JSON holds them."""
    return candle.plain(dict(candle.checked(module).initialize_parameters()))


def _construct(module: ModuleType) -> bool:
    """Refuse a module that constructs no loss."""
    if not callable(getattr(module, "construct", None)):
        raise InputError("it has no function construct(params)")
    return True


if __name__ == "__main__":
    command.run(main)
