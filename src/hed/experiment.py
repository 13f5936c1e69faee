"""The experiment directory: which one this start belongs to, and what is recorded in it.

A start without a name continues the newest experiment of exactly the same settings, or takes the
next number. A kernel lock on the directory, which dies with its process, keeps two starts apart.
"""

import getpass
import hashlib
import json
import os
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from hed import command, hyperparameters, lock, plan, raw
from hed import settings as settings_of
from hed.errors import InputError
from hed.files import read_json, write_bytes
from hed.plan import Plan, Run
from hed.settings import Settings

RECORD = "experiment.json"
# How Snakemake's child processes learn which experiment they work for.
VARIABLE = "HED_EXPERIMENT"


@dataclass
class Experiment:
    """One experiment, as the rules see it.

    Attributes:
        directory: `<output>/EXPnnn`.
        runs: the runs, in the order of the UPF.
        data: directory of the preprocessed tables, absolute or below `directory`.
        raw: directory of the raw tables, or empty.
        local: node-local directory for the partitions of this experiment.
        upf, dflts: names of the copies of these files in `directory`.
        restart_from: directory of the experiment that this one starts from, or empty.
        files: name to content of what `start` writes into `directory`.
    """

    directory: Path
    runs: tuple[Run, ...]
    data: str
    raw: str
    local: str
    upf: str
    dflts: str
    restart_from: str
    files: Mapping[str, bytes]
    locked: IO[str] | None

    @property
    def name(self) -> str:
        """The directory's name, such as EXP000."""
        return self.directory.name


def open_or_exit(config: dict[str, Any], root: Path, *, main: bool) -> Experiment:
    """Complete `config` in place and return its experiment; a mistake in it ends the process.

    Args:
        root: the project's top directory.
        main: whether this is the process that the user started, rather than a child of it.
    """
    try:
        config.update(settings_of.complete(config, root))
        if not main and VARIABLE in os.environ:
            return _recorded(Path(os.environ[VARIABLE]))
        return _planned(settings_of.read(config, root))
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {command.sentence(error)}")


def start(experiment: Experiment) -> None:
    """Lock the experiment for this process and write what it is made of into its directory.

    A start of an experiment that another process is running ends with one sentence.
    """
    directory = experiment.directory
    experiment.locked = experiment.locked or lock.acquire(directory)
    if experiment.locked is None:
        sys.exit(
            f"error: {experiment.name} is being run by {lock.holder(directory)}; "
            "wait for it to end, or stop it, or name another experiment"
        )
    for name, content in experiment.files.items():
        write_bytes(directory / name, content)


def _recorded(directory: Path) -> Experiment:
    """Return the experiment that the main process recorded in `directory`."""
    record = read_json(directory / RECORD)
    runs = tuple(Run(**run) for run in record["runs"])
    names = ("data", "raw", "local", "upf", "dflts", "restart_from")
    places = {name: record[name] for name in names}
    return Experiment(directory, runs, **places, files={}, locked=None)


def _planned(settings: Settings) -> Experiment:
    """Plan the experiment that the settings ask for, and find its directory."""
    planned = plan.make(settings)
    directory, locked = _locate(settings, planned)
    os.environ[VARIABLE] = str(directory)
    source = str(settings.data_source)
    upf, dflts = _copies(settings)
    is_raw = raw.is_raw(settings.data_source)
    experiment = Experiment(
        directory=directory,
        runs=planned.runs,
        data="data" if is_raw else source,
        raw=source if is_raw else "",
        local=_local(settings.local_dir, directory),
        upf=upf,
        dflts=dflts,
        restart_from=str(settings.restart_from or ""),
        files={},
        locked=locked,
    )
    experiment.files = _files(experiment, settings, planned)
    return experiment


def _copies(settings: Settings) -> tuple[str, str]:
    """Return the names of the copies of UPF and DFLTS."""
    upf = settings.upf.name if settings.upf else "upf.json"
    dflts = settings.dflts.name if settings.dflts else "dflts.json"
    if len({upf, dflts, RECORD}) < 3:
        raise InputError(f"upf and dflts need two different names, neither of them {RECORD}")
    return upf, dflts


def _local(local_dir: Path, directory: Path) -> str:
    """Return a node-local path that no other experiment of any user shares."""
    digest = hashlib.blake2b(str(directory).encode(), digest_size=4).hexdigest()
    return str(local_dir / getpass.getuser() / "hed" / f"{directory.name}-{digest}")


