"""The experiment of a start, as the rules see it.

The process that the user started begins it (`beginning`). Its children read what that recorded, and
import nothing that reads tables: every run has one, and waits for it.
"""

import atexit
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hed import command, lock, variables, warm
from hed.config import settings as settings_of
from hed.errors import InputError
from hed.experiment import description
from hed.files import write_bytes


@dataclass(frozen=True)
class PlannedRun:
    """One training: a directory under `run/`, a marker, and what it holds out.

    Attributes:
        held_out: id of the drug or cell; None for a random split.
        marker: `NNN` of `markers/marker-NNN.txt`: the index, and the id too when an earlier run
            has the same index.
    """

    id: str
    index: int
    held_out: str | None
    marker: str


@dataclass
class Opened:
    """One experiment, as the rules see it.

    Attributes:
        directory: `<output>/EXPnnn`.
        runs: the runs, in the order of the UPF.
        data: directory of the preprocessed tables, absolute or below `directory`.
        raw: directory of the raw tables, or empty.
        local: node-local directory for the partitions of this experiment.
        upf, dflts: names of the copies of these files in `directory`.
        restart_from: directory of the experiment that this one starts from, or empty.
        splits: stage to the name of the file of its rows, if files prescribe the splits.
        files: the files that `start` writes into `directory`, name to content.
    """

    directory: Path
    runs: tuple[PlannedRun, ...]
    data: str
    raw: str
    local: str
    upf: str
    dflts: str
    restart_from: str
    splits: Mapping[str, str]
    files: Mapping[str, bytes]
    locked: IO[str] | None

    @property
    def name(self) -> str:
        """The directory's name, such as EXP000."""
        return self.directory.name


def open_or_exit(config: dict[str, Any], root: Path, *, main: bool) -> Opened:
    """Complete `config` in place and return its experiment; exit if it has a mistake.

    Args:
        root: the project's top directory.
        main: whether this is the process that the user started, not a child of it.
    """
    try:
        config.update(settings_of.complete(config, root))
        if not main and variables.EXPERIMENT in os.environ:
            return _recorded(Path(os.environ[variables.EXPERIMENT]))
        os.environ[variables.LAUNCHER] = str(config["launcher"])
        os.environ.pop(variables.WARM, None)
        if config["warm"] and warm.is_possible():
            os.environ[variables.WARM] = warm.directory(os.getpid())
            atexit.register(shutil.rmtree, os.environ[variables.WARM], ignore_errors=True)
        from hed.experiment import beginning  # not for children: it imports what reads tables

        return beginning.begin(settings_of.read(config, root))
    except InputError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(f"error: {command.sentence(error)}")


def start(experiment: Opened) -> None:
    """Lock the experiment for this process and write its record and copies into its directory.

    If another process is running the experiment, exit with one sentence.
    """
    directory = experiment.directory
    try:
        experiment.locked = experiment.locked or lock.acquire(directory)
        if experiment.locked is None:
            sys.exit(f"error: {lock.refusal(directory)}")
        for name, content in experiment.files.items():
            write_bytes(directory / name, content)
    except OSError as error:  # a full disk, or another user's directory
        sys.exit(f"error: {command.sentence(error)}")


def _recorded(directory: Path) -> Opened:
    """Return the experiment that the main process recorded in `directory`."""
    content = description.read(directory) or {}
    runs = tuple(PlannedRun(**run) for run in content["runs"])
    names = ("data", "raw", "local", "upf", "dflts", "restart_from", "splits")
    places = {name: content[name] for name in names}
    return Opened(directory, runs, **places, files={}, locked=None)
