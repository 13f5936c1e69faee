"""The settings of a site: who gives the nodes, what a node has, and what the queues allow."""

import json
import os
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml

from hed.config import schema
from hed.errors import InputError
from hed.files import read_lines
from hed.site import cores, limits, walltime
from hed.site.limits import Limits

# An Intel Max 1550 has two tiles; COMPOSITE names them by GPU.
TILES_PER_GPU = 2

# What users of the original set, in their environment.
_VARIABLES = ("PROJECT", "QUEUE", "WALLTIME", "PROCS", "PPN")
# Each of these becomes one argument of a command or one word of a job script.
_WORDS = ("account", "queue", "filesystems", "select", "launcher", "interface", "local_dir")


@dataclass(frozen=True)
class Site:
    """Where the runs of an experiment are placed, one on each tile.

    Attributes:
        walltime: seconds of each block.
        cores: the cores of each tile, such as 1-8; empty if runs are not bound.
        launcher: starts one process on each node of a block.
        environment: shell script sourced before each science command.
        software: tarball of the training environment, which a block unpacks on its nodes.
        device_variable: shows a run its device; empty if there are none.
        check_device: the framework must see exactly one device.
        interface: network interface that the workers connect to; empty for any.
        reserve: seconds before the end of a block in which a worker takes no new run.
        silence: seconds after which a run that writes nothing is taken for hung; 0 for never.
        stage: data and software are copied to node-local disk when a block starts.
        queues: the known limits of queues.
    """

    scheduler: Literal["pbs", "slurm", "local"]
    account: str
    queue: str
    walltime: int
    nodes_per_block: int
    min_blocks: int
    init_blocks: int
    max_blocks: int
    tiles_per_node: int
    cores: tuple[str, ...]
    filesystems: str
    select: str
    scheduler_options: tuple[str, ...]
    launcher: str
    launcher_options: str
    environment: Path | None
    local_dir: Path
    device_variable: str
    device_hierarchy: str
    check_device: bool
    interface: str
    reserve: int
    silence: int
    stage: bool
    software: Path | None = None
    queues: Mapping[str, Limits] = field(default_factory=dict, hash=False)

    def masks(self) -> tuple[str, ...]:
        """Return the value of `device_variable` for each tile of a node."""
        tiles = range(self.tiles_per_node)
        if self.device_hierarchy == "COMPOSITE":
            return tuple(f"{tile // TILES_PER_GPU}.{tile % TILES_PER_GPU}" for tile in tiles)
        return tuple(str(tile) for tile in tiles)


@cache
def definition() -> Mapping[str, Any]:
    """Return the schema of the settings: name to type, range, default and description."""
    loaded: Mapping[str, Any] = json.loads(files("hed.site").joinpath("site.json").read_text())
    return loaded


def definition_of_queue() -> Mapping[str, Any]:
    """Return the schema of the limits of one queue."""
    queue: Mapping[str, Any] = definition()["properties"]["queues"]["additionalProperties"]
    return queue


def read(path: Path, environ: Mapping[str, str] = os.environ) -> Site:
    """Return the settings in a site's YAML file, with defaults for what it does not set.

    PROJECT, QUEUE, WALLTIME, PPN and PROCS in the environment take precedence; an empty one
    counts as unset. PPN is `tiles_per_node`. PROCS is the number of runs at once, over all
    blocks: ceil(PROCS / PPN) nodes, divided among `max_blocks` blocks and rounded up.

    Raises:
        InputError: if the file is missing, or a setting or the environment is not allowed.
    """
    given = _load(path)
    queues = {
        str(name): _limits(queue, f"queues.{name} in {path}")
        for name, queue in given.pop("queues", {}).items()
    }
    values = schema.complete(given, definition())
    values["walltime"] = walltime.seconds(values["walltime"], f"walltime in {path}")
    values.update(_from_environment(values, environ))
    values["cores"] = tuple(str(entry) for entry in values["cores"])
    values["scheduler_options"] = tuple(values["scheduler_options"])
    for name in ("environment", "software"):
        values[name] = _beside(path, values[name])
    values["local_dir"] = Path(values["local_dir"]).expanduser()
    site = Site(**{**values, "queues": queues})
    for conflict in _conflicts(site):
        raise InputError(f"{path}: {conflict}")
    return site


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the environment that change a site; empty ones count as unset."""
    stripped = {name: environ.get(name, "").strip() for name in _VARIABLES}
    return {name: value for name, value in stripped.items() if value}


def require_account(site: Site) -> None:
    """Refuse to submit to PBS without an account.

    Raises:
        InputError: if there is none.
    """
    if site.scheduler == "pbs" and not site.account:
        raise InputError(
            "PBS accepts no job without an account: "
            "set PROJECT in the environment or account in the profile's site.yaml"
        )


class _Once(yaml.SafeLoader):
    """Reads YAML without keys that are set twice, of which the last would count."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Return a mapping."""
        keys = [key.value for key, _ in node.value]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.MarkedYAMLError(
                problem=f"{twice[0]} is set twice: keep one", problem_mark=node.start_mark
            )
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def _load(path: Path) -> dict[str, Any]:
    """Return what the file sets, checked against the schema; a key without a value is unset."""
    try:
        value = yaml.load("\n".join(read_lines(path)), Loader=_Once)
    except yaml.YAMLError as error:
        where = " ".join(str(error).split())
        raise InputError(f"{path} is not valid YAML: {where}") from None
    if isinstance(value, dict):
        value = {key: given for key, given in value.items() if given is not None}
        walltime.refuse_numbers(value, str(path))
    value = {} if value is None else value
    schema.check(value, definition(), source=str(path))
    checked: dict[str, Any] = value
    return checked


