"""What the sidecar refuses as soon as Snakemake is typed, before anything is submitted."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from waiting import PATIENCE

from hed import lock
from hed.errors import InputError
from hed.pilot import sidecar
from hed.pilot.timers import TIMERS
from hed.site import site as sites

ROOT = Path(__file__).parents[1]
# Of this machine, no variable that changes a site.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in ("PROJECT", "QUEUE", "WALLTIME", "PROCS", "PPN")
    and not name.startswith(("PBS_", "SLURM_"))
}
CLEAN["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

pytestmark = pytest.mark.xdist_group("chain")


def type_command(
    output: Path,
    environ: Mapping[str, str],
    *more: str,
    start: Sequence[str] = ("--profile", "profiles/aurora"),
) -> subprocess.CompletedProcess[str]:
    """Type the command with these variables in the environment and more options."""
    data = ROOT / "data" / "gdsc2-demo"
    settings = ["--config", f"output={output}", f"data_source={data}", f"local_dir={output}"]
    command = ["snakemake", *start, *more, *settings]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**CLEAN, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({}, "PBS accepts no job without an account: set PROJECT in the environment"),
        ({"PROJECT": "P", "PROCS": "780"}, "queue capacity takes 1 to 16 nodes, not 65: "),
        ({"PROJECT": "P", "QUEUE": "debug"}, "queue debug takes 1 to 2 nodes, not 13: "),
        ({"PROJECT": "P", "WALLTIME": "200:00:00"}, "takes 13 nodes for up to 168:00:00, not 200"),
    ],
)
def test_blocks_that_the_queue_would_refuse_are_refused_in_a_sentence_at_once(
    tmp_path: Path, environ: dict[str, str], sentence: str
) -> None:
    done = type_command(tmp_path, environ)
    assert done.returncode != 0
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert sentence in line
    assert "Traceback" not in done.stdout
    assert not list(tmp_path.glob("EXP000/.pilot"))


@pytest.mark.parametrize("name", ["my experiments", "a&b"])
def test_a_directory_that_qsub_would_not_find_is_refused_before_any_job(
    tmp_path: Path, name: str
) -> None:
    done = type_command(tmp_path / name, {}, start=("--profile", "profiles/workstation"))
    assert done.returncode != 0
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert "take no path with spaces or special characters: choose another directory" in line
    assert not list(tmp_path.glob("*/EXP000/.pilot"))


def test_inside_an_allocation_nothing_is_submitted_so_neither_account_nor_queue_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aurora = sites.read(ROOT / "profiles" / "aurora" / "site.yaml", {"PROCS": "780"})
    (tmp_path / "nodes").write_text("n0\nn1\n")
    with pytest.raises(InputError):
        sidecar._refuse(aurora)
    monkeypatch.setenv("PBS_JOBID", "1.server")
    monkeypatch.setenv("PBS_NODEFILE", str(tmp_path / "nodes"))
    sidecar._refuse(aurora)


def test_blocks_that_are_not_given_back_in_time_end_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "EXP000" / ".pilot"
    monkeypatch.setattr(sidecar, "TIMERS", replace(TIMERS, blocks_return=1.0))
    with lock.acquire(directory), pytest.raises(InputError, match="blocks of EXP000 are still"):
        sidecar._lock(directory, os.getpid())
    with sidecar._lock(directory, os.getpid()):
        pass


def test_an_experiment_that_this_start_has_locked_is_its_own(tmp_path: Path) -> None:
    with lock.acquire(tmp_path):
        assert not lock.is_held_by_another(tmp_path, os.getpid())
        assert lock.is_held_by_another(tmp_path, os.getppid())
    assert not lock.is_held_by_another(tmp_path, os.getppid())
    assert not lock.is_held_by_another(tmp_path / "nowhere", os.getppid())


def test_what_a_block_needs_is_asked_for_only_when_an_experiment_has_a_job_for_one(
    tmp_path: Path,
) -> None:
    # The rule runs here, not on a block.
    until = ("--until", "preprocess")
    first = type_command(tmp_path, {}, *until, start=("--cores", "1"))
    assert first.returncode == 0, first.stdout
    again = type_command(tmp_path, {}, *until)
    assert again.returncode == 0, again.stdout
    assert "Results: " in again.stdout
    assert "error" not in again.stdout
    more = type_command(tmp_path, {})
    assert more.returncode != 0
    (line,) = (line for line in more.stdout.splitlines() if line.startswith("error: "))
    assert "PBS accepts no job without an account" in line
    assert "Traceback" not in more.stdout
    assert not list(tmp_path.glob("EXP000/out/*-train.txt"))


def test_a_configfile_that_replaces_the_profile_s_is_refused_and_one_beside_it_is_not(
    tmp_path: Path,
) -> None:
    mine = tmp_path / "my.yaml"
    mine.write_text("seed: 3\n")
    own = str(ROOT / "profiles" / "aurora" / "run.yaml")
    done = type_command(tmp_path, {"PROJECT": "P"}, "--configfile", str(mine))
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("error: "))
    assert done.returncode != 0
    assert line.startswith("error: launcher is empty")
    assert line.endswith(f"as in --configfile {own} my.yaml")
    both = type_command(tmp_path, {}, "--configfile", own, str(mine))
    assert "launcher" not in both.stdout
    assert "error: PBS accepts no job without an account" in both.stdout
