"""The directory of the profile that Snakemake is reading, so that a copy uses its own files."""

import inspect
import os
from pathlib import Path

import hed
from hed import variables
from hed.errors import InputError

SITE = "site.yaml"
# The commands through which Snakemake talks to the pilot, and a run to its tile.
PILOT = Path(hed.__file__).parent / "pilot" / "tools"


def enter() -> Path:
    """Return the directory of the profile whose config.yaml calls this, and tell the sidecar.

    Snakemake does not tell a profile its path, but has the file open while it reads it.

    Raises:
        InputError: if no profile is being read, or it has no site.yaml.
    """
    frame = inspect.currentframe()
    while frame is not None:
        name = getattr(frame.f_locals.get("stream"), "name", None)
        if isinstance(name, str) and Path(name).is_file():
            return _enter(Path(name).parent.absolute())
        frame = frame.f_back
    raise InputError("no profile is being read: start Snakemake with --profile DIRECTORY")


def _enter(directory: Path) -> Path:
    if not (directory / SITE).is_file():
        raise InputError(f"{directory} has no {SITE}: copy that of the profile it was made from")
    os.environ[variables.PROFILE] = str(directory)
    return directory
