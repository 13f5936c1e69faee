"""See to it that the programs of Slurm are there."""

import os
import shutil
import subprocess
from typing import NoReturn

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
APT_GET = ("apt-get", "--quiet", "--option=DPkg::Lock::Timeout=300")
# Daemons are in /usr/sbin, which is not on everybody's PATH.
PLACES = os.pathsep.join((os.defpath, "/usr/sbin", "/sbin"))


def find(program: str) -> str:
    """Return the path of a program, or its name if it is not there."""
    return shutil.which(program) or shutil.which(program, path=PLACES) or program


def missing() -> list[str]:
    """Return the programs that are not there."""
    return [program for program in PROGRAMS if find(program) == program]


def ensure() -> None:
    """Install what is missing; fail the test with one sentence where that cannot be done."""
    if os.geteuid() != 0:
        give_up("its daemons need root")
    if missing():
        apt_get("update")
        apt_get("install", "--yes", "--no-install-recommends", *PACKAGES)
    if absent := missing():
        give_up(f"{', '.join(absent)} not found")


def apt_get(*arguments: str) -> None:
    """Run apt-get; fail the test with its last words if it fails."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = [*APT_GET, *arguments]
    try:
        subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        give_up("there is no apt-get to install it")
    except subprocess.CalledProcessError as error:
        last = error.stderr.strip().rpartition("\n")[2]
        give_up(f"apt-get {arguments[0]} failed ({last})")


def give_up(reason: str) -> NoReturn:
    """Fail the test with the reason and with what to do."""
    advice = f"run as root on a system with the packages {', '.join(PACKAGES)}"
    pytest.fail(f"Slurm cannot be started, since {reason}: {advice}", pytrace=False)
