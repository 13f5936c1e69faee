"""The beginning of an experiment: which directory a start belongs to, and what is recorded in it.

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
from dataclasses import asdict
from pathlib import Path
from typing import IO

from hed import lock, variables
from hed.config import hyperparameters
from hed.config.settings import Settings
from hed.data import layout
from hed.errors import InputError
from hed.experiment import plan, record
from hed.experiment.opening import Opened
from hed.experiment.plan import Plan
from hed.experiment.record import RESERVED
from hed.names import PRECISION, RECORD
from hed.words import listed


def begin(settings: Settings) -> Opened:
    """Plan the experiment that the settings ask for, and find its directory.

    Raises:
        InputError: one sentence about the first thing that would make the experiment fail.
    """
    planned = plan.make(settings)
    for note in _notes(settings.restart_from, planned):
        print(f"note: {note}", file=sys.stderr)
    directory, locked = _locate(settings, planned)
    recorded = record.with_begun(directory, planned)
    if others := recorded.runs[len(planned.runs) :]:
        names = listed([run.id for run in others])
        print(f"note: started earlier, kept, and not continued now: {names}", file=sys.stderr)
    os.environ[variables.EXPERIMENT] = str(directory)
    source = str(settings.data_source)
    upf, dflts = _copies(settings)
    is_raw = layout.is_raw(settings.data_source)
    experiment = Opened(
        directory=directory,
        runs=planned.runs,
        data="data" if is_raw else source,
        raw=source if is_raw else "",
        local=_local(settings.local_dir, directory, planned),
        upf=upf,
        dflts=dflts,
        restart_from=str(settings.restart_from or ""),
        splits=planned.splits.names if planned.splits else {},
        files={},
        locked=locked,
    )
    experiment.files = _files(experiment, settings, recorded, _upf(settings, planned, recorded))
    return experiment


def _notes(source: Path | None, planned: Plan) -> list[str]:
    """Return what the user should read at the start; refuse a source that does not fit."""
    if source is None:
        return [*planned.notes]
    record.refuse_source(source, planned)
    return [*planned.notes, *record.kept(source, planned)]


def _copies(settings: Settings) -> tuple[str, str]:
    """Return the names of the copies of UPF and DFLTS."""
    upf = settings.upf.name if settings.upf else "upf.json"
    dflts = settings.dflts.name if settings.dflts else "dflts.json"
    if len({upf, dflts, RECORD}) < 3:
        raise InputError(f"upf and dflts need two different names, neither of them {RECORD}")
    for name in (upf, dflts):
        if name in RESERVED:
            raise InputError(f"{name} is copied into the experiment, which has its own {name}")
    return upf, dflts


def _local(local_dir: Path, directory: Path, planned: Plan) -> str:
    """Return a node-local path that no other experiment has, not even a deleted one of its name.

    A partition that a killed run left there is reused, so the path depends on everything that
    decides a split.
    """
    indices = [(run.id, run.index) for run in planned.runs]
    decisive = json.dumps([str(directory), planned.identity, indices], sort_keys=True)
    digest = hashlib.blake2b(decisive.encode(), digest_size=6).hexdigest()
    return str(local_dir / _user() / "hed" / f"{directory.name}-{digest}")


def _user() -> str:
    """Return the user's name, or the user id if a container knows no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _files(experiment: Opened, settings: Settings, recorded: Plan, upf: bytes) -> dict[str, bytes]:
    """Return the content of the record and of the copies of UPF and DFLTS."""
    dflts = settings.dflts.read_bytes() if settings.dflts else b"{}\n"
    earlier = record.read(experiment.directory) or {}
    content = {
        "name": experiment.name,
        "created": earlier.get("created") or time.strftime("%Y-%m-%d %H:%M:%S"),
        "identity": recorded.identity,
        "settings": json.loads(json.dumps(asdict(settings), default=str)),
        **{n: getattr(experiment, n) for n in ("data", "raw", "local", "upf", "dflts")},
        "restart_from": experiment.restart_from,
        "splits": dict(experiment.splits),
        "about_data": [*recorded.data],
        "runs": [asdict(run) for run in recorded.runs],
    }
    decided = Path(experiment.restart_from, PRECISION) if experiment.restart_from else None
    # Once: what its own runs have decided stays, whatever becomes of the source.
    inherits = decided and decided.exists() and not (experiment.directory / PRECISION).exists()
    inherited = {PRECISION: decided.read_bytes()} if decided and inherits else {}
    texts = {experiment.upf: upf, experiment.dflts: dflts, RECORD: record.text(content).encode()}
    return {**inherited, **texts}


def _upf(settings: Settings, planned: Plan, recorded: Plan) -> bytes:
    """Return the UPF of all runs: the user's unchanged, followed by what it does not have.

    These are the repeats of its runs, and the begun runs that it leaves out.
    """
    if settings.upf is None:
        return hyperparameters.format_upf(recorded.upf).encode()
    given = settings.upf.read_bytes()
    others = hyperparameters.format_upf(recorded.upf[len(planned.upf) // settings.repeats :])
    return given.rstrip() + b"\n" + others.encode() if others else given


def _locate(settings: Settings, planned: Plan) -> tuple[Path, IO[str] | None]:
    """Return the experiment's directory, and its lock if its number was just taken."""
    if settings.experiment:
        directory = settings.output / settings.experiment
        if directory.exists() and not directory.is_dir():
            raise InputError(f"experiment: {directory} is a file: give another name")
        # One listing: another start may write the record between two looks.
        entries = _entries(directory)
        if RECORD in entries:
            record.refuse_changes(directory, planned)
        elif entries - {*_copies(settings)}:
            raise InputError(
                f"{directory} was not made by this workflow; "
                f"start a new experiment from it with restart_from={directory}"
            )
        return directory, None
    for directory in reversed(_numbered(settings.output)):
        if _is_writable(directory) and record.same(directory, planned):
            return directory, None
    return _take_number(settings.output)


def _is_writable(directory: Path) -> bool:
    """Return whether an experiment may be run there; in a shared `output` it may be another's."""
    held = directory / lock.LOCK_FILE
    return os.access(directory, os.R_OK | os.W_OK | os.X_OK) and (
        not held.exists() or os.access(held, os.W_OK)
    )


def _entries(directory: Path) -> set[str]:
    """Return the entries of a directory, if it exists, except the hidden traces of a dry run."""
    entries = directory.iterdir() if directory.is_dir() else ()
    return {entry.name for entry in entries if not entry.name.startswith(".")}


def _numbered(output: Path) -> list[Path]:
    """Return the experiment directories with automatic names, in order of number."""
    found = [d for d in output.glob("EXP*") if re.fullmatch(r"EXP\d{3,}", d.name) and d.is_dir()]
    return sorted(found, key=lambda directory: int(directory.name[3:]))


def _take_number(output: Path) -> tuple[Path, IO[str] | None]:
    """Lock and return the first free directory after the last experiment."""
    numbered = _numbered(output)
    used = [each for each in numbered if not _is_writable(each) or _entries(each)]
    number = int(used[-1].name[3:]) + 1 if used else 0
    while True:
        directory = output / f"EXP{number:03d}"
        locked = lock.acquire(directory)
        if locked is not None and not (directory / RECORD).exists():
            return directory, locked
        number += 1
