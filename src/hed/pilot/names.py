"""What a person calls a job of Snakemake's: its run, and what it holds out."""

import re
from pathlib import Path

from hed import files
from hed.errors import InputError
from hed.names import RECORD


def run_of(script: str) -> str:
    """Return the run that a script of Snakemake's is about, as its target jobs name it."""
    try:
        found = re.search(r"--target-jobs [^\n]*?:run=([^\s',]+)", Path(script).read_text())
    except OSError:
        return ""
    return found[1] if found else ""


def of(script: str, experiment: Path) -> str:
    """Return the run of a script, and what it holds out if that is known; empty if it has none."""
    run = run_of(script)
    held_out = _held_out(experiment / RECORD).get(run) if run else None
    return f"{run} ({held_out})" if held_out else run


def _held_out(record: Path) -> dict[str, str]:
    """Return what each run holds out, by its id."""
    try:
        runs = files.read_json(record)["runs"]
    except (OSError, InputError, LookupError, TypeError):
        return {}
    return {run["id"]: run["held_out"] for run in runs if run.get("held_out")}
