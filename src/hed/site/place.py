"""Where a process of a run is: block, node, tile."""

import os
import socket

from hed import variables


def describe(device: str) -> str:
    """Return where this process runs, one `KEY: value` a line; `device` is TensorFlow's name."""
    block = _first_set(variables.BLOCK, "PBS_JOBID", "SLURM_JOB_ID")
    tile = _first_set(variables.TILE, "ZE_AFFINITY_MASK", "CUDA_VISIBLE_DEVICES")
    return f"block: {block}\nnode: {socket.gethostname()}\ntile: {tile}\ndevice: {device}\n"


def _first_set(*names: str) -> str:
    """Return the first of some environment variables that is set, `-` if none is."""
    return next((value for name in names if (value := os.environ.get(name))), "-")
