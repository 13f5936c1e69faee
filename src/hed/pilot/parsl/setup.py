"""Parsl's settings for a site: its executor, and the provider of its blocks."""

import os
import re
import sys
import time
from pathlib import Path

import psutil
from parsl.addresses import address_by_interface
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD
from parsl.providers.base import ExecutionProvider

from hed import variables
from hed.errors import InputError
from hed.experiment import description
from hed.names import JOBS
from hed.pilot import allocation, script
from hed.pilot.parsl.executor import Executor
from hed.pilot.parsl.launcher import PerNode
from hed.pilot.parsl.providers import Local, Pbs, Slurm
from hed.pilot.script import Staging
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS
from hed.site import cores
from hed.site.site import Site
from hed.words import clock


def make(here: Site, spool: Spool, name: str, tools: Path, *, inside: bool) -> Executor:
    """Return the executor that runs one job on each tile of the blocks of a site.

    Args:
        here: the settings, those of `allocation.within` inside an allocation.
        spool: where blocks and jobs are recorded.
        name: of the experiment, for the names of the scheduler's jobs.
        tools: directory of the commands that a run finds on its PATH.
        inside: whether this process is in an allocation, whose nodes are the block.
    """
    period = int(os.environ.get(variables.PILOT_PERIOD, TIMERS.heartbeat))
    executor = Executor(
        label=re.sub(r"[^A-Za-z0-9._+-]", "_", name),
        provider=_provider(here, spool, tools, inside=inside),
        address=_listen(here, inside=inside),
        max_workers_per_node=here.tiles_per_node,
        # Parsl would cap the workers by the cores; how many tiles share them is up to the site.
        # Its own binding kills each worker that has fewer cores than there are workers.
        cores_per_worker=0.001,
        cpu_affinity="none",
        drain_period=here.walltime - here.reserve if here.scheduler != "local" or inside else None,
        heartbeat_period=period,
        heartbeat_threshold=period * TIMERS.missed_heartbeats,
        poll_period=200,
        launch_cmd=f"python -m hed.pilot.keeper {DEFAULT_LAUNCH_CMD}",
        interchange_launch_cmd=_mortal("interchange.py"),
        encrypted=True,
    )
    executor.run_dir = executor.provider.script_dir = str(spool.directory / "parsl")
    executor.all_addresses = _addresses(here, inside=inside)
    return executor


def _provider(site: Site, spool: Spool, tools: Path, *, inside: bool) -> ExecutionProvider:
    """Return the provider of the site's blocks."""
    # All blocks of an allocation end with it, and its walltime is what is left of it now.
    now = {"start": f"{time.time():.0f}"} if inside else {}
    common = {
        "nodes_per_block": site.nodes_per_block,
        "min_blocks": site.min_blocks,
        "init_blocks": site.init_blocks,
        "max_blocks": site.max_blocks,
        "worker_init": script.prologue(spool, tools, site.local_dir, **now),
        "launcher": PerNode(
            site.launcher, site.launcher_options, inside=inside, staging=_staging(site, spool)
        ),
    }
    provider: Pbs | Slurm | Local
    if site.scheduler == "pbs":
        provider = Pbs(**common, **_pbs(site))
    elif site.scheduler == "slurm":
        provider = Slurm(**common, **_slurm(site))
    else:
        provider = Local(**common)
    provider.spool = spool
    provider.jobs = spool.directory.parent / JOBS
    if inside:
        provider.remember(allocation.job())
    return provider


def _staging(site: Site, spool: Spool) -> Staging | None:
    """Return what a block first copies to its nodes, if the site requests that."""
    experiment = description.read(spool.directory.parent)
    if not site.stage or experiment is None:
        return None
    return script.staging(site, str(experiment["data"]), str(experiment["local"]))


def _pbs(site: Site) -> dict[str, object]:
    """Return the options of qsub; a block whose node fails must not be requeued."""
    filesystems = [f"-l filesystems={site.filesystems}"] if site.filesystems else []
    options = [*filesystems, "-r n", *site.scheduler_options]
    return {
        "account": site.account or None,
        "queue": site.queue or None,
        "walltime": clock(site.walltime),
        "cmd_timeout": TIMERS.scheduler_answer,
        "cpus_per_node": _cores(site),
        "select_options": site.select,
        "scheduler_options": "\n".join(f"#PBS {option}" for option in options),
    }


def _slurm(site: Site) -> dict[str, object]:
    """Return the options of sbatch."""
    options = ["--no-requeue", *site.scheduler_options]
    return {
        "account": site.account or None,
        "partition": site.queue or None,
        "walltime": clock(site.walltime),
        "cmd_timeout": TIMERS.scheduler_answer,
        "exclusive": False,
        "scheduler_options": "\n".join(f"#SBATCH {option}" for option in options),
    }


def _cores(site: Site) -> int:
    """Return the number of a node's cores that its tiles use."""
    bound = frozenset().union(*(cores.parse(text) for text in site.cores))
    return max(len(bound), site.tiles_per_node)


def _mortal(command: str) -> list[str]:
    """Return a command that dies with this process, which blocks notice and end."""
    return [sys.executable, "-m", "hed.pilot.processes", "mortal", str(os.getpid()), command]


def _listen(site: Site, *, inside: bool) -> str:
    """Return the address to which the workers connect, 0.0.0.0 for all of this machine's."""
    if site.interface:
        try:
            return str(address_by_interface(site.interface))
        except OSError:
            known = ", ".join(sorted(psutil.net_if_addrs()))
            raise InputError(
                f"no network interface {site.interface} with an address on {os.uname().nodename}: "
                f"set interface in the profile's site.yaml to one of {known}"
            ) from None
    return "127.0.0.1" if site.scheduler == "local" and not inside else "0.0.0.0"


def _addresses(site: Site, *, inside: bool) -> set[str]:
    """Return the addresses that a worker tries; Parsl's own search would ask the internet."""
    listen = _listen(site, inside=inside)
    if listen != "0.0.0.0":
        return {listen}
    found = (address for interface in psutil.net_if_addrs().values() for address in interface)
    return {address.address for address in found if address.family.name == "AF_INET"}
