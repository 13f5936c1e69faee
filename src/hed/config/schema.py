"""Closed JSON schemas: checks that answer in one sentence, and defaults."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from hed.errors import InputError

# What only reads an experiment need not wait for it: a fifth of a second.
if TYPE_CHECKING:
    from jsonschema import TypeChecker, ValidationError
    from jsonschema.protocols import Validator

Schema = Mapping[str, Any]


def _is_integer(checker: TypeChecker, value: Any) -> bool:
    """Tell whether a value is an integer; JSON Schema accepts 20.0, which no command takes."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: TypeChecker, value: Any) -> bool:
    """Tell whether a value is a finite number; YAML has .nan and .inf, too."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@cache
def _validator() -> type[Validator]:
    """Return the class of validators in use."""
    from jsonschema import Draft202012Validator, validators

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many(
        {"integer": _is_integer, "number": _is_number}
    )
    extended: type[Validator] = validators.extend(  # type: ignore[no-untyped-call]
        Draft202012Validator, type_checker=checker
    )
    return extended


def check(value: Any, schema: Schema, *, source: str, noun: str = "key") -> None:
    """Refuse a value that its schema does not allow.

    Args:
        source: where the value was read, for the error's text.
        noun: what the schema's properties are called there.

    Raises:
        InputError: one sentence about the first violation.
    """
    errors = sorted(_validator()(schema).iter_errors(value), key=lambda e: list(e.path))
    if errors:
        raise InputError(_sentence(errors[0], source, noun))


def _sentence(error: ValidationError, source: str, noun: str) -> str:
    if error.validator == "additionalProperties":
        return _unknown(error, source, noun)
    key = ".".join(str(part) for part in error.absolute_path)
    where = f"{key} in {source}" if key else source
    shown = json.dumps(error.instance, default=str)
    limit: Any = error.validator_value
    match error.validator:
        case "type" if limit == "object" and key and isinstance(error.instance, str):
            return f"{where} must be of type object, with keys of its own, not {shown}"
        case "type" if limit == "string" and isinstance(error.instance, int | float):
            return f"{where} must be of type string, not {shown}: put it in quotes"
        case "type":
            kinds = limit if isinstance(limit, str) else " or ".join(limit)
            return f"{where} must be of type {kinds}, not {shown}"
        case "enum":
            return f"{where} must be one of {', '.join(map(str, limit))}, not {shown}"
        case "minimum" | "exclusiveMinimum" | "maximum" | "exclusiveMaximum":
            return f"{where} must be {_BOUNDS[str(error.validator)]} {limit}, not {shown}"
        case "pattern":
            return f"{where} must be a name of letters, digits and . _ + -, not {shown}"
        case "minLength" | "minItems":
            return f"{where} must not be empty"
        case "required":
            return f"{where} lacks {error.message.split()[0]}"
        case _:
            return f"{where}: {error.message}"


_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def _unknown(error: ValidationError, source: str, noun: str) -> str:
    schema: Any = error.schema
    given: Any = error.instance
    known = schema["properties"]
    name = next(key for key in given if key not in known)
    section = ".".join(str(part) for part in error.absolute_path)
    full = f"{section}.{name}" if section else name
    return f"unknown {noun} {full!r} in {source}; {nearest(str(name), known)}"


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the known name closest to `name`."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are {', '.join(known[:6])}" + (", ..." if len(known) > 6 else "")


def defaults(schema: Schema) -> dict[str, Any]:
    """Return the defaults of an object schema, nested objects included."""
    return {
        name: defaults(part) if part.get("type") == "object" else part["default"]
        for name, part in schema["properties"].items()
    }


def complete(value: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    """Return `value` with its schema's defaults for what it does not set."""
    filled = defaults(schema)
    for name, given in value.items():
        nested = isinstance(given, Mapping)
        filled[name] = complete(given, schema["properties"][name]) if nested else given
    return filled
