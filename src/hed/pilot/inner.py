"""The Snakemake of a run, started by a fork of a process that has imported it.

Snakemake's job script starts another Snakemake, which takes seconds to import and more than one to
end. A fork of a process that has already done the import, and that exits at once, saves both.
"""

import importlib
import multiprocessing
import os
import re
import runpy
import shlex
import subprocess
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

MODULE = "snakemake"
# What it imports in a job, at once or later, and what the rules import.
MODULES = (
    *("snakemake.cli", "snakemake.workflow", "smart_open"),
    *("hed.experiment.opening", "hed.data.splits"),
)
# Snakemake writes `cd DIR && export A=B && PYTHON -m snakemake ... && exit 0 || exit 1`.
AND = "&&"
END = [AND, "exit", "0", "||", "exit", "1"]


class Child(Protocol):
    """A run's script that was started."""

    def wait(self, timeout: float) -> int:
        """Return its exit status; raise TimeoutExpired if it has not ended by then."""


def import_all() -> None:
    """Import Snakemake and what its rules need; if that fails, its own start will say why."""
    with suppress(Exception):
        for name in MODULES:
            importlib.import_module(name)
        sys.modules["snakemake.cli"].get_argument_parser()  # imports the plugins


def is_imported() -> bool:
    """Return whether a fork of this process has Snakemake."""
    return MODULES[-1] in sys.modules and MODULES[0] in sys.modules


@dataclass(frozen=True)
class Inner:
    """A Snakemake to start: its working directory, additional environment, and arguments."""

    directory: str
    environment: dict[str, str]
    arguments: list[str]


def parse(script: str) -> Inner | None:
    """Return the Snakemake that a script starts, None if it does anything else."""
    lines = [line for line in script.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1 or re.search(r"[$`\\;|&<>]", _without_quoted(lines[0])):
        return None
    words = shlex.split(lines[0])
    if words[-len(END) :] != END:
        return None
    *before, command = _split(words[: -len(END)])
    directory, environment = os.getcwd(), {}
    for part in before:
        if part[0] == "cd" and len(part) == 2:
            directory = part[1]
        elif part[0] == "export" and len(part) == 2 and "=" in part[1]:
            name, _, value = part[1].partition("=")
            environment[name] = value
        else:
            return None
    if command[:3] != [sys.executable, "-m", MODULE]:
        return None
    return Inner(directory, environment, command[3:])


def _without_quoted(line: str) -> str:
    """Return a line without what is in single quotes, and without the words that join commands."""
    plain = re.sub(r"'[^']*'", "", line)
    return plain.replace(" && ", " ").replace(" || exit 1", " ")


def _split(words: Sequence[str]) -> list[list[str]]:
    """Return the commands that `&&` joins."""
    parts: list[list[str]] = [[]]
    for word in words:
        if word == AND:
            parts.append([])
        else:
            parts[-1].append(word)
    return parts


def start(script: str, out: IO[bytes]) -> Child:
    """Start a Snakemake job script, by a fork of this process if that has imported Snakemake.

    Args:
        script: its path.
        out: to which its output is appended.
    """
    found = parse(Path(script).read_text()) if is_imported() else None
    if found is None:
        return subprocess.Popen(
            ["/bin/sh", script], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )
    return Fork(found, out)


class Fork:
    """A fork of this process that is a Snakemake."""

    def __init__(self, inner: Inner, out: IO[bytes]) -> None:
        """Start it."""
        context: Any = multiprocessing.get_context("fork")
        self._process = context.Process(target=_become, args=(inner, out))
        self._process.start()

    def wait(self, timeout: float) -> int:
        """Return its exit status.

        Raises:
            subprocess.TimeoutExpired: if it has not ended by then.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(MODULE, timeout)
        return int(self._process.exitcode)


def _become(inner: Inner, out: IO[bytes]) -> None:
    """Become the Snakemake, and exit without tearing down what it imported."""
    for stream in (1, 2):
        os.dup2(out.fileno(), stream)
    os.chdir(inner.directory)
    os.environ.update(inner.environment)
    sys.argv = [MODULE, *inner.arguments]
    status: object = 1
    try:
        runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if status else 0)
