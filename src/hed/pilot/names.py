"""What a person calls a Snakemake job: its run, and what it holds out."""

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from hed.errors import InputError
from hed.experiment import description


def run_of(script: str) -> str:
    """Return the run that a Snakemake job script is about, as its target jobs name it."""
    try:
        found = re.search(r"--target-jobs [^\n]*?:run=([^\s',]+)", Path(script).read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def of(script: str, experiment: Path) -> str:
    """Return the run of a script, and what it holds out if that is known; empty if it has none."""
    run = run_of(script)
    held_out = _held_out(experiment).get(run) if run else None
    return f"{run} ({held_out})" if held_out else run


def _held_out(experiment: Path) -> dict[str, str]:
    """Return what each run holds out, by its id."""
    described: dict[str, Any] = {}
    with suppress(OSError, InputError):
        described = description.read(experiment) or {}
    runs = described.get("runs", [])
    return {run["id"]: run["held_out"] for run in runs if run.get("held_out")}
