"""The preflight finds what runs lack, says what to do, and is stopped by nothing."""

import fcntl
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from hed.errors import InputError
from hed.preflight import disks, inspection, node, trial
from hed.preflight.checks import Check, attempt
from hed.preflight.disks import Places
from hed.site import site

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "scripts" / "preflight.py"

STEPS = [
    {"step": "python", "version": "3.10.13", "executable": "/opt/python"},
    {"step": "packages", "numpy": "1.26.4", "polars": "2.0.0"},
    {"step": "tensorflow", "version": "2.15.1", "seconds": 4.25},
    {"step": "extension", "name": "intel_extension_for_tensorflow", "version": "2.15.0.3"},
    {"step": "device", "names": ["/physical_device:XPU:0"]},
    {"step": "matmul", "gflops": 20123.4, "right": 1.0},
]
TRIAL = [step["step"] for step in STEPS]


def a_site(tmp_path, **changes):
    """Return a site like Aurora on one node of this machine."""
    (tmp_path / "site.yaml").write_text(f"local_dir: {tmp_path}\n")
    found = site.read(tmp_path / "site.yaml", {})
    settings = {
        "device_variable": "ZE_AFFINITY_MASK",
        "device_hierarchy": "FLAT",
        "check_device": True,
        "tiles_per_node": 1,
        **changes,
    }
    return replace(found, **settings)


def tools(tmp_path, script):
    """Return a directory with a stand-in wrapper of a tile."""
    directory = tmp_path / "tools"
    directory.mkdir()
    (directory / "tile").write_text(f"#!/bin/sh\n{script}\n")
    (directory / "tile").chmod(0o755)
    return directory


def telling(steps):
    """Return the lines of a script that tells steps, among other things."""
    lines = (f"echo '{json.dumps(step)}'" for step in steps)
    return "\n".join(["echo 'Loading modules'", *lines])


def inspect(tmp_path, script, **changes):
    """Return the results of all checks by their names."""
    here = a_site(tmp_path, **changes)
    places = Places(local=tmp_path, output=tmp_path / "output", data=None)
    results = inspection.inspect(here, places, tools=tools(tmp_path, script))
    return {result.check: result for result in results}


def failed(results):
    return [name for name, result in results.items() if not result.ok]


