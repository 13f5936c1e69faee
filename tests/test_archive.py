"""The tarball holds every result once, and equal contents give equal bytes."""

import os
import subprocess
import tarfile

import pytest
from experiments import (
    assert_is_refused,
    call_script,
    copy_experiment,
    digest_tree,
    run_script,
    write_experiment,
)

from hed.experiment import outcome
from hed.experiment.runs import read_runs
from hed.watching import aggregate, archive
from hed.watching.archive import export

OF_A_RUN = {
    "baseline_scores.json",
    "history.txt",
    "parameters.txt",
    "test_scores.json",
    "test_y_data_predicted.csv",
    "val_scores.json",
    "val_y_data_predicted.csv",
}


@pytest.fixture
def mixed(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done", "running", "waiting"])
    aggregate.write_all(experiment, "mse")
    return experiment


def names(path):
    with tarfile.open(path) as tar:
        return tar.getnames()


def test_the_tarball_is_in_the_experiment_and_named_after_it(mixed):
    assert export(mixed) == mixed / "EXP011.tgz"


def test_every_result_is_there_and_no_model_or_run_log(mixed):
    top = "dflts-demo.json epochs.txt experiment.json jobid.txt progress.txt"
    expected = {*top.split(), "scores.csv", "scores.parquet", "upf.json"}
    expected |= {f"run/RUN000/{name}" for name in OF_A_RUN} | {"run/RUN001/parameters.txt"}
    expected |= {"markers/marker-000.txt"}
    assert set(names(export(mixed))) == {f"EXP011/{name}" for name in expected}


def test_an_unpacked_experiment_is_as_far_as_the_packed_one(mixed, tmp_path):
    (mixed / "run" / "RUN002").mkdir(exist_ok=True)
    outcome.write_empty(mixed / "run" / "RUN002")
    with tarfile.open(export(mixed)) as tar:
        tar.extractall(tmp_path / "there", filter="data")
    found, there = (read_runs(place) for place in (mixed, tmp_path / "there" / "EXP011"))
    assert [(run.state, run.empty) for run in there] == [(run.state, run.empty) for run in found]


def test_the_original_is_exported_with_its_own_upf_and_logs(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    logs = ("turbine.log", "turbine-env.txt", "turbine-pbs.sh")
    for name in logs:
        (experiment / name).write_text(name)
    found = names(export(experiment))
    assert {f"EXP000/{name}" for name in ("hed-gen.json", "dflts-demo.json", *logs)} <= set(found)


def test_members_are_sorted_and_appear_once(mixed):
    found = names(export(mixed))
    assert found == sorted(set(found))


def test_members_have_the_bytes_of_the_files(mixed):
    with tarfile.open(export(mixed)) as tar:
        for name in tar.getnames():
            assert tar.extractfile(name).read() == (mixed.parent / name).read_bytes(), name


def test_members_have_no_owner_time_or_mode_of_their_own(mixed):
    (mixed / "jobid.txt").chmod(0o600)
    with tarfile.open(export(mixed)) as tar:
        found = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar}
    assert found == {(0, 0, 0, "", "", 0o644)}


def test_a_second_export_has_the_same_bytes(mixed):
    first = export(mixed).read_bytes()
    assert export(mixed).read_bytes() == first


def test_a_copy_with_other_times_has_the_same_bytes(mixed, tmp_path):
    copy = copy_experiment(mixed, tmp_path / "elsewhere" / "EXP011")
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert export(copy).read_bytes() == export(mixed).read_bytes()


def test_the_number_of_threads_does_not_show(mixed, monkeypatch):
    first = export(mixed).read_bytes()
    monkeypatch.setattr(archive, "MAX_THREADS", 1)
    assert export(mixed).read_bytes() == first


def test_an_export_changes_nothing_else(mixed, tmp_path):
    before = digest_tree(mixed)
    export(mixed, tmp_path / "there" / "results.tgz")
    assert digest_tree(mixed) == before
    assert "EXP011/scores.csv" in names(tmp_path / "there" / "results.tgz")


def test_tar_of_the_system_reads_it_without_complaint(mixed, tmp_path):
    result = subprocess.run(
        ["tar", "xzf", export(mixed), "-C", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_a_file_that_vanishes_while_exporting_is_left_out(mixed, monkeypatch):
    select = archive.select

    def select_and_lose(experiment):
        yield from [*select(experiment)]
        (mixed / "run/RUN001/parameters.txt").unlink()

    monkeypatch.setattr(archive, "select", select_and_lose)
    found = names(export(mixed))
    assert "EXP011/run/RUN001/parameters.txt" not in found
    assert "EXP011/upf.json" in found


def test_an_experiment_without_any_result_gives_an_empty_tarball(tmp_path):
    (tmp_path / "EXP000/run/RUN000").mkdir(parents=True)
    assert names(export(tmp_path / "EXP000")) == []


def test_a_failed_export_leaves_the_old_tarball(mixed, monkeypatch):
    first = export(mixed).read_bytes()
    monkeypatch.setattr(archive, "_gzip", lambda data: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(mixed)
    assert (mixed / "EXP011.tgz").read_bytes() == first
    assert not list(mixed.glob(".*"))


def test_the_command_prints_the_path(mixed, tmp_path):
    printed = call_script("export.py", mixed, "--output", tmp_path / "a.tgz")
    assert printed == f"{tmp_path / 'a.tgz'}\n"


def test_the_command_says_that_scores_are_not_yet_collected(tmp_path):
    result = run_script("export.py", write_experiment(tmp_path / "EXP000", ["running"]))
    assert result.returncode == 0
    assert "aggregate.py" in result.stderr


def test_the_command_refuses_a_directory_that_is_no_experiment(tmp_path):
    assert_is_refused(run_script("export.py", tmp_path), "is not an experiment")
