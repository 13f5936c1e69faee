"""Old checkpoints go, and never one that is needed: not best, not last, none of a training run."""

import json
import os
import time

import pytest
from experiments import (
    assert_is_refused,
    call_script,
    digest_tree,
    run_script,
    write_checkpoint,
    write_experiment,
)
from hypothesis import given
from hypothesis import strategies as st

from hed import lock
from hed.errors import InputError
from hed.watching import cleaning
from hed.watching.health import UNTIMED_PATIENCE

MODEL_BYTES = len(b"weights")


def fill(experiment, run="RUN000", *, epochs=range(1, 11), best=2, ours=True):
    """Write checkpoints of a run, `best` pointing at one of them, as after 10 epochs."""
    directory = experiment / "run" / run
    for epoch in epochs:
        place = write_checkpoint(directory, epoch=epoch)
        if ours:
            (place / "state.json").write_text("{}")
            (place / "optimizer.npz").write_bytes(bytes(100))
    (directory / "ckpts/best").unlink(missing_ok=True)
    (directory / "ckpts/best").symlink_to(f"epochs/{best:03d}")
    return directory / "ckpts"


def models(checkpoints):
    """Return the epochs that have a model."""
    return sorted(int(path.parent.name) for path in checkpoints.glob("epochs/*/model.h5"))


@pytest.fixture
def experiment(tmp_path):
    return write_experiment(tmp_path / "EXP011", ["done"], epochs=10)


def test_the_newest_n_and_the_best_stay_and_all_else_goes(experiment):
    checkpoints = fill(experiment)
    call_script("clean_ckpts.py", experiment, 3)
    assert models(checkpoints) == [2, 8, 9, 10]
    left = {path.name for path in (checkpoints / "epochs/001").iterdir()}
    assert left == {"ckpt-info.json"}


def test_a_dry_run_tells_the_same_and_removes_nothing(experiment, capsys):
    fill(experiment)
    before = digest_tree(experiment)
    told = json.loads(call_script("clean_ckpts.py", experiment, 3, "--dry-run", "--format", "json"))
    assert digest_tree(experiment) == before
    assert "6 checkpoints would be removed, " in capsys.readouterr().err
    assert [(row["run"], row["epoch"]) for row in told] == [
        ("RUN000", epoch) for epoch in (1, 3, 4, 5, 6, 7)
    ]
    place = experiment / "run/RUN000/ckpts/epochs/001"
    size = sum(len(p.read_bytes()) for p in place.iterdir() if p.name != "ckpt-info.json")
    assert {row["bytes"] for row in told} == {size}
    done = json.loads(call_script("clean_ckpts.py", experiment, 3, "--format", "json"))
    assert done == told
    assert "6 checkpoints removed, " in capsys.readouterr().err


def test_cleaning_again_finds_nothing(experiment):
    fill(experiment)
    call_script("clean_ckpts.py", experiment, 1)
    assert call_script("clean_ckpts.py", experiment, 1, "--format", "json") == "[]\n"


@given(
    epochs=st.sets(st.integers(1, 30), min_size=1),
    keep=st.integers(1, 5),
    data=st.data(),
)
def test_what_best_and_last_point_to_is_never_removed(tmp_path_factory, epochs, keep, data):
    experiment = write_experiment(tmp_path_factory.mktemp("x") / "EXP011", ["done"], epochs=1)
    best, last = (data.draw(st.sampled_from(sorted(epochs))) for _ in range(2))
    checkpoints = fill(experiment, epochs=sorted(epochs), best=best)
    (checkpoints / "last").unlink()
    (checkpoints / "last").symlink_to(f"epochs/{last:03d}")
    saved = set(models(checkpoints))
    list(cleaning.remove(cleaning.plan(experiment, keep=keep).old))
    until_last = sorted(epoch for epoch in saved if epoch <= last)
    later = saved - set(until_last)
    assert set(models(checkpoints)) == {*until_last[-keep:], best, last, *later}