def test_this_machine_passes_with_the_real_software(tmp_path):
    (tmp_path / "site.yaml").write_text(f"local_dir: {tmp_path}\n")
    command = [sys.executable, SCRIPT, "--profile", tmp_path, "--output", tmp_path / "output"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command, "--data", ROOT / "data" / "gdsc2-demo", "--format", "json"],
        env={**os.environ, "PATH": path, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = {row["check"]: row for row in json.loads(done.stdout)}
    assert {row["result"] for row in results.values()} == {"ok"}
    assert results["python"]["found"].endswith(f"{Path(sys.executable).parent}/python")
    assert results["tensorflow"]["found"].startswith("2.")
    assert os.listdir(tmp_path) == ["site.yaml"]


def test_failing_checks_are_named_and_stop_no_other(tmp_path):
    lacking = {
        "interface": "hsn9",
        "launcher": "no-mpiexec",
        "cores": ("0", "0,88888"),
        "tiles_per_node": 2,
    }
    results = inspect(tmp_path, telling(STEPS), **lacking)
    assert failed(results) == ["interface", "launcher", "cores"]
    assert "no address of hsn9; there are" in results["interface"].found
    assert "lo" in results["interface"].found
    assert "tile 1 has cores 0,88888, but a run cannot use 88888 here" in results["cores"].found
    assert "set launcher in site.yaml" in results["launcher"].as_row()["what to do"]
    assert results["matmul"].as_row()["what to do"] == ""


def test_more_tiles_than_cores_are_told(tmp_path):
    results = inspect(tmp_path, telling(STEPS), tiles_per_node=1000)
    assert failed(results) == ["cores"]
    assert "1000 tiles_per_node share " in results["cores"].found


def test_the_command_fails_when_a_check_does(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\n{telling(STEPS[:3])}\nexit 1\n")
    python.chmod(0o755)
    (tmp_path / "software.sh").write_text(f"PATH={python.parent}:$PATH\n")
    (tmp_path / "site.yaml").write_text(
        f"local_dir: {tmp_path}\ninterface: hsn9\nenvironment: software.sh\n"
    )
    command = [sys.executable, SCRIPT, "--profile", tmp_path, "--output", tmp_path / "output"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "3 of 11 checks failed: interface, device, matmul\n"
    assert len(done.stdout.splitlines()) == 12


def test_the_trial_is_told_in_words(tmp_path):
    results = inspect(tmp_path, telling(STEPS))
    assert failed(results) == []
    found = [results[name].found for name in TRIAL]
    assert found == [
        "3.10.13, /opt/python",
        "numpy 1.26.4, polars 2.0.0",
        "2.15.1, imported in 4.2 s",
        "intel_extension_for_tensorflow 2.15.0.3",
        "ZE_AFFINITY_MASK=0: /physical_device:XPU:0",
        "20,123 GFLOP/s",
    ]


@pytest.mark.parametrize(
    ("version", "found"),
    [
        ("4.1.2", "mpi4py 4.1.2: one reads them for all nodes of a block"),
        ("", "no mpi4py: each node of a block reads them itself"),
    ],
)
def test_how_a_block_will_copy_is_told(tmp_path, version, found):
    steps = [*STEPS, {"step": "copies", "mpi4py": version}]
    results = inspect(tmp_path, telling(steps), stage=True, launcher="mpiexec")
    assert results["copies"].found == found
    assert results["copies"].ok


def test_software_that_hangs_is_reported_and_ended(tmp_path):
    script = f"{telling(STEPS[:2])}\nsleep 300 & echo $! >{tmp_path}/pid\nwait"
    start = time.monotonic()
    told = trial.run(a_site(tmp_path), 0, tools(tmp_path, script), patience=1)
    results = {check.name: attempt(check) for check in trial.checks(a_site(tmp_path), told)}
    assert time.monotonic() - start < 30
    assert failed(results) == TRIAL[2:]
    assert results["tensorflow"].found == "no answer within 1 s"
    assert results["matmul"].found == "not reached"
    sleeping = Path("/proc", (tmp_path / "pid").read_text().strip(), "stat")
    assert not sleeping.exists() or sleeping.read_text().split()[2] == "Z"


@pytest.mark.parametrize(
    ("end", "why"),
    [
        (
            "echo 'error: no modules here' >&2; echo 'error: env.sh failed' >&2; exit 1",
            "no modules",
        ),
        ("echo 'Traceback' >&2; echo 'ImportError: libsycl.so' >&2; exit 1", "ImportError: libsyc"),
        ("kill -SEGV $$", "killed by SIGSEGV"),
        ("exit 3", "ended without a word"),
    ],
)
def test_the_reason_of_a_failed_trial_is_told(tmp_path, end, why):
    results = inspect(tmp_path, f"{telling(STEPS[:3])}\n{end}")
    assert failed(results) == TRIAL[3:]
    assert why in results["extension"].found


def test_a_profile_without_a_wrapper_is_told(tmp_path):
    told = trial.run(a_site(tmp_path), 0, tmp_path)
    assert "No such file" in told.failure


@pytest.mark.parametrize("names", [[], ["GPU:0", "GPU:1"]])
def test_a_run_needs_exactly_one_device_where_the_site_says_so(tmp_path, names):
    steps = [*STEPS[:4], {"step": "device", "names": names}, STEPS[5]]
    told = trial.Told("3", {step["step"]: step for step in steps}, "")
    for must, expected in [(True, ["device"]), (False, [])]:
        here = a_site(tmp_path, check_device=must)
        results = {check.name: attempt(check) for check in trial.checks(here, told)}
        assert failed(results) == expected
        assert results["device"].found.startswith("ZE_AFFINITY_MASK=3: ")


@pytest.mark.parametrize(
    "wrong",
    [{"gflops": 0.0, "right": 1.0}, {"gflops": 9e3, "right": 0.5}, {"gflops": 9e3, "right": 0}],
)
def test_a_device_that_computes_nothing_or_nonsense_is_told(tmp_path, wrong):
    steps = [*STEPS[:5], {"step": "matmul", **wrong}]
    assert failed(inspect(tmp_path, telling(steps))) == ["matmul"]


def test_the_extension_is_asked_for_only_where_the_devices_need_it(tmp_path):
    script = f'echo "$@" >{tmp_path}/asked\n{telling(STEPS)}'
    place = tools(tmp_path, script)
    trial.run(a_site(tmp_path), 0, place)
    assert "intel_extension_for_tensorflow" in (tmp_path / "asked").read_text()
    cuda = a_site(tmp_path, device_variable="CUDA_VISIBLE_DEVICES", device_hierarchy="")
    told = trial.run(cuda, 0, place)
    assert "extension" not in (tmp_path / "asked").read_text()
    assert "extension" not in [check.name for check in trial.checks(cuda, told)]


def test_the_tile_that_was_named_is_tried(tmp_path):
    here = a_site(tmp_path, device_hierarchy="COMPOSITE", tiles_per_node=12)
    script = f"echo $ZE_AFFINITY_MASK $ZE_FLAT_DEVICE_HIERARCHY >{tmp_path}/mask"
    trial.run(here, trial.rank_of(here, "1.1"), tools(tmp_path, script))
    assert (tmp_path / "mask").read_text() == "1.1 COMPOSITE\n"
    with pytest.raises(InputError, match=r"no tile 12: the masks of this site are 0\.0 to 5\.1"):
        trial.rank_of(here, "12")


def test_a_check_that_hangs_is_reported():
    never = threading.Event()
    result = attempt(Check("shared", lambda: str(never.wait()), "ask the site"), patience=0.1)
    never.set()
    assert (result.ok, result.found) == (False, "no answer within 0.1 s")


def test_an_error_that_nobody_foresaw_is_a_failed_check():
    result = attempt(Check("cores", lambda: str(1 // 0), ""))
    assert (result.ok, result.found[:17]) == (False, "ZeroDivisionError")


def results_of_disks(here, places):
    return {check.name: attempt(check) for check in disks.checks(here, places)}


def test_a_disk_that_is_too_small_for_the_data_is_told(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for name, size in {"md_merged_data.parquet": 2**43, "not-copied": 2**42}.items():
        with (data / name).open("wb") as stream:
            stream.truncate(size)
    places = Places(local=tmp_path, output=tmp_path, data=data)
    results = results_of_disks(a_site(tmp_path), places)
    assert failed(results) == ["node-local"]
    assert results["node-local"].found.endswith("data 8.8 TB")


def test_missing_directories_are_told(tmp_path):
    absent = tmp_path / "absent"
    places = Places(local=absent, output=absent, data=None)
    results = results_of_disks(a_site(tmp_path), places)
    assert failed(results) == ["node-local"]
    assert str(absent) in results["node-local"].found
    assert not absent.exists()
    places = Places(local=tmp_path, output=tmp_path, data=absent)
    assert "no data set" in results_of_disks(a_site(tmp_path), places)["node-local"].found


def test_an_output_directory_that_other_nodes_do_not_see_is_refused(tmp_path):
    places = Places(local=tmp_path, output=tmp_path / "output", data=None)
    results = results_of_disks(a_site(tmp_path, scheduler="pbs"), places)
    assert failed(results) == ["shared"]
    assert "is node-local" in results["shared"].found


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", lambda *arguments: None)
    places = Places(local=tmp_path, output=tmp_path, data=None)
    results = results_of_disks(a_site(tmp_path), places)
    assert failed(results) == ["shared"]
    assert results["shared"].found == "two locks on one file at once"


def test_cores_that_were_tried_do_not_stay_bound(tmp_path):
    before = os.sched_getaffinity(0)
    first = str(min(before))
    here = a_site(tmp_path, cores=(first, first))
    results = {check.name: attempt(check) for check in node.checks(here)}
    assert results["cores"].found == f"2 tiles, {first} to {first}"
    assert os.sched_getaffinity(0) == before
