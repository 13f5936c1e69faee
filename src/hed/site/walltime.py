"""Times as schedulers write them, HH:MM:SS."""

import re
from typing import Any

from hed.errors import InputError


def seconds(text: str, where: str) -> int:
    """Return the seconds of "HH:MM:SS"; there may be more than 24 hours.

    Args:
        where: where `text` was read, for the error's text.

    Raises:
        InputError: if it is anything else, or zero.
    """
    parts = re.fullmatch(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])", text.strip())
    hours, minutes, rest = map(int, parts.groups()) if parts else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + rest
    if not total:
        raise InputError(f'{where} must be a time such as "12:00:00" (HH:MM:SS), not {text!r}')
    return total


def refuse_numbers(value: Any, source: str) -> None:
    """Refuse `walltime: 12:00:00`, which YAML reads in base 60, and explain why."""
    parts = value.items() if isinstance(value, dict) else ()
    for key, part in parts:
        if str(key).endswith("walltime") and type(part) is int:
            raise InputError(
                f'{key} in {source} must be in quotes, such as "12:00:00", not {part}: '
                "without them YAML reads hours, minutes and seconds as one number"
            )
        for inner in part if isinstance(part, list) else [part]:
            refuse_numbers(inner, source)
