"""The script of a block: what it copies, and the worker pool that it starts on each node."""

import os
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import pytest
from spools import read_site
from waiting import wait_for

from hed.data import layout
from hed.pilot import processes, script
from hed.pilot.parsl.launcher import PerNode
from hed.pilot.spool import Spool
from hed.pilot.timers import TIMERS
from hed.site.profile import PILOT
from hed.site.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return read_site(tmp_path)


def test_workers_are_started_once_on_each_node() -> None:
    mpi = PerNode("mpiexec", "--no-vni", inside=False)("pool", 1, 13)
    assert "mpiexec --no-vni -n 13 --ppn 1 --hostfile $JOBNAME.nodes /bin/sh $JOBNAME.pool" in mpi
    # Also of one node: the shell of salloc is on the login node.
    assert "srun --overlap  -N 1 -n 1" in PerNode("srun", "", inside=True)("pool", 1, 1)
    slurm = PerNode("srun", "-l", inside=True)("pool", 1, 2)
    assert "srun --overlap -l -N 2 -n 2 --ntasks-per-node 1 /bin/sh $JOBNAME.pool" in slurm
    alone = PerNode("mpiexec", "", inside=False)("pool", 1, 1)
    assert "\n/bin/sh $JOBNAME.pool\n" in alone
    assert "mpiexec" not in alone


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import none.such", "ModuleNotFoundError: No module named 'none'"),
        ("import os; os.write(2, bytes([80, 250])); os._exit(1)", "P\ufffd"),
    ],
)
def test_a_node_whose_python_does_not_start_says_so_and_stays(
    tmp_path: Path, code: str, told: str
) -> None:
    spool = Spool.make(tmp_path / "spool")
    text = PerNode("", "", inside=False)(f"python -c '{code}'", 1, 1)
    environment = {"JOBNAME": "parsl.block-9.block-3.17.5", "HED_SPOOL": str(spool.directory)}
    process = subprocess.Popen(
        ["bash", "-c", text],
        env={**os.environ, **environment},
        cwd=tmp_path,
        start_new_session=True,
    )
    wait_for(spool.reported_nodes)
    assert process.poll() is None
    processes.kill_group(process.pid)
    ((place, why),) = spool.reported_nodes().items()
    assert place == ("3", os.uname().nodename)
    assert why == told


def run_block(staging: script.Staging, tmp_path: Path, tools: Path = PILOT) -> str:
    """Run the script of a block of one node whose pool says what it was given."""
    command = 'echo "data at $HED_STAGED, software in $HED_LOCAL."; [ "$HED_BLOCK_START" ]'
    text = PerNode("mpiexec", "", inside=False, staging=staging)(command, 1, 1)
    prologue = script.prologue(Spool.make(tmp_path / "spool"), tools, tmp_path)
    prologue += "\nexport JOBNAME=parsl.EXP000.block-0.17.5"
    done = subprocess.run(
        ["bash", "-c", f"{prologue}\n{text}"], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def test_a_block_whose_data_cannot_be_copied_reads_them_from_the_pfs(
    tmp_path: Path, site: Site
) -> None:
    local = tmp_path / "hed" / "EXP000-0"
    staging = script.staging(site, str(tmp_path / "no data"), str(local))
    printed = run_block(staging, tmp_path)
    assert "the data are read from the shared file system\ndata at , software in .\n" in printed


def test_a_copy_that_hangs_does_not_keep_a_block_from_its_runs(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "TIMERS", replace(TIMERS, copy=0.5))
    (tmp_path / "tile").write_text("#!/bin/sh\nexec sleep 300\n")
    (tmp_path / "tile").chmod(0o755)
    (tmp_path / "training.tar").touch()
    staged = replace(site, software=tmp_path / "training.tar")
    staging = script.staging(staged, "/data", str(tmp_path / "hed" / "EXP000-0"))
    start = time.monotonic()
    printed = run_block(staging, tmp_path, tmp_path)
    assert time.monotonic() - start < 60
    assert "the data are read from the shared" in printed
    assert "the software is started from the shared" in printed
    assert f"data at , software in {tmp_path / 'hed'}.\n" in printed


def test_a_block_that_copies_is_not_taken_for_one_that_is_silent() -> None:
    copies = 2 * (TIMERS.copy + TIMERS.copy_kill)  # data, then software
    assert copies < TIMERS.copying_block


def test_a_block_copies_the_data_and_unpacks_the_software_on_its_nodes(
    tmp_path: Path, site: Site
) -> None:
    for name in layout.FEATURE_FILES:
        (tmp_path / name).write_text(name)
    (tmp_path / "python").write_text("3.10")
    with tarfile.open(tmp_path / "training-7.tar", "w") as tar:
        tar.add(tmp_path / "python", "bin/python")
    staged = replace(site, software=tmp_path / "training-7.tar")
    local = tmp_path / "hed"
    staging = script.staging(staged, str(tmp_path), str(local / "EXP000-0"))
    printed = run_block(staging, tmp_path)
    assert f"data at {staging.to}, software in {local}.\n" in printed
    assert [(Path(staging.to) / name).read_text() for name in layout.FEATURE_FILES] == [
        *layout.FEATURE_FILES
    ]
    assert (local / "training-7/bin/python").read_text() == "3.10"
    assert not script.staging(replace(site, software=tmp_path / "none.tar"), "", "/a/b").software
