"""The start of a block's script: its environment, and what it copies to its nodes."""

import hashlib
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import hed
from hed import variables
from hed.data import layout
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS
from hed.site.site import Site
from hed.staging import source

# Where this package is, in a checkout or an installation.
SOURCES = Path(hed.__file__).parents[1]
# A copy must stay in the process group of its block, to be killed with it.
LIMIT = "timeout --foreground -k {kill} {copy}"


@dataclass(frozen=True)
class Staging:
    """What a block copies to node-local disk before its workers start.

    Attributes:
        data: directory of the tables, absolute.
        to: node-local directory of the tables.
        software: tarball of the training environment, None if it is not staged.
        local: node-local directory in which it is unpacked.
        environment: script sourced before, or empty; it provides the MPI of a site's Python.
    """

    data: Path
    to: str
    software: Path | None
    local: str
    environment: str

    def script(self, start: str) -> str:
        """Return commands that copy, and that make runs use the complete copies.

        Trainings and scorings read only features; the partition alone reads the responses, once.
        """
        sources = " ".join(shlex.quote(str(self.data / name)) for name in layout.FEATURE_FILES)
        limit = LIMIT.format(kill=TIMERS.copy_kill, copy=TIMERS.copy)
        environment = shlex.quote(self.environment)
        stage = f"{variables.ENVIRONMENT}={environment} {limit} {start} tile python -m hed.staging"
        data = (
            f"if {stage} {sources} --to {shlex.quote(self.to)}; then "
            f"export {variables.DATA}={shlex.quote(str(self.data))} "
            f"{variables.STAGED}={shlex.quote(self.to)}; "
            'else echo "the data are read from the shared file system"; fi'
        )
        if self.software is None:
            return data
        local, software = shlex.quote(self.local), shlex.quote(str(self.software))
        # The link to the current software may point to a newer one before the block ends.
        name = shlex.quote(source.unpacked_name(self.software))
        return (
            f"{data}\nexport {variables.LOCAL}={local} {variables.SOFTWARE}={name}\n"
            f"{stage} --to {local} --unpack {software} || "
            'echo "the software is started from the shared file system"'
        )


def staging(site: Site, data: str, local: str) -> Staging:
    """Return the staging of an experiment's data; experiments with the same data share the copy.

    Args:
        data: directory of the tables, absolute or below the experiment.
        local: node-local directory of the experiment.
    """
    absolute = Path.cwd() / data
    digest = hashlib.blake2b(str(absolute).encode(), digest_size=6).hexdigest()
    shared = Path(local).parent
    software = site.software if site.software and site.software.exists() else None
    return Staging(
        data=absolute,
        to=str(shared / f"data-{digest}"),
        software=software,
        local=str(shared),
        environment=str(site.environment or ""),
    )


def prologue(spool: Spool, tools: Path, local: Path, *, start: str = "$(date +%s)") -> str:
    """Return the start of a block's script, which sets where to find Parsl's and our commands.

    Args:
        spool: where the logs are.
        tools: directory of the commands that a run finds on its PATH.
        local: node-local directory.
        start: when the block's walltime began, in seconds since 1970, for the shell.
    """
    path = f"{Path(sys.executable).parent}:{tools}"
    return "\n".join(
        [
            f"cd {shlex.quote(str(spool.directory / 'parsl'))} || exit",
            f"export {variables.BLOCK_START}={start}",
            f"export {variables.SPOOL}={shlex.quote(str(spool.directory))}",
            f"export PATH={shlex.quote(path)}:$PATH",
            # The launcher's TMPDIR may be too long for the sockets in it.
            f"export TMPDIR={shlex.quote(str(local))}",
            f"export PYTHONPATH={shlex.quote(str(SOURCES))}${{PYTHONPATH:+:$PYTHONPATH}}",
        ]
    )
