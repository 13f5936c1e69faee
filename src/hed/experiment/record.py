"""The record of an experiment, and which starts may continue it or start from it."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.errors import InputError
from hed.experiment import description, parameters
from hed.experiment.opening import PlannedRun
from hed.experiment.plan import Plan, source_of
from hed.names import (
    AUTO,
    DATA,
    EPOCHS,
    FIGURES,
    HIGH_ERRORS,
    JOBS,
    LOGS,
    MARKERS,
    PRECISION,
    PROGRESS,
    RANKING,
    RECORD,
    REPORT,
    RESTORED,
    RUNS,
    SCORES,
    SCORES_TABLE,
)
from hed.words import listed

# Other names in an experiment directory, which a copied UPF or DFLTS may not take.
RESERVED = frozenset(
    [DATA, FIGURES, MARKERS, LOGS, RUNS]
    + [EPOCHS, JOBS, PROGRESS, SCORES, SCORES_TABLE]
    + [PRECISION, HIGH_ERRORS, RANKING, REPORT]
)

SPLITS = "splits"
# What must agree for the finished runs of one experiment to belong to another; DFLTS need not.
OF_A_RUN = ("data_source", "seed", "partition", "preprocess", SPLITS)


def read(directory: Path) -> dict[str, Any] | None:
    """Return the record of an experiment; None if it has none, or one of something else.

    Its `restart_from` is a name if that is in the same `output`, also in older records.

    Raises:
        InputError: if it is damaged.
    """
    value = description.read(directory)
    if not value or not {"identity", "upf", "runs"} <= set(value):
        return None
    source = source_of(value["identity"].get("restart_from"), directory.parent)
    return {**value, "identity": {**value["identity"], "restart_from": source}}


def text(record: Mapping[str, Any]) -> str:
    """Return the record as JSON with one line per run, so that people can read 770 of them."""
    head = json.dumps({**record, "runs": []}, indent=2)
    runs = ",\n".join(f"    {json.dumps(run)}" for run in record["runs"])
    return head.replace('"runs": []', f'"runs": [\n{runs}\n  ]') + "\n"


def same(directory: Path, planned: Plan) -> bool:
    """Return whether an experiment has exactly the planned settings and runs.

    Not if it is damaged, which is told: what it has finished would be trained again.
    """
    try:
        record = read(directory)
        return (
            record is not None
            and record["identity"] == planned.identity
            and _recorded_upf(directory, record, planned) == list(planned.upf)
            and not _counted_otherwise(record, planned)
        )
    except InputError as error:
        print(f"note: {directory.name} is not continued: {error}", file=sys.stderr)
        return False


def _recorded_upf(directory: Path, record: Mapping[str, Any], planned: Plan) -> list[UpfLine]:
    """Return the runs of an experiment as its own UPF has them."""
    path, model = directory / record["upf"], hyperparameters.model_of(planned.dflts)
    if not path.exists():
        raise InputError(f"{directory} has lost its UPF: copy yours there as {path.name}")
    return hyperparameters.read_upf(path, model)


def refuse_changes(directory: Path, planned: Plan) -> None:
    """Refuse to continue a named experiment with settings that would mix its results.

    Runs may be added or left out, but no existing run may change.

    Raises:
        InputError: which names the setting or the run.
    """
    record = read(directory)
    if record is None:
        raise InputError(f"{directory / RECORD} is not a record of this workflow: remove it")
    for key in {**record["identity"], **planned.identity}:
        if _differ(record["identity"].get(key), planned.identity.get(key), key):
            hint = "" if key in OF_A_RUN else f" and restart_from={directory.name}"
            raise InputError(
                f"{directory.name} was made with another {key}{_shown(record, key)}; restore it, "
                f"or give the changed experiment a new name (experiment=NAME{hint})"
            )
    recorded = {line.id: line for line in _recorded_upf(directory, record, planned)}
    for line in planned.upf:
        if recorded.get(line.id, line) != line:
            raise InputError(
                f"{line.id} of {directory.name} has other hyperparameters in its UPF; "
                "give the changed run a new id or the experiment a new name"
            )
        _refuse_changed_run(directory, line, planned)
    _refuse_other_drugs(directory, record, planned)
    _refuse_taken_markers(directory, record, planned)


def with_begun(directory: Path, planned: Plan) -> Plan:
    """Return a plan with the begun runs of an experiment that it leaves out, after its own.

    They stay in the experiment, and what they hold out has to stay known.
    """
    record = read(directory)
    if record is None:
        return planned
    given = {line.id for line in planned.upf}
    begun = {run["id"]: run for run in record["runs"] if (directory / RUNS / run["id"]).is_dir()}
    lines = [
        line
        for line in _recorded_upf(directory, record, planned)
        if line.id in begun and line.id not in given
    ]
    identity = planned.identity
    if SPLITS in identity:
        earlier = record["identity"][SPLITS]
        theirs = {str(line.index): earlier[str(line.index)] for line in lines}
        identity = {**identity, SPLITS: {**theirs, **identity[SPLITS]}}
    return replace(
        planned,
        runs=(*planned.runs, *(PlannedRun(**begun[line.id]) for line in lines)),
        upf=(*planned.upf, *lines),
        identity=identity,
    )


def _differ(recorded: Any, planned: Any, key: str) -> bool:
    """Return whether two values of a setting disagree; of splits, those that both have."""
    if key == SPLITS and isinstance(recorded, dict) and isinstance(planned, dict):
        return any(recorded[index] != planned[index] for index in recorded.keys() & planned.keys())
    return bool(recorded != planned)


def _shown(record: Mapping[str, Any], key: str) -> str:
    """Return a recorded setting in brackets, if it is short and means something to people."""
    value = json.dumps(record["identity"].get(key))
    return f" ({value})" if key not in ("data_source", SPLITS) and len(value) <= 80 else ""


def _refuse_changed_run(directory: Path, line: UpfLine, planned: Plan) -> None:
    """Refuse a run that was started with other hyperparameters, even if the UPF hides it."""
    run = directory / RUNS / line.id
    if (run / RESTORED).exists():
        return
    for name, value in _changed(run, line, planned).items():
        raise InputError(
            f"{line.id} of {directory.name} was started with another {name} "
            f"({json.dumps(value)}): give the changed run a new id"
        )


def _changed(run: Path, line: UpfLine, planned: Plan) -> dict[str, Any]:
    """Return what a begun run has of the hyperparameters that are to be others."""
    begun = parameters.read(run) or {}
    wanted = hyperparameters.planned(planned.dflts, line)
    return {n: begun[n] for n in wanted if n in begun and wanted[n] not in (begun[n], AUTO)}


def kept(source: Path, planned: Plan) -> list[str]:
    """Return a sentence on finished runs of a source that had other hyperparameters, if any had.

    They are copied as they are.
    """
    finished = [
        line
        for run, line in zip(planned.runs, planned.upf, strict=True)
        if (source / MARKERS / f"marker-{run.marker}.txt").exists()
    ]
    changed = [
        names for line in finished if (names := _changed(source / RUNS / line.id, line, planned))
    ]
    if not changed:
        return []
    names = dict.fromkeys(name for each in changed for name in each)
    return [
        f"finished runs of {source.name} are copied as they are, {len(changed)} of them trained "
        f"with another {listed([*names])}: leave out restart_from to train them anew"
    ]


def _counted_otherwise(record: Mapping[str, Any], planned: Plan) -> list[PlannedRun]:
    """Return the runs whose index is another drug (or cell, or group) than it was."""
    known = {run["id"]: run["held_out"] for run in record["runs"] if "held_out" in run}
    return [run for run in planned.runs if known.get(run.id, run.held_out) != run.held_out]


def _refuse_other_drugs(directory: Path, record: Mapping[str, Any], planned: Plan) -> None:
    """Refuse runs that would hold out something else than they did."""
    if changed := _counted_otherwise(record, planned):
        run = changed[0]
        known = next(each["held_out"] for each in record["runs"] if each["id"] == run.id)
        raise InputError(
            f"{run.id} of {directory.name} holds out {known}, but index {run.index} is now "
            f"{run.held_out}, as other rows are counted: give the experiment a new name"
        )


def _refuse_taken_markers(directory: Path, record: Mapping[str, Any], planned: Plan) -> None:
    """Refuse runs whose marker another run of the experiment has, which would seem finished."""
    owners = {run["marker"]: run["id"] for run in record["runs"]}
    for run in planned.runs:
        marker = directory / MARKERS / f"marker-{run.marker}.txt"
        written = marker.read_text().split("/") if marker.exists() else []
        owner = written[1] if len(written) > 1 else owners.get(run.marker, run.id)
        if owner != run.id:
            raise InputError(
                f"{run.id} of {directory.name} would take marker-{run.marker}.txt from {owner}, "
                f"which has the same index: keep {owner} in the UPF, before {run.id}"
            )


def refuse_source(source: Path, planned: Plan) -> None:
    """Refuse to start from an experiment whose finished runs were tested on other rows.

    The original's experiments have no record: there only the indices of the runs are compared.

    Raises:
        InputError: which names the setting or the run.
    """
    record = read(source)
    if record is not None:
        _refuse_other_settings(source, record, planned)
    indices = {run["id"]: run["index"] for run in record["runs"]} if record else {}
    for run in planned.runs:
        begun = parameters.read(source / RUNS / run.id) or {}
        index = begun.get("index", indices.get(run.id))
        if index not in (None, run.index):
            raise InputError(
                f"restart_from: {run.id} has index {index} in {source.name}, not "
                f"{run.index}: give it another id"
            )


def _refuse_other_settings(source: Path, record: Mapping[str, Any], planned: Plan) -> None:
    """Refuse to start from an experiment with other data or another partition."""
    for key in OF_A_RUN:
        if _differ(record["identity"].get(key), planned.identity.get(key), key):
            raise InputError(
                f"restart_from: {source.name} was made with another {key}, so its finished runs "
                f"do not belong here: restore it, or start without restart_from"
            )
