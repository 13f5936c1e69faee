"""The hyperparameters that a run was started with: `parameters.txt`, ours or the original's.

Ours is a JSON object. The original's `model_runner` writes sections of `name=value`, strings in
quotes that it does not escape, other values as Python prints them.
"""

import ast
import json
from pathlib import Path
from typing import Any

from hed.config.original import Parameters
from hed.names import PARAMETERS


def read(run: Path) -> Parameters | None:
    """Return the hyperparameters of a run: None if it has none, {} while they are incomplete."""
    try:
        text = (run / PARAMETERS).read_text(errors="replace")
    except OSError:
        return None
    return parse(text)


def parse(text: str) -> Parameters:
    """Return the hyperparameters in the text of a `parameters.txt`, {} if it is incomplete."""
    if text.lstrip().startswith("["):
        pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
        return {name.strip(): _value(given.strip()) for name, _, given in pairs}
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _value(text: str) -> Any:
    """Return a value that the original wrote; text that is no Python value is returned as is."""
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
