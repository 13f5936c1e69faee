"""Checkpoints: layout, what is kept, what is adopted, and that a kill leaves one that loads."""

import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from checkpoints import found, make_original, policy, save, save_all
from experiments import digest_tree
from hypothesis import given, settings
from hypothesis import strategies as st

from hed.training import checkpoint, choice


def test_a_checkpoint_has_the_layout_of_candle(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, 3, best=2)
    names = {path.name for path in (tmp_path / "epochs" / "003").iterdir()}
    assert names == {"model.h5", "ckpt-info.json", "state.json", "optimizer.npz"}
    assert os.readlink(tmp_path / "best") == "epochs/002"
    assert os.readlink(tmp_path / "last") == "epochs/003"
    assert {p.name for p in tmp_path.iterdir()} == {"best", "last", "epochs", "ckpt.log"}


def test_the_info_has_the_fields_of_candle(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, rules=policy(metadata="job 7"))
    first, second = (
        json.loads((tmp_path / f"epochs/00{i}/ckpt-info.json").read_text()) for i in (1, 2)
    )
    assert list(second) == [
        "epoch", "save_best_metric", "best_metric_last", "model_file", "checksum", "timestamp",
        "time_elapsed", "metadata",
    ]  # fmt: skip
    assert (second["epoch"], second["save_best_metric"]) == (2, "val_loss")
    assert (second["best_metric_last"], second["model_file"]) == (0.5, "model.h5")
    assert second["checksum"] == str(zlib.crc32(b"weights of epoch 2"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", second["timestamp"])
    assert first["time_elapsed"] == "__FIRST__"
    assert 0 <= second["time_elapsed"] < 60
    assert second["metadata"] == "job 7"


def test_a_checksum_that_is_not_wanted_is_marked_so(tmp_path: Path) -> None:
    save_all(tmp_path, 1, rules=policy(checksum=False))
    info = json.loads((tmp_path / "epochs/001/ckpt-info.json").read_text())
    assert info["checksum"] == "__DISABLED__"
    assert found(tmp_path) == "001"


def test_every_step_is_noted_in_the_log(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, rules=policy(keep_limit=1), best=2)
    choice.find(tmp_path, policy())
    lines = (tmp_path / "ckpt.log").read_text().splitlines()
    texts = [line.split(" ", 2)[2] for line in lines]
    assert texts == ["saved epoch 1", "saved epoch 2", "removed epoch 1", "resuming from epoch 2"]


@given(
    st.lists(st.booleans(), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_the_last_ones_and_the_best_are_kept_and_no_other(
    tmp_path_factory: pytest.TempPathFactory,
    improvements: list[bool],
    limit: int,
    interval: int,
    keep_all: bool,
) -> None:
    directory = tmp_path_factory.mktemp("ckpts")
    rules = policy(keep_limit=limit, keep_mode="all" if keep_all else "linear")
    saved, best = [], interval
    for number, better in enumerate(improvements, start=1):
        saved.append(number * interval)
        best = saved[-1] if better else best
        save(directory, saved[-1], best=best, rules=rules)
        kept = saved if keep_all else {*saved[-limit:], best} & set(saved)
        assert checkpoint.saved_epochs(directory) == sorted(kept)
        assert (directory / "best" / "model.h5").exists()
        assert (directory / "last" / "model.h5").exists()
        described = {p.parent.name for p in directory.glob("epochs/*/ckpt-info.json")}
        assert described == {f"{epoch:03d}" for epoch in saved}


def test_epochs_are_saved_by_interval_when_they_improve_and_at_the_end() -> None:
    rules = policy(save_interval=3)
    saved = [e for e in range(1, 11) if checkpoint.due(rules, e, improved=e == 4, final=False)]
    assert saved == [3, 4, 6, 9, 10]
    assert checkpoint.due(rules, 5, improved=False, final=True)


def test_without_an_interval_only_the_best_and_the_final_epoch_are_saved() -> None:
    rules = policy(save_interval=0)
    saved = [e for e in range(1, 11) if checkpoint.due(rules, e, improved=e == 4, final=False)]
    assert saved == [4, 10]


def test_an_improvement_is_not_saved_if_the_best_is_not_wanted() -> None:
    assert not checkpoint.due(
        policy(save_interval=3, save_best=False), 4, improved=True, final=False
    )


def test_the_first_epochs_can_be_skipped_but_not_the_final_one() -> None:
    rules = policy(skip_epochs=4)  # as CANDLE counts: the fourth is saved
    saved = [e for e in range(1, 7) if checkpoint.due(rules, e, improved=True, final=False)]
    assert saved == [4, 5, 6]
    assert checkpoint.due(rules, 2, improved=False, final=True)


def test_starting_anew_over_old_checkpoints_ends_with_the_new_ones(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, 3, 4, 5, best=4)
    save(tmp_path, 1, best=1)
    assert os.readlink(tmp_path / "best") == os.readlink(tmp_path / "last") == "epochs/001"
    assert found(tmp_path) == "001"


def test_after_a_rollback_later_epochs_neither_count_nor_push_out_new_ones(tmp_path: Path) -> None:
    save_all(tmp_path, 1, 2, 3, 4, 5, 6, rules=policy(keep_mode="all"))
    (tmp_path / "last").unlink()
    (tmp_path / "last").symlink_to("epochs/002")
    save_all(tmp_path, 3, 4, rules=policy(keep_limit=2))
    assert checkpoint.saved_epochs(tmp_path) == [1, 3, 4, 5, 6]
    assert found(tmp_path) == "004"


@pytest.mark.parametrize("best", [2, 5])
def test_checkpoints_of_the_original_are_copied_and_left_as_they_are(
    tmp_path: Path, best: int
) -> None:
    source = make_original(tmp_path / "source", 2, 3, 5, best=best)
    before = digest_tree(source)
    checkpoint.adopt(source, tmp_path / "new")
    assert digest_tree(source) == before
    assert checkpoint.saved_epochs(tmp_path / "new") == sorted({best, 5})
    assert os.readlink(tmp_path / "new/best") == f"epochs/{best:03d}"
    shutil.rmtree(source)
    assert found(tmp_path / "new") == "005"
    assert choice.best(tmp_path / "new").name == f"{best:03d}"


def test_a_moved_original_is_adopted_although_its_links_are_absolute(tmp_path: Path) -> None:
    make_original(tmp_path / "source", 2, 3, best=2).rename(tmp_path / "moved")
    checkpoint.adopt(tmp_path / "moved", tmp_path / "new")
    assert checkpoint.saved_epochs(tmp_path / "new") == [2, 3]


def test_checkpoints_of_its_own_are_not_replaced_by_adopted_ones(tmp_path: Path) -> None:
    source = make_original(tmp_path / "source", 5, best=5)
    save_all(tmp_path / "new", 1)
    checkpoint.adopt(source, tmp_path / "new")
    assert found(tmp_path / "new") == "001"


def test_a_source_without_checkpoints_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    checkpoint.adopt(tmp_path / "source", tmp_path / "new")
    checkpoint.adopt(tmp_path / "missing", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("cut", range(3))
def test_an_interrupted_copy_is_begun_again(
    tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_original(tmp_path / "source", 2, 3, best=2)
    calls = iter(range(99))

    def interrupted(link: Path, epoch: int) -> None:
        if next(calls) == cut:
            raise KeyboardInterrupt
        original_link(link, epoch)

    original_link = checkpoint._link
    monkeypatch.setattr(checkpoint, "_link", interrupted)
    for _ in range(2):
        try:
            checkpoint.adopt(source, tmp_path / "new")
        except KeyboardInterrupt:
            continue
    assert checkpoint.saved_epochs(tmp_path / "new") == [2, 3]
    assert found(tmp_path / "new") == "003"


# Saves for ever, and continues where it was, as training does.
LOOP = """
import json, sys
from pathlib import Path
from checkpoints import choice, policy, save
directory, rules = Path(sys.argv[1]), policy(keep_limit=2)
while True:
    place = choice.find(directory, rules)
    epoch = json.loads((place / "state.json").read_text())["epoch"] if place else 0
    for epoch in range(epoch + 1, epoch + 40):
        save(directory, epoch, best=max(1, epoch - epoch % 5), rules=rules)
    save(directory, 3, best=3, rules=rules)  # roll back
"""


FORKS = """
import os, sys
import checkpoints
def serve(loop):
    for _ in sys.stdin:
        child = os.fork()
        if not child:
            try:
                exec(loop, {})
            finally:
                os._exit(1)
        print(child, flush=True)
        os.waitpid(child, 0)
        print("gone", flush=True)
"""


def start_loop(directory: Path) -> subprocess.Popen[bytes]:
    """Start a process that forks one with the loop for each line it reads: one import for all."""
    code = f"{FORKS}\nloop = {LOOP!r}\nserve(loop)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(directory)],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def test_a_kill_at_any_instant_leaves_a_checkpoint_that_loads(tmp_path: Path) -> None:
    directory = tmp_path / "ckpts"
    save_all(directory, 1, 2, 3, best=2, rules=policy(keep_limit=2))
    draw = random.Random(5)
    server = start_loop(directory)
    assert server.stdin and server.stdout
    for _ in range(120):
        server.stdin.write(b"\n")
        server.stdin.flush()
        child = int(server.stdout.readline())
        time.sleep(draw.uniform(0.001, 0.02))
        os.kill(child, signal.SIGKILL)
        assert server.stdout.readline() == b"gone\n"
        assert_is_usable(directory)
    server.stdin.close()
    assert server.wait(30) == 0


def assert_is_usable(directory: Path) -> None:
    """Check that the last checkpoint is whole, and that no part of one can be taken for one."""
    last = os.readlink(directory / "last").removeprefix("epochs/")
    assert found(directory, restart_mode="required") == last
    for epoch in checkpoint.saved_epochs(directory):
        place = checkpoint.place_of(directory, epoch)
        assert (place / "model.h5").read_bytes() == b"weights of epoch %d" % epoch
        assert json.loads((place / "state.json").read_text())["epoch"] == epoch
        assert np.load(io.BytesIO((place / "optimizer.npz").read_bytes()))["step"] == epoch
