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
    """Return a validated file, cached: thousands of runs take half a second to validate."""
    text = path.read_bytes()
    try:
        schema.check(parse_json(text, source=str(path)), SCHEMA, source=str(path))
    except InputError as error:
        raise InputError(f"{error}: the file is damaged, take it from a copy") from None
    return text


def partition_mode(directory: Path) -> str:
    """Return how an experiment was partitioned; by drug, if its directory does not say.

    Raises:
        InputError: as `read` does.
    """
    described = read(directory) or {}
    return str(described.get("identity", {}).get("partition", {}).get("mode", "by_drug"))
