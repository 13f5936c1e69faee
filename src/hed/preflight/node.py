"""The checks of a node that do not need the training software."""

import shutil
import socket
from collections.abc import Iterator
from functools import partial
from importlib import metadata

import psutil

from hed.preflight.checks import Check, Fault
from hed.site import cores
from hed.site.site import Site

WORKFLOW = ("snakemake", "snakemake-executor-plugin-cluster-generic", "parsl", "polars")


def checks(site: Site) -> Iterator[Check]:
    """Yield the checks of the node."""
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
    yield Check(
        "cores",
        partial(_cores, site),
        "set cores and tiles_per_node in site.yaml to what this node has",
    )


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


def _cores(site: Site) -> str:
    """Bind this thread to the cores of each tile, as a run will; compare their numbers."""
    usable = len(cores.usable())
    if not site.cores:
        if site.tiles_per_node > usable:
            raise Fault(f"{site.tiles_per_node} tiles_per_node share {usable} cores")
        return f"runs are not bound; {usable} cores for {site.tiles_per_node} tiles"
    try:
        cores.try_all(site.cores)
    except cores.Unusable as error:
        raise Fault(str(error)) from None
    return f"{len(site.cores)} tiles, {site.cores[0]} to {site.cores[-1]}"
