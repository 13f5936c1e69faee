"""The hyperparameters of a run: Uno's defaults, overridden by DFLTS, overridden by its UPF line."""

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from hed.config import original, schema
from hed.config.original import Parameters
from hed.errors import InputError
from hed.files import read_lines

# A run's id becomes a directory, a log's name and part of a batch job's name.
RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


# The model whose hyperparameters are defined here.
OURS = "hed.uno"


@dataclass(frozen=True)
class UpfLine:
    """One run of a UPF: its id, the index of its drug (or cell), and what it overrides."""

    id: str
    index: int
    overrides: Parameters


@cache
def definition() -> Mapping[str, Any]:
    """Return the schema of the hyperparameters: name to type, range, default and description."""
    text = files("hed.config").joinpath("hyperparameters.json").read_text()
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def default(name: str) -> Any:
    """Return Uno's default of a hyperparameter."""
    return definition()["properties"][name]["default"]


def model_of(dflts: Parameters, default: str = OURS) -> str:
    """Return the model that DFLTS or a UPF line names."""
    return str(dflts.get("model", default))


def resolve(
    dflts: Parameters, line: UpfLine, defaults: Mapping[str, Any] | None = None
) -> Parameters:
    """Return every hyperparameter of a run, with its `id` and `index`.

    Args:
        defaults: those of a model other than Uno.
    """
    return {
        "id": line.id,
        "index": line.index,
        **(schema.defaults(definition()) if defaults is None else defaults),
        **dflts,
        **line.overrides,
    }


def planned(dflts: Parameters, line: UpfLine) -> Parameters:
    """Return what is known of a run before it starts: for another model, only what is set."""
    model = model_of(line.overrides, model_of(dflts))
    return resolve(dflts, line, None if model == OURS else {"model": model})


def read_dflts(path: Path) -> Parameters:
    """Return the hyperparameters that a DFLTS file sets for every run.

    Lines starting with # are comments. Hyperparameters of the original that the pipeline decides
    itself (`input_dir`, `model_name`, ...) are accepted and left out. Those of a `model` other
    than Uno are that model's own and checked when a run starts.

    Raises:
        InputError: if the file is missing, is not a JSON object, or sets something unknown.
    """
    value = _parse("\n".join(uncommented(read_lines(path))), str(path))
    return check(value, str(path), model_of(value))


def ignored(dflts: Path | None, upf: Path | None, own: Collection[str] = ()) -> list[str]:
    """Return a sentence for each file that sets what has no meaning here.

    Args:
        own: names that a model other than Uno has, with a meaning of its own.
    """
    sentences = []
    for path in filter(None, (dflts, upf)):
        lines = [line for line in uncommented(read_lines(path)) if line.strip()]
        texts = ["\n".join(lines)] if path is dflts else lines
        names = [n for text in texts for n in original.ignored(_parse(text, str(path)), own)]
        if names:
            sentences.append(f"ignored in {path.name}: {', '.join(dict.fromkeys(names))}")
    return sentences


def uncommented(lines: Iterable[str]) -> list[str]:
    """Return lines with comments, lines that start with #, emptied: errors keep their numbers."""
    return ["" if line.lstrip().startswith("#") else line for line in lines]


def read_upf(path: Path, model: str = OURS) -> list[UpfLine]:
    """Return the runs of a UPF, one JSON object per line; # lines and blank lines are comments.

    Args:
        model: the model of lines that name none.

    Raises:
        InputError: if the file is missing or empty, a line is wrong, or a run id occurs twice.
    """
    numbered = enumerate(read_lines(path), start=1)
    runs = [
        _upf_line(text, f"{path} line {number}", model)
        for number, text in numbered
        if text.strip() and not text.lstrip().startswith("#")
    ]
    if not runs:
        raise InputError(f"{path} names no run; `scripts/gen_upf.py COUNT {path}` writes one")
    return unique(runs, path)


def unique(runs: Sequence[UpfLine], path: Path | None) -> list[UpfLine]:
    """Return the runs of a UPF.

    Raises:
        InputError: if a run id occurs twice.
    """
    seen: set[str] = set()
    for run in runs:
        if run.id in seen:
            raise InputError(f"run id {run.id!r} appears twice in {path}: ids must be unique")
        seen.add(run.id)
    return [*runs]


def find(upf: Path, run_id: str, model: str = OURS) -> UpfLine:
    """Return the line of a run in a UPF.

    Raises:
        InputError: if there is none.
    """
    for line in read_upf(upf, model):
        if line.id == run_id:
            return line
    raise InputError(f"{upf} has no run {run_id!r}")


def generate_upf(indices: Iterable[int]) -> list[UpfLine]:
    """Return one run for each index: RUN000, RUN001, ..."""
    return [UpfLine(id=f"RUN{index:03d}", index=index, overrides={}) for index in indices]


def format_upf(runs: Sequence[UpfLine]) -> str:
    """Return a UPF's text."""
    lines = (json.dumps({"id": r.id, "index": r.index, **r.overrides}) for r in runs)
    return "".join(f"{line}\n" for line in lines)


def _upf_line(text: str, source: str, model: str) -> UpfLine:
    value = _parse(text, source)
    run_id, index = value.pop("id", None), value.pop("index", None)
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise InputError(
            f"id in {source} must be a name of at most 100 letters, digits and . _ + - "
            f"(it names a directory), not {json.dumps(run_id)}"
        )
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise InputError(f"index in {source} must be an integer from 0, not {json.dumps(index)}")
    return UpfLine(run_id, index, check(value, source, model_of(value, model)))


def check(value: Parameters, source: str, model: str = OURS) -> Parameters:
    """Return the hyperparameters that have an effect, after refusing what no run could use.

    Those of another model are its own: `candle.settle` knows them.
    """
    if model != OURS:
        return value
    counted = original.settle(value, source)
    schema.check(counted, definition(), source=source, noun="hyperparameter")
    return counted


def _parse(text: str, source: str) -> Parameters:
    def no_constant(name: str) -> None:
        raise InputError(f"{source} holds {name}, which is not JSON")

    def once(pairs: list[tuple[str, Any]]) -> Parameters:
        found = dict(pairs)
        if len(found) < len(pairs):
            name = next(name for name, count in Counter(n for n, _ in pairs).items() if count > 1)
            raise InputError(f"{source} sets {name} twice: keep one")
        return found

    try:
        value = json.loads(text, parse_constant=no_constant, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        raise InputError(f"{source} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{source} must be a JSON object")
    return value
