"""The checks of a node that need no software of the trainings."""

import os
import shutil
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from importlib import metadata

import psutil

from hed.preflight.checks import Check, Fault
from hed.site.site import Site

WORKFLOW = ("snakemake", "snakemake-executor-plugin-cluster-generic", "parsl", "polars")


def checks(site: Site) -> Iterator[Check]:
    """Yield them."""
    yield Check("workflow", _workflow, "run `make setup`, and start this with .venv's python")
    yield Check(
        "interface",
        partial(_interface, site.interface),
        "set interface in the profile's site.yaml to one of this node's",
    )
    yield Check(
        "launcher",
        partial(_launcher, site),
        "set launcher in site.yaml, or load the module that has it",
    )
    yield Check("cores", partial(_cores, site.cores), "set cores in site.yaml to this node's cores")


def _workflow() -> str:
    """Find the packages of this Python."""
    versions, missing = [], []
    for name in WORKFLOW:
        try:
            versions.append(f"{name.rpartition('-plugin-')[2]} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        raise Fault(f"no {', '.join(missing)}")
    return ", ".join(versions)


def _interface(name: str) -> str:
    """Find the address to which workers connect."""
    known = {
        interface: [address.address for address in addresses if address.family == socket.AF_INET]
        for interface, addresses in psutil.net_if_addrs().items()
    }
    usable = {interface: addresses[0] for interface, addresses in known.items() if addresses}
    if name and name not in usable:
        raise Fault(f"no address of {name}; there are {', '.join(sorted(usable))}")
    return f"{name} {usable[name]}" if name else f"any of {', '.join(sorted(usable))}"


def _launcher(site: Site) -> str:
    """Find what starts a process on each node."""
    if not site.launcher:
        return "none is needed"
    found = shutil.which(site.launcher)
    if found is None:
        raise Fault(f"no {site.launcher} on PATH")
    return found


def _cores(tiles: Sequence[str]) -> str:
    """Bind this thread to the cores of each tile, as a worker will do."""
    if not tiles:
        return "runs are not bound"
    before = os.sched_getaffinity(0)
    try:
        for number, cores in enumerate(tiles):
            _bind(number, cores)
    finally:
        os.sched_setaffinity(0, before)
    return f"{len(tiles)} tiles, {tiles[0]} to {tiles[-1]}"


def _bind(tile: int, cores: str) -> None:
    ranges = [part.split("-") for part in cores.split(",")]
    wanted = {core for r in ranges for core in range(int(r[0]), int(r[-1]) + 1)}
    try:
        os.sched_setaffinity(0, wanted)
        lacking = wanted - os.sched_getaffinity(0)
    except OSError:
        lacking = wanted
    if lacking:
        some = ", ".join(map(str, sorted(lacking)[:3]))
        raise Fault(f"tile {tile} has cores {cores}, but this process cannot use {some}")
