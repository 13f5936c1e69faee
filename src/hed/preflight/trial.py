"""A trial of what a run does on its tile, in a process that is killed if it hangs."""

import json
import math
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hed
from hed import command as commands
from hed.errors import InputError
from hed.pilot import tile
from hed.preflight.checks import Check, Fault
from hed.site.site import Site

# Seconds for all of it; importing TensorFlow takes 4, and on a node that reads it for the first
# time from a busy file system up to a minute.
PATIENCE = 120.0
# Seconds within which a killed process is gone, unless it hangs in a driver.
LAST = 5.0

# TensorFlow knows the devices of this variable only through an extension.
EXTENSIONS = {"ZE_AFFINITY_MASK": "intel_extension_for_tensorflow"}

Step = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """The steps that a trial reported before it ended, and why it ended ("": it succeeded)."""

    mask: str
    steps: Mapping[str, Step]
    failure: str


def rank_of(site: Site, mask: str | None) -> int:
    """Return the position of a tile on its node; None: the first.

    Raises:
        InputError: if there is no such tile.
    """
    masks = site.masks()
    if mask is None:
        return 0
    if mask not in masks:
        known = f"{masks[0]} to {masks[-1]}" if len(masks) > 1 else masks[0]
        raise InputError(f"no tile {mask}: the masks of this site are {known}")
    return masks.index(mask)


def run(site: Site, rank: int, tools: Path, *, patience: float = PATIENCE) -> Told:
    """Start the probe as a tile's wrapper starts a training, and wait for its end."""
    tiles = tile.of(site)
    source = str(Path(hed.__file__).parents[1])
    path = os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")]))
    environ = tile.environment(tiles, rank, {**os.environ, "PYTHONPATH": path})
    command = [str(tools / "tile"), "python", "-m", "hed.preflight.probe", *_extensions(site)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        failure = _wait(command, environ, out, err, patience)
        out.seek(0)
        err.seek(0)
        steps = _steps(out.read().decode(errors="replace"))
        said = err.read().decode(errors="replace").splitlines()
    return Told(tiles.masks[rank], steps, commands.reason(said) if failure is None else failure)


def _extensions(site: Site) -> list[str]:
    return [EXTENSIONS[site.device_variable]] if site.device_variable in EXTENSIONS else []


def _wait(
    command: Sequence[str], environ: Mapping[str, str], out: Any, err: Any, patience: float
) -> str | None:
    """Return why a command failed; "" if it did not, None if its last line says why."""
    try:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    try:
        status = process.wait(patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LAST)
        return f"no answer within {patience:g} s"
    return (None if status > 0 else f"killed by {signal.Signals(-status).name}") if status else ""


def _steps(text: str) -> dict[str, Step]:
    """Return the steps by name; modules may print other lines."""
    steps = (json.loads(line) for line in text.splitlines() if line.startswith('{"step"'))
    return {step["step"]: step for step in steps}


def checks(site: Site, told: Told) -> Iterator[Check]:
    """Yield a check for each step of the trial."""
    renders: dict[str, Callable[[Step], str]] = {
        "python": lambda step: f"{step['version']}, {step['executable']}",
        "packages": _packages,
        "copies": _copies,
        "tensorflow": lambda step: f"{step['version']}, imported in {step['seconds']:.1f} s",
        "extension": lambda step: f"{step['name']} {step['version']}",
        "device": partial(_device, site, told.mask),
        "matmul": _matmul,
    }
    if not _extensions(site):
        del renders["extension"]
    if not (site.stage and site.launcher):
        del renders["copies"]
    missing = [name for name in renders if name not in told.steps]
    for name, render in renders.items():
        if name in missing[1:]:
            yield Check(name, partial(_fail, "not reached"), f"as for {missing[0]}")
        elif name in missing:
            yield Check(name, partial(_fail, told.failure), _advice(site, name))
        else:
            yield Check(name, partial(render, told.steps[name]), _advice(site, name))


def _fail(why: str) -> str:
    raise Fault(why)


def _advice(site: Site, name: str) -> str:
    if name in ("device", "matmul"):
        return (
            "end what else uses the device; compare device_variable and device_hierarchy in "
            "site.yaml with this node, or try another node"
        )
    if site.environment is None:
        return "run `make setup`; if there was no answer, try another node"
    return f"mend what {site.environment} prepares; if there was no answer, try another node"


def _packages(step: Step) -> str:
    return ", ".join(f"{name} {version}" for name, version in step.items() if name != "step")


def _copies(step: Step) -> str:
    """Tell how a block copies data and software to its nodes; either way will do."""
    if step["mpi4py"]:
        return f"mpi4py {step['mpi4py']}: one reads them for all nodes of a block"
    return "no mpi4py: each node of a block reads them itself"


def _device(site: Site, mask: str, step: Step) -> str:
    names = ", ".join(step["names"]) or "no device"
    found = f"{site.device_variable}={mask}: {names}" if site.device_variable else names
    if site.check_device and len(step["names"]) != 1:
        raise Fault(f"{found}, where a run needs exactly one")
    return found


def _matmul(step: Step) -> str:
    found = f"{step['gflops']:,.0f} GFLOP/s"
    if step["right"] != 1:
        raise Fault(f"{found}, but {1 - step['right']:.1%} of the product is wrong")
    if not 0 < step["gflops"] < math.inf:
        raise Fault(found)
    return found