def _limits(given: Mapping[str, Any], where: str) -> Limits:
    return limits.from_settings(schema.complete(given, definition_of_queue()), where)


def _from_environment(values: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that the user's environment changes."""
    given = variables(environ)
    found: dict[str, Any] = {}
    if "PROJECT" in given:
        found["account"] = given["PROJECT"]
    if "QUEUE" in given:
        found["queue"] = given["QUEUE"]
    if "WALLTIME" in given:
        found["walltime"] = walltime.seconds(given["WALLTIME"], "WALLTIME in the environment")
    tiles: int = values["tiles_per_node"]
    if "PPN" in given:
        tiles = _count("PPN", given["PPN"])
        found |= {"tiles_per_node": tiles, "cores": values["cores"][:tiles]}
    if "PROCS" in given:
        nodes = -(-_count("PROCS", given["PROCS"]) // tiles)
        found["nodes_per_block"] = -(-nodes // values["max_blocks"])
    return found


def _count(name: str, text: str) -> int:
    """Return the positive number in an environment variable."""
    if not re.fullmatch(r"0*[1-9][0-9]{0,6}", text):
        raise InputError(f"{name} in the environment must be a number from 1, not {text!r}")
    return int(text)


def _beside(path: Path, name: str) -> Path | None:
    """Return the path that a site's file names, relative to that file."""
    return (path.parent / Path(name).expanduser()).resolve() if name else None


def _conflicts(site: Site) -> Iterator[str]:
    """Yield conflicts between values that are each allowed."""
    yield from _text_conflicts(site)
    yield from _block_conflicts(site)
    yield from _node_conflicts(site)


def _text_conflicts(site: Site) -> Iterator[str]:
    for name in _WORDS:
        if re.search(r"\s", str(getattr(site, name))):
            yield f"{name} must be one word, not {str(getattr(site, name))!r}"
    for option in (*site.scheduler_options, site.launcher_options):
        if len(option.splitlines()) > 1 or option[:1] not in ("-", ""):
            yield f"an option must start with - and be on one line, not {option!r}"
        if site.scheduler == "slurm" and re.match(r"-M\b|--clusters?\b", option):
            yield f"{option!r}: only the cluster that squeue shows by itself can be used"
    for name in ("filesystems", "select"):
        if getattr(site, name) and site.scheduler != "pbs":
            yield f"{name} is an option of PBS; leave it empty for {site.scheduler}"


def _block_conflicts(site: Site) -> Iterator[str]:
    if not site.min_blocks <= site.init_blocks <= site.max_blocks:
        blocks = f"{site.min_blocks}, {site.init_blocks} and {site.max_blocks}"
        yield f"min_blocks, init_blocks and max_blocks must not decrease, but are {blocks}"
    if site.nodes_per_block > 1 and not site.launcher:
        yield f"{site.nodes_per_block} nodes_per_block need a launcher, such as mpiexec or srun"
    if site.scheduler == "local" and site.max_blocks > 1 and site.device_variable:
        yield "max_blocks must be 1 for local, since all blocks would use the same devices"
    if site.reserve >= site.walltime:
        yield f"reserve ({site.reserve} s) must be shorter than walltime ({site.walltime} s)"


def _node_conflicts(site: Site) -> Iterator[str]:
    if site.cores and len(site.cores) != site.tiles_per_node:
        entries, tiles = len(site.cores), site.tiles_per_node
        yield f"cores has {entries} entries, but needs one for each of the {tiles} tiles_per_node"
    yield from _core_conflicts(site.cores)
    if site.check_device and not site.device_variable:
        yield "check_device needs a device_variable, or every run sees all devices"
    if site.device_hierarchy and site.device_variable != "ZE_AFFINITY_MASK":
        yield "device_hierarchy is of ZE_AFFINITY_MASK; leave it empty for another device_variable"
    if not site.local_dir.is_absolute():
        yield f"local_dir must be an absolute path, not {site.local_dir}"
    if site.environment and not site.environment.is_file():
        yield f"environment: no such file: {site.environment}"


def _core_conflicts(entries: Sequence[str]) -> Iterator[str]:
    """Yield entries that are not lists of cores, or that share a core."""
    owners: dict[int, str] = {}
    for entry in entries:
        try:
            listed = cores.parse(entry)
        except ValueError:
            yield f"cores must be such as 1-8 or 0,2-4, not {entry!r}"
            continue
        for core in sorted(listed & owners.keys()):
            yield f"cores {owners[core]} and {entry} share core {core}, but each run needs its own"
        owners |= dict.fromkeys(listed, entry)