def test_absolute_links_of_the_original_protect_too_though_they_are_broken(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"], original=True, epochs=10)
    checkpoints = fill(experiment, ours=False)
    for name, epoch in (("best", 3), ("last", 10)):
        (checkpoints / name).unlink()
        (checkpoints / name).symlink_to(f"/lus/flare/EXP283/run/RUN000/ckpts/epochs/{epoch:03d}")
    call_script("clean_ckpts.py", experiment, 2)
    assert models(checkpoints) == [3, 9, 10]


def test_of_the_originals_checkpoints_the_description_stays_too(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["done"], original=True, epochs=10)
    checkpoints = fill(experiment, ours=False)
    told = json.loads(call_script("clean_ckpts.py", experiment, 3, "--format", "json"))
    assert {row["bytes"] for row in told} == {MODEL_BYTES}
    assert [path.name for path in (checkpoints / "epochs/001").iterdir()] == ["ckpt-info.json"]


def test_a_run_that_is_being_trained_is_left_as_it_is(tmp_path, capsys):
    experiment = write_experiment(tmp_path / "EXP011", ["running", "done"])
    training, done = (fill(experiment, run) for run in ("RUN000", "RUN001"))
    held = lock.acquire(experiment / "run/RUN000")
    when = time.time() - 2 * UNTIMED_PATIENCE
    for path in experiment.rglob("*"):
        os.utime(path, (when, when), follow_symlinks=False)
    call_script("clean_ckpts.py", experiment, 1)
    assert "RUN000 was left as it is: it is being trained" in capsys.readouterr().err
    assert models(training) == [*range(1, 11)]
    assert len(models(done)) < 10
    held.close()
    call_script("clean_ckpts.py", experiment, 1)
    assert models(training) == [2, 10]


def test_a_training_that_begins_after_the_plan_is_passed_over(experiment):
    checkpoints = fill(experiment)
    lock.acquire(experiment / "run/RUN000").close()
    plan = cleaning.plan(experiment, keep=1)
    held = lock.acquire(experiment / "run/RUN000")
    assert list(cleaning.remove(plan.old)) == []
    assert len(models(checkpoints)) == 10
    held.close()


def test_the_lock_file_goes_on_to_name_who_trained_the_run(experiment):
    fill(experiment)
    lock.acquire(experiment / "run/RUN000").close()
    before = (experiment / "run/RUN000" / lock.LOCK_FILE).read_text()
    call_script("clean_ckpts.py", experiment, 1)
    assert (experiment / "run/RUN000" / lock.LOCK_FILE).read_text() == before


def test_a_link_that_points_to_no_epoch_leaves_the_run_as_it_is(experiment, capsys):
    checkpoints = fill(experiment)
    (checkpoints / "best").unlink()
    (checkpoints / "best").symlink_to("/elsewhere/model")
    call_script("clean_ckpts.py", experiment, 1)
    assert "points to /elsewhere/model, which is no epoch" in capsys.readouterr().err
    assert len(models(checkpoints)) == 10


def test_a_linked_checkpoint_of_another_experiment_is_left_there(experiment, tmp_path):
    checkpoints = fill(experiment)
    other = tmp_path / "other"
    (checkpoints / "epochs/001").rename(other)
    (checkpoints / "epochs/001").symlink_to(other)
    call_script("clean_ckpts.py", experiment, 1)
    assert (other / "model.h5").exists()


def test_a_run_without_checkpoints_is_no_error(tmp_path):
    experiment = write_experiment(tmp_path / "EXP011", ["waiting", "done"])
    assert call_script("clean_ckpts.py", experiment, 3, "--format", "csv") == "run,epoch,bytes\n"


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_none_is_refused(experiment, keep):
    with pytest.raises(InputError, match="N must be at least 1"):
        call_script("clean_ckpts.py", experiment, keep)


def test_a_directory_that_is_no_experiment_is_refused(tmp_path):
    assert_is_refused(run_script("clean_ckpts.py", tmp_path, 3), "is not an experiment")
