"""What a user asks for: qsub's options, on the command line and in the script's #PBS lines."""

import getopt
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .client import OPTIONS

USAGE = 2
ILLEGAL_VALUE = 166  # PBSE_BADATVAL


class RejectionError(Exception):
    """A request that is refused; `status` is the command's exit status."""

    def __init__(self, status: int, text: str) -> None:
        """Remember why."""
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A job as it is submitted; paths are absolute, but for a missing one, which is empty."""

    script: str
    name: str
    directory: str
    queue: str = ""
    account: str = ""
    resources: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    shell: str = "/bin/bash"
    output: str = ""
    error: str = ""
    join: str = "n"
    keep: str = ""
    rerunnable: bool = True
    exports_all: bool = False

    @property
    def walltime(self) -> int:
        """Return the walltime in seconds."""
        return seconds(self.resources["walltime"])

    @property
    def chunks(self) -> int:
        """Return how many chunks are selected."""
        return select(self.resources["select"])[0]

    @property
    def chunk(self) -> dict[str, int]:
        """Return what a chunk holds of ncpus, ngpus, mpiprocs and the like."""
        return {"ncpus": 1} | select(self.resources["select"])[1]


def seconds(walltime: str) -> int:
    """Return the seconds of [[HH:]MM:]SS."""
    if not re.fullmatch(r"(\d+:){0,2}\d+", walltime):
        raise RejectionError(ILLEGAL_VALUE, illegal("walltime"))
    total = 0
    for part in walltime.split(":"):
        total = 60 * total + int(part)
    return total


def select(text: str) -> tuple[int, dict[str, int]]:
    """Return the count and the countable resources of `4:ncpus=208:ngpus=6:system=aurora`."""
    if not re.fullmatch(r"[1-9]\d*(:\w+=[\w.-]+)*", text):
        raise RejectionError(ILLEGAL_VALUE, illegal("select"))
    count, *pairs = text.split(":")
    values = dict(pair.split("=") for pair in pairs)
    return int(count), {name: int(value) for name, value in values.items() if value.isdigit()}


def illegal(resource: str) -> str:
    """Return what the server says of a value it cannot read."""
    return f"Illegal attribute or resource value Resource_List.{resource}"


def directives(script: str) -> Iterator[str]:
    """Yield the words of the #PBS lines, which must precede the first command."""
    for line in script.splitlines():
        if line.startswith("#PBS "):
            yield from shlex.split(line[5:], comments=True)
        elif line.strip() and not line.lstrip().startswith("#"):
            return


def read(words: list[str], script: str, default: str, *, directory: str) -> Request:
    """Return the request that a command line and a script make; the line takes precedence.

    `default` is the job's name if none is given, `directory` where qsub is called.
    """
    given, _ = getopt.getopt(list(directives(script)), OPTIONS)
    options = given + getopt.getopt(words, OPTIONS)[0]
    values = dict(options)
    pairs = [pair for option, value in options if option == "-l" for pair in value.split(",")]
    name = values.get("-N", default)
    if not re.fullmatch(r"[A-Za-z0-9._+-]{1,230}", name):
        raise RejectionError(USAGE, "illegal -N value")
    return Request(
        script=script,
        name=name,
        directory=directory,
        queue=values.get("-q", ""),
        account=values.get("-A", ""),
        resources=dict(assign(pair) for pair in pairs),
        variables=dict(assign(pair) for pair in values.get("-v", "").split(",") if pair),
        shell=values.get("-S", "/bin/bash"),
        output=values.get("-o", ""),
        error=values.get("-e", ""),
        join=values.get("-j", "n"),
        keep=values.get("-k", ""),
        rerunnable=values.get("-r", "y") == "y",
        exports_all="-V" in values,
    )


def assign(pair: str) -> tuple[str, str]:
    """Return the name and the value of NAME=VALUE."""
    name, found, value = pair.partition("=")
    if not found:
        raise RejectionError(USAGE, f"illegal resource or variable: {pair}")
    return name, value
