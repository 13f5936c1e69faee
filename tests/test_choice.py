"""The checkpoint that a training goes on from, or that predicts, after anything."""

import shutil
from pathlib import Path

import pytest
from checkpoints import damage, found, policy, save_all

from hed.errors import InputError
from hed.training import choice


def test_a_moved_experiment_still_finds_its_checkpoints(tmp_path: Path) -> None:
    save_all(tmp_path / "old", 1, 2, 3, best=2)
    (tmp_path / "old").rename(tmp_path / "new")
    assert choice.best(tmp_path / "new").name == "002"
    assert found(tmp_path / "new") == "003"


def test_training_resumes_from_where_last_points(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, 3)
    assert found(tmp_path) == "003"


def test_without_a_link_the_newest_checkpoint_counts(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2)
    (tmp_path / "last").unlink()
    assert found(tmp_path) == "002"


def test_nothing_is_found_where_nothing_was_saved(tmp_path: Path) -> None:
    assert found(tmp_path / "none") is None


def test_mode_off_starts_anew(tmp_path: Path) -> None:
    save_all(tmp_path, 1)
    assert found(tmp_path, restart_mode="off") is None


def test_mode_required_refuses_to_start_anew(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="required, but there is no checkpoint in"):
        found(tmp_path, restart_mode="required")
    save_all(tmp_path, 1)
    assert found(tmp_path, restart_mode="required") == "001"


@pytest.mark.parametrize("name", ["model.h5", "optimizer.npz"])
def test_a_damaged_checkpoint_gives_way_to_an_older_one(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_all(tmp_path, 1, 2, 3)
    damage(tmp_path, 3, name)
    assert found(tmp_path) == "002"
    assert "is damaged; trying an older one" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["state.json", "ckpt-info.json", "optimizer.npz"])
def test_a_checkpoint_that_is_cut_off_gives_way_to_an_older_one(tmp_path: Path, name: str) -> None:
    save_all(tmp_path, 1, 2)
    path = tmp_path / "epochs/002" / name
    path.write_bytes(path.read_bytes()[:40])
    assert found(tmp_path) == "001"
    path.unlink()
    assert found(tmp_path) == ("002" if name == "state.json" else "001")


def test_checkpoints_that_are_all_damaged_count_as_none(tmp_path: Path) -> None:
    save_all(tmp_path, 1)
    damage(tmp_path, 1)
    assert found(tmp_path) is None
    assert found(tmp_path, checksum=False) == "001"
    with pytest.raises(InputError, match="required"):
        found(tmp_path, restart_mode="required")


def test_pointing_last_elsewhere_rolls_back(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, 3, 4)
    (tmp_path / "last").unlink()
    (tmp_path / "last").symlink_to("epochs/002")
    assert found(tmp_path) == "002"
    damage(tmp_path, 2)
    assert found(tmp_path) == "001"


@pytest.mark.parametrize("name", ["best", "last"])
def test_a_damaged_best_model_predicts_nothing(tmp_path: Path, name: str) -> None:
    save_all(tmp_path, 1, 2, best=1 if name == "best" else 2)
    damage(tmp_path, 1 if name == "best" else 2)
    with pytest.raises(InputError, match=r"model.h5 is damaged: .* train it anew"):
        choice.best(tmp_path)


def test_a_model_without_a_checksum_is_trusted(tmp_path: Path) -> None:
    save_all(tmp_path, 1, rules=policy(checksum=False))
    damage(tmp_path, 1)
    assert choice.best(tmp_path).name == "001"


def test_the_best_is_the_last_where_none_is_marked(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2)
    (tmp_path / "best").unlink()
    assert choice.best(tmp_path).name == "002"
    shutil.rmtree(tmp_path / "epochs")
    with pytest.raises(InputError, match="train the run first"):
        choice.best(tmp_path)


def test_the_last_epoch_predicts_where_asked_for_unless_the_training_stopped_early(
    tmp_path: Path,
) -> None:
    save_all(tmp_path / "ckpts", 1, 2, 3, best=2)
    chosen = [choice.predicting(tmp_path, name).name for name in ("best", "last")]
    assert chosen == ["002", "003"]
    (tmp_path / "stop.marker").touch()
    assert choice.predicting(tmp_path, "last").name == "002"
