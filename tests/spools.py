"""A spool, Snakemake's commands that talk to it, a site, and stand-ins of other commands."""

import os
import subprocess
from pathlib import Path

from hed.pilot.spool import Spool
from hed.pilot.tile import Tiles
from hed.site import site as sites
from hed.site.profile import PILOT
from hed.site.site import Site


def call(name: str, spool: Spool, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Call one of Snakemake's commands as Snakemake does."""
    environment = {**os.environ, "SNAKEMAKE_CLUSTER_SIDECAR_VARS": str(spool.directory), **more}
    command = [str(PILOT / name), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def make(directory: Path) -> Spool:
    """Return a spool whose sidecar is this process."""
    made = Spool.make(directory / ".pilot")
    made.tell_nodes(Tiles(("5",), "", "", False, "", "/tmp"))
    made.tell_sidecar(os.getpid(), os.getppid())
    return made


def read_site(directory: Path) -> Site:
    """Return a site of one machine with the tiles of an Aurora node."""
    path = directory / "site.yaml"
    path.write_text(
        "scheduler: local\nwalltime: '01:00:00'\ntiles_per_node: 12\n"
        "device_variable: ZE_AFFINITY_MASK\ndevice_hierarchy: COMPOSITE\nlocal_dir: /tmp\n"
    )
    return sites.read(path, {})


def write_commands(directory: Path, **scripts: str) -> None:
    """Write executable shell scripts."""
    for name, text in scripts.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
