"""The environment of a run on its tile: one device, named before any framework is imported."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hed import variables
from hed.pilot import allocation
from hed.site import cores

if TYPE_CHECKING:  # a guard does not need the module that reads a site's settings
    from hed.site.site import Site


@dataclass(frozen=True)
class Tiles:
    """The tiles of a node, and the configuration of the runs on them.

    Attributes:
        masks: one device mask per tile.
        variable: environment variable that makes one device visible; empty on a CPU.
        hierarchy: FLAT, COMPOSITE, or empty where the variable is not ZE_AFFINITY_MASK.
        check: require that the framework sees exactly one device.
        environment: shell script sourced before the science command, or empty.
        local: node-local directory.
        cores: of each tile's runs; empty if they are not bound.
        warm: whether one Python executes all science commands of a tile.
        silence: seconds after which a run that writes nothing hangs; 0 for never.
    """

    masks: tuple[str, ...]
    variable: str
    hierarchy: str
    check: bool
    environment: str
    local: str
    cores: tuple[str, ...] = ()
    warm: bool = False
    silence: int = 0


def of(site: Site) -> Tiles:
    """Return the tiles of a node of this site."""
    return Tiles(
        masks=site.masks(),
        variable=site.device_variable,
        hierarchy=site.device_hierarchy,
        check=site.check_device,
        environment=str(site.environment or ""),
        local=str(site.local_dir),
        cores=site.cores,
        warm=variables.WARM in os.environ,
        silence=site.silence,
    )


def _threads(bound: frozenset[int]) -> dict[str, str]:
    """Return the variables that bind GNU's and Intel's OpenMP threads to the cores of a run."""
    some = ",".join(map(str, sorted(bound)))
    return {
        "OMP_NUM_THREADS": str(len(bound)),
        "GOMP_CPU_AFFINITY": some,
        "KMP_AFFINITY": f"explicit,proclist=[{some}]",
    }


def environment(tiles: Tiles, rank: int, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a run on the tile of a node's worker number `rank`."""
    mask = tiles.masks[rank]
    block = allocation.job(environ)
    own = {
        variables.TILE: mask,
        variables.BLOCK: block or f"block-{environ.get('PARSL_WORKER_BLOCK_ID', '0')}",
        variables.DEVICE_VARIABLE: tiles.variable,
        variables.ENVIRONMENT: tiles.environment,
        "TMPDIR": tiles.local,
        "PYTHONUNBUFFERED": "1",  # what a run prints shows that it does not hang
    }
    if tiles.variable:
        own[tiles.variable] = mask
    if tiles.hierarchy:
        own |= {"ZE_FLAT_DEVICE_HIERARCHY": tiles.hierarchy, "ZE_ENABLE_PCI_ID_DEVICE_ORDER": "1"}
    if tiles.check:
        own[variables.DEVICES] = "1"
    if tiles.cores:
        own |= _threads(cores.parse(tiles.cores[rank]))
    return {**environ, **own}
