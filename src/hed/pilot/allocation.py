"""The allocation that this process runs in, if it was not started on a login node."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hed.errors import InputError
from hed.pilot.timers import TIMERS

if TYPE_CHECKING:
    from hed.site.site import Site


def nodes(environ: Mapping[str, str] = os.environ) -> int:
    """Return the number of nodes that this process has already; 0 on a login node."""
    if environ.get("PBS_JOBID") and (listed := environ.get("PBS_NODEFILE")):
        return len(set(Path(listed).read_text().split()))
    if environ.get("SLURM_JOB_ID"):
        return int(environ.get("SLURM_JOB_NUM_NODES") or environ.get("SLURM_NNODES") or 1)
    return 0


def job(environ: Mapping[str, str] = os.environ) -> str:
    """Return the id of the allocation that this process runs in; empty on a login node."""
    return environ.get("PBS_JOBID") or environ.get("SLURM_JOB_ID") or ""


def within(site: Site, environ: Mapping[str, str] = os.environ) -> Site:
    """Return the site as one block of this allocation's nodes; unchanged outside an allocation.

    Raises:
        InputError: if too little of the allocation's time is left to start a run, or the site has
            no launcher and the allocation several nodes.
    """
    here = nodes(environ)
    if not here:
        return site
    if here > 1 and not site.launcher:
        raise InputError(
            f"this allocation has {here} nodes, and the profile's site.yaml no launcher to reach "
            "them: set one, such as mpiexec or srun, or ask for one node"
        )
    left = seconds_left(environ)
    if left is not None and left <= site.reserve:
        raise InputError(
            f"this allocation ends in {max(0, left)} s, and no run is started in the last "
            f"{site.reserve} s (reserve in site.yaml): ask for a longer one"
        )
    return replace(
        site,
        scheduler="local",
        nodes_per_block=here,
        walltime=site.walltime if left is None else left,
        min_blocks=1,
        init_blocks=1,
        max_blocks=1,
    )


def seconds_left(environ: Mapping[str, str] = os.environ) -> int | None:
    """Return the seconds left in this allocation, None if unknown."""
    if end := environ.get("SLURM_JOB_END_TIME"):
        return int(end) - int(time.time())
    return _seconds_left_of(environ["PBS_JOBID"]) if "PBS_JOBID" in environ else None


def _seconds_left_of(job: str) -> int | None:
    """Return the seconds left of a PBS job, by its server; None if unknown."""
    try:
        told = subprocess.run(
            ["qstat", "-f", "-F", "json", job],
            capture_output=True,
            timeout=TIMERS.scheduler_answer,
            check=True,
        )
        described = next(iter(json.loads(told.stdout)["Jobs"].values()))
        return _seconds(described["Resource_List"]["walltime"]) - _seconds(
            described.get("resources_used", {}).get("walltime", "00:00:00")
        )
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, StopIteration):
        return None


def _seconds(clock: str) -> int:
    """Return the seconds of HH:MM:SS."""
    hours, minutes, seconds = (int(part) for part in clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds
