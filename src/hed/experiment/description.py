"""The validated content of an experiment's experiment.json: the only reader of that file."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from hed.config import schema
from hed.errors import InputError
from hed.files import parse_json
from hed.names import RECORD

NAME = {"type": "string", "minLength": 1}
SCHEMA = {
    "type": "object",
    "properties": {
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": NAME,
                    "index": {"type": "integer"},
                    "held_out": {"type": ["string", "null"]},
                    "marker": NAME,
                },
            },
        },
        "identity": {"type": "object", "properties": {"partition": {"type": "object"}}},
        "upf": NAME,
        "dflts": NAME,
        "data": NAME,
        "local": NAME,
        "restart_from": {"type": "string"},
        "splits": {"type": "object"},
        "about_data": {"type": "array", "items": {"type": "string"}},
    },
}


def read(directory: Path) -> dict[str, Any] | None:
    """Return the content of a directory's experiment.json; None if there is none.

    Raises:
        InputError: one sentence if it is damaged.
    """
    path = directory / RECORD
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    # Parsed anew for each caller, which may modify it.
    described: dict[str, Any] = json.loads(
        _checked(path, state.st_ino, state.st_mtime_ns, state.st_size)
    )
    return described


@lru_cache(maxsize=8)
def _checked(path: Path, *_state: int) -> bytes:
    """Return a validated file, cached."""
    text = path.read_bytes()
    try:
        described = parse_json(text, source=str(path))
        if not _is_valid(_shortened(described)):
            schema.check(described, SCHEMA, source=str(path))
    except InputError as error:
        raise InputError(f"{error}: the file is damaged, take it from a copy") from None
    return text


def _is_valid(described: Any) -> bool:
    try:
        schema.check(described, SCHEMA, source="")
    except InputError:
        return False
    return True


def _shortened(described: Any) -> Any:
    """Return a description with one run of each shape: thousands take long to validate.

    ASSUME: `SCHEMA` asks of a run's values only for their types and that they are not empty.
    """
    match described:
        case {"runs": [*runs]}:
            return {**described, "runs": list({_shape(run): run for run in runs}.values())}
    return described


def _shape(run: Any) -> Any:
    """Return what `SCHEMA` looks at in a run."""
    if not isinstance(run, dict):
        return type(run)
    return tuple((name, type(value), value == "") for name, value in run.items())


def partition_mode(directory: Path) -> str:
    """Return how an experiment was partitioned; by drug, if its directory does not say.

    Raises:
        InputError: as `read` does.
    """
    described = read(directory) or {}
    return str(described.get("identity", {}).get("partition", {}).get("mode", "by_drug"))
