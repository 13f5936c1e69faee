"""The record of an experiment, and which starts may go on with it or from it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hed import hyperparameters
from hed.errors import InputError
from hed.files import read_json
from hed.plan import Plan

RECORD = "experiment.json"

# What has to agree for the finished runs of one experiment to belong to another; DFLTS need not.
OF_A_RUN = ("data_source", "seed", "partition", "preprocess")


def read(directory: Path) -> dict[str, Any] | None:
    """Return the record of an experiment; None if it has none, or one of something else."""
    if not (directory / RECORD).exists():
        return None
    value = read_json(directory / RECORD)
    return value if isinstance(value, dict) and "identity" in value else None


def text(record: Mapping[str, Any]) -> str:
    """Return the record as JSON with one line per run, so that people can read 770 of them."""
    head = json.dumps({**record, "runs": []}, indent=2)
    runs = ",\n".join(f"    {json.dumps(run)}" for run in record["runs"])
    return head.replace('"runs": []', f'"runs": [\n{runs}\n  ]') + "\n"


def same(directory: Path, planned: Plan) -> bool:
    """Return whether an experiment has exactly the planned settings and runs."""
    record = read(directory)
    return (
        record is not None
        and record["identity"] == planned.identity
        and hyperparameters.read_upf(directory / record["upf"]) == list(planned.upf)
    )


def refuse_changes(directory: Path, planned: Plan) -> None:
    """Refuse to continue a named experiment with settings that would mix its results.

    Runs may be added to it or left out, but none that it has may change.

    Raises:
        InputError: which names the setting or the run.
    """
    record = read(directory)
    if record is None:
        raise InputError(f"{directory / RECORD} is not a record of this workflow: remove it")
    for key, value in planned.identity.items():
        if record["identity"].get(key) != value:
            hint = "" if key in OF_A_RUN else f" and restart_from={directory.name}"
            raise InputError(
                f"{directory.name} was made with another {key}; restore it, or give the changed "
                f"experiment a new name (experiment=NAME{hint})"
            )
    recorded = {line.id: line for line in hyperparameters.read_upf(directory / record["upf"])}
    for line in planned.upf:
        if recorded.get(line.id, line) != line:
            raise InputError(
                f"{line.id} of {directory.name} has other hyperparameters in its UPF; "
                "give the changed run a new id or the experiment a new name"
            )
    _refuse_taken_markers(directory, record, planned)


def _refuse_taken_markers(directory: Path, record: Mapping[str, Any], planned: Plan) -> None:
    """Refuse runs whose marker another run of the experiment has, which would seem finished."""
    owners = {run["marker"]: run["id"] for run in record["runs"]}
    for run in planned.runs:
        marker = directory / "markers" / f"marker-{run.marker}.txt"
        written = marker.read_text().split("/") if marker.exists() else []
        owner = written[1] if len(written) > 1 else owners.get(run.marker, run.id)
        if owner != run.id:
            raise InputError(
                f"{run.id} of {directory.name} would take marker-{run.marker}.txt from {owner}, "
                f"which has the same index: keep {owner} in the UPF, before {run.id}"
            )


def refuse_source(source: Path, planned: Plan) -> None:
    """Refuse to start from an experiment whose finished runs were tested on other rows.

    The original's experiments have no record: there it is the user who knows.

    Raises:
        InputError: which names the setting or the run.
    """
    record = read(source)
    if record is None:
        return
    for key in OF_A_RUN:
        if record["identity"].get(key) != planned.identity.get(key):
            raise InputError(
                f"restart_from: {source.name} was made with another {key}, so its finished runs "
                f"do not belong here: restore it, or start without restart_from"
            )
    indices = {run["id"]: run["index"] for run in record["runs"]}
    for run in planned.runs:
        if indices.get(run.id, run.index) != run.index:
            raise InputError(
                f"restart_from: {run.id} has index {indices[run.id]} in {source.name}, not "
                f"{run.index}: give it another id"
            )