def _files(experiment: Experiment, settings: Settings, planned: Plan) -> dict[str, bytes]:
    """Return the content of the record and of the copies of UPF and DFLTS."""
    generated = hyperparameters.format_upf(planned.upf).encode()
    upf = settings.upf.read_bytes() if settings.upf else generated
    dflts = settings.dflts.read_bytes() if settings.dflts else b"{}\n"
    path = experiment.directory / RECORD
    created = read_json(path)["created"] if path.exists() else time.strftime("%Y-%m-%d %H:%M:%S")
    record = {
        "name": experiment.name,
        "created": created,
        "identity": planned.identity,
        "settings": json.loads(json.dumps(asdict(settings), default=str)),
        **{n: getattr(experiment, n) for n in ("data", "raw", "local", "upf", "dflts")},
        "restart_from": experiment.restart_from,
        "runs": [asdict(run) for run in experiment.runs],
    }
    return {experiment.upf: upf, experiment.dflts: dflts, RECORD: _record_text(record).encode()}


def _record_text(record: Mapping[str, Any]) -> str:
    """Return the record as JSON with one line per run, so that people can read 770 of them."""
    head = json.dumps({**record, "runs": []}, indent=2)
    runs = ",\n".join(f"    {json.dumps(run)}" for run in record["runs"])
    return head.replace('"runs": []', f'"runs": [\n{runs}\n  ]') + "\n"


def _locate(settings: Settings, planned: Plan) -> tuple[Path, IO[str] | None]:
    """Return the experiment's directory, and its lock if its number was just taken."""
    if settings.experiment:
        directory = settings.output / settings.experiment
        if (directory / RECORD).exists():
            _refuse_other(directory, planned)
        elif _entries(directory) - {*_copies(settings)}:
            raise InputError(
                f"{directory} was not made by this workflow; "
                f"start a new experiment from it with restart_from={directory}"
            )
        return directory, None
    for directory in reversed(_numbered(settings.output)):
        if _same(directory, planned):
            return directory, None
    return _take_number(settings.output)


def _entries(directory: Path) -> set[str]:
    """Return what is in a directory, if it exists, but for the hidden traces of a dry run."""
    entries = directory.iterdir() if directory.is_dir() else ()
    return {entry.name for entry in entries if not entry.name.startswith(".")}


def _numbered(output: Path) -> list[Path]:
    """Return the experiment directories with automatic names, in order of number."""
    found = [d for d in output.glob("EXP*") if re.fullmatch(r"EXP\d{3,}", d.name) and d.is_dir()]
    return sorted(found, key=lambda directory: int(directory.name[3:]))


def _take_number(output: Path) -> tuple[Path, IO[str] | None]:
    """Lock and return the first free directory after the last experiment."""
    used = [directory for directory in _numbered(output) if _entries(directory)]
    number = int(used[-1].name[3:]) + 1 if used else 0
    while True:
        directory = output / f"EXP{number:03d}"
        locked = lock.acquire(directory)
        if locked is not None and not (directory / RECORD).exists():
            return directory, locked
        number += 1


def _same(directory: Path, planned: Plan) -> bool:
    """Return whether an experiment has exactly the planned settings and runs."""
    if not (directory / RECORD).exists():
        return False
    record = read_json(directory / RECORD)
    return bool(
        record.get("identity") == planned.identity
        and hyperparameters.read_upf(directory / record["upf"]) == list(planned.upf)
    )


def _refuse_other(directory: Path, planned: Plan) -> None:
    """Refuse to continue a named experiment with settings that would mix its results.

    Runs may be added to it, but none that it has may change.
    """
    record = read_json(directory / RECORD)
    for key, value in planned.identity.items():
        if record["identity"].get(key) != value:
            raise InputError(
                f"{directory.name} was made with another {key}; restore it, or give the changed "
                f"experiment a new name (experiment=NAME), from the old one's checkpoints if you "
                f"like (restart_from={directory.name})"
            )
    recorded = {line.id: line for line in hyperparameters.read_upf(directory / record["upf"])}
    for line in planned.upf:
        if recorded.get(line.id, line) != line:
            raise InputError(
                f"{line.id} of {directory.name} has other hyperparameters in its UPF; "
                "give the changed run a new id or the experiment a new name"
            )
    _refuse_taken_markers(record, planned)


def _refuse_taken_markers(record: Mapping[str, Any], planned: Plan) -> None:
    """Refuse runs whose marker another run of the experiment has, which would seem finished."""
    taken = {run["marker"]: run["id"] for run in record["runs"]}
    for run in planned.runs:
        owner = taken.get(run.marker, run.id)
        if owner != run.id:
            raise InputError(
                f"{run.id} of {record['name']} would take marker-{run.marker}.txt from {owner}, "
                f"which has the same index: keep {owner} in the UPF, before {run.id}"
            )
