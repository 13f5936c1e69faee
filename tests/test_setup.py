"""What becomes of a site: Parsl's executor, and the one block of an allocation."""

import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from spools import read_site

from hed.errors import InputError
from hed.pilot import allocation
from hed.pilot.parsl import setup
from hed.pilot.spool import Spool
from hed.site.profile import PILOT
from hed.site.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read_site(tmp_path)


def test_an_allocation_is_one_block_of_its_nodes(tmp_path: Path, site: Site) -> None:
    (tmp_path / "nodes").write_text("n0\nn0\nn1\nn2\n")
    site = replace(site, launcher="mpiexec")
    inside = allocation.within(site, {"PBS_JOBID": "1", "PBS_NODEFILE": str(tmp_path / "nodes")})
    assert (inside.scheduler, inside.nodes_per_block, inside.max_blocks) == ("local", 3, 1)
    end = {"SLURM_JOB_END_TIME": str(int(time.time()) + 1000)}
    slurm = allocation.within(site, {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "2", **end})
    assert slurm.nodes_per_block == 2
    with pytest.raises(InputError, match="has 2 nodes, and the profile's site.yaml no launcher"):
        allocation.within(replace(site, launcher=""), {"SLURM_JOB_ID": "1", "SLURM_NNODES": "2"})
    assert 990 <= slurm.walltime <= 1000
    assert allocation.within(site, {}) is site


def test_an_allocation_that_ends_before_a_run_could_begin_is_refused(site: Site) -> None:
    environment = {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(int(time.time()) + 500)}
    words = r"ends in (500|49\d) s, and no run is started in the last 600 s \(reserve"
    with pytest.raises(InputError, match=words):
        allocation.within(replace(site, reserve=600), environment)
    assert 490 <= allocation.within(replace(site, reserve=400), environment).walltime <= 500


def test_a_worker_takes_no_new_run_in_the_reserve(tmp_path: Path, site: Site) -> None:
    environment = {"SLURM_JOB_ID": "1", "SLURM_JOB_END_TIME": str(int(time.time()) + 3000)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        here = allocation.within(site)
        made = setup.make(here, Spool.make(tmp_path / "spool"), "EXP000", PILOT, inside=True)
    assert 2990 - site.reserve <= made.drain_period <= 3000 - site.reserve
    (began,) = re.findall("HED_BLOCK_START=([0-9]+)", made.provider.worker_init)
    assert abs(int(began) - time.time()) < 60


def test_connections_are_encrypted_and_stay_on_this_machine_if_the_blocks_do(
    tmp_path: Path, site: Site
) -> None:
    made = setup.make(site, Spool.make(tmp_path / "spool"), "EXP 000", PILOT, inside=False)
    assert made.encrypted
    assert (made.address, made.all_addresses) == ("127.0.0.1", {"127.0.0.1"})
    assert made.label == "EXP_000"
