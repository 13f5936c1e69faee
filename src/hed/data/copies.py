"""The copy of a data set that a block has made on its node's disk."""

import os
from collections.abc import Mapping
from pathlib import Path

from hed import variables


def nearest(data: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """Return the node-local copy of a data set, else `data`, however its path is written."""
    shared, staged = environ.get(variables.DATA), environ.get(variables.STAGED)
    if not shared or not staged or data.resolve() != Path(shared).resolve():
        return data.resolve()
    return Path(staged)
