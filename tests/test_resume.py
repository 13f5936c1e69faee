"""A training that was interrupted, killed or started twice ends like one that was not."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tiny
from experiments import SCRIPTS

from hed import lock, uno
from hed.config import hyperparameters
from hed.data import controls, dataset
from hed.errors import InputError
from hed.training import backend, checkpoint, loop, trainer, weights
from hed.training.backend import keras, tf

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
backend.configure(threads=1)
RESULTS = ("history.txt", "val_y_data_predicted.csv", "val_scores.json", "result.txt")


class Interrupted(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"))


def interrupt(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, *, call: int) -> None:
    """Let a call of a function, counted from 0, raise instead."""
    original, calls = getattr(module, name), iter(range(1000))

    def function(*args: Any, **named: Any) -> Any:
        if next(calls) == call:
            raise Interrupted
        return original(*args, **named)

    monkeypatch.setattr(module, name, function)


def assert_same(run: Path, reference: Path) -> None:
    """Check that all results are the same bytes, and the weights and the optimizer too."""
    for name in RESULTS:
        assert (run / name).read_bytes() == (reference / name).read_bytes(), name
    for link in ("best", "last"):
        ours, theirs = run / "ckpts" / link, reference / "ckpts" / link
        assert os.readlink(ours) == os.readlink(theirs)
        assert stored(ours) == stored(theirs)


def stored(place: Path) -> dict[str, bytes]:
    layers = weights.read(place / checkpoint.MODEL)
    arrays = {f"{name}-{i}": a.tobytes() for name in layers for i, a in enumerate(layers[name])}
    with np.load(place / checkpoint.OPTIMIZER) as file:
        return arrays | {name: file[name].tobytes() for name in file}


# Within the warm-up and the plateau the rate changes; with this rate nothing improves by 1e-4.
REDUCING = {"epochs": 7, "learning_rate": 1e-7, "reduce_lr_patience": 1, "warmup_epochs": 1}

# In an epoch, after its steps; after an epoch, before it is saved; while its links are replaced.
PLACES = [(trainer.Trainer, "predict"), (loop, "_report"), (checkpoint, "_link")]


@pytest.mark.parametrize("precision", tiny.PRECISIONS)
@pytest.mark.parametrize("sharing", ["off", "on"])
@pytest.mark.parametrize("name", ["Adam", "RMSprop"])
def test_an_interrupted_training_ends_like_one_that_was_not(
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    precision: str,
    sharing: str,
    name: str,
) -> None:
    changes = {"precision": precision, "tower_sharing": sharing, "optimizer": name}
    draw = random.Random(f"{precision} {sharing} {name}")
    interval, place, call = draw.choice([1, 2]), draw.choice(PLACES), draw.randrange(2, 6)
    decay = draw.choice(["none", "cosine"])
    changes |= {"row_grouping": draw.choice([1, 3]) if sharing == "on" else 1}
    changes |= {"output_bias": draw.choice(["zero", "mean"])}
    changes |= {"ckpt_save_interval": interval, "learning_rate_decay": decay, **REDUCING}
    reference = tiny.run_parameters(source, tmp_path / "whole", **changes)
    rates = uno.run(reference)["lr"]
    assert rates[call] != rates[1] and rates[-1] != rates[call]

    params = tiny.run_parameters(source, tmp_path / "run", **changes)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, *place, call=call)
        uno.run(params)
    uno.run(params)
    assert "resuming from epoch" in (tmp_path / "run/ckpts/ckpt.log").read_text()
    assert_same(tmp_path / "run", tmp_path / "whole")


def test_a_training_that_resumes_with_another_loss_has_a_best_epoch_of_its_own(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, changes = tmp_path / "run", {"early_stopping_patience": 3, "learning_rate": 1e-7}
    uno.run(tiny.run_parameters(source, run, epochs=2, loss="mse", **changes))
    history = uno.run(tiny.run_parameters(source, run, epochs=4, loss="mae", **changes))
    # Each value of mae is greater than all of mse.
    assert max(history["val_loss"][:2]) < min(history["val_loss"][2:])
    assert os.readlink(run / "ckpts/best").endswith(("003", "004"))
    assert "was that of the least val_loss of mse: compared anew" in capsys.readouterr().out
    state = json.loads((run / "ckpts/last/state.json").read_text())
    assert state["schedule"]["stop_best"] == min(history["val_loss"][2:])
    more = uno.run(tiny.run_parameters(source, run, epochs=5, loss="mae", **changes))
    assert len(more["val_loss"]) == 5
    assert "compared anew" not in capsys.readouterr().out


def test_a_training_that_resumes_with_another_metric_keeps_its_best_epoch(
    source: Path, tmp_path: Path
) -> None:
    run, changes = tmp_path / "run", {"learning_rate": 1e-7, "ckpt_keep_limit": 9}
    first = uno.run(tiny.run_parameters(source, run, epochs=3, **changes))
    best = int(os.readlink(run / "ckpts/best")[-3:])
    metric = {"ckpt_save_best_metric": "loss"}
    more = uno.run(tiny.run_parameters(source, run, epochs=4, **metric, **changes))
    state = json.loads((run / "ckpts/last/state.json").read_text())
    expected = min(first["loss"][best - 1], more["loss"][3])
    assert (state["best_metric"], state["measured"]) == (expected, ["loss", "mse"])


@pytest.mark.parametrize("name", ["Adam", "RMSprop"])
def test_an_epoch_is_saved_as_it_was_when_the_next_one_has_trained_meanwhile(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    changes = {**KEPT, "optimizer": name}
    uno.run(tiny.run_parameters(source, tmp_path / "whole", **changes))
    trained, save = threading.Semaphore(0), checkpoint.save

    def late(directory: Path, rules: checkpoint.Policy, epoch: int, **named: Any) -> None:
        assert epoch == KEPT["epochs"] or trained.acquire(timeout=30)
        save(directory, rules, epoch, **named)

    def report(state: loop.State, *_: Any) -> None:
        if state.epoch > 1:
            trained.release()

    monkeypatch.setattr(checkpoint, "save", late)
    monkeypatch.setattr(loop, "_report", report)
    uno.run(tiny.run_parameters(source, tmp_path / "late", **changes))
    assert_same(tmp_path / "late", tmp_path / "whole")
    for place in (tmp_path / "whole/ckpts/epochs").iterdir():
        assert stored(tmp_path / "late/ckpts/epochs" / place.name) == stored(place)


@pytest.fixture(scope="module")
def whole(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 epochs that was not interrupted; every epoch is saved and kept."""
    run = tmp_path_factory.mktemp("whole") / "run"
    uno.run(tiny.run_parameters(source, run, **KEPT))
    return run


KEPT = {"epochs": 6, "learning_rate": 1e-4, "ckpt_keep_mode": "all"}


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "copy", symlinks=True))


def link_last(run: Path, epoch: int) -> None:
    (run / "ckpts/last").unlink()
    (run / "ckpts/last").symlink_to(f"epochs/{epoch:03d}")


@pytest.mark.parametrize("name", ["_interrupted_early", "_stopped_while_stopping"])
def test_early_stopping_is_resumed_too(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    call = {"_interrupted_early": 1, "_stopped_while_stopping": 3}[name]
    changes = {"epochs": 9, "learning_rate": 1e-30, "early_stopping_patience": 3}
    uno.run(tiny.run_parameters(source, tmp_path / "whole", **changes))
    params = tiny.run_parameters(source, tmp_path / "run", **changes)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        interrupt(patch, loop, "_report", call=call)
        uno.run(params)
    uno.run(params)
    assert_same(tmp_path / "run", tmp_path / "whole")
    assert (tmp_path / "run/stop.marker").read_text() == "early stopping: 4/9\n"


def test_a_finished_run_is_written_again_without_training(
    source: Path, copy: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in RESULTS:
        (copy / name).unlink()
    interrupt(monkeypatch, trainer.Trainer, "epoch", call=0)
    uno.run(tiny.run_parameters(source, copy, **KEPT))
    assert_same(copy, whole)
    assert (copy / "timings.json").read_bytes() == (whole / "timings.json").read_bytes()


def test_a_rolled_back_training_repeats_the_epochs_after(
    source: Path, copy: Path, whole: Path
) -> None:
    link_last(copy, 2)
    uno.run(tiny.run_parameters(source, copy, **KEPT))
    assert_same(copy, whole)


def test_a_training_goes_on_from_an_older_checkpoint_if_the_last_is_damaged(
    source: Path, copy: Path, whole: Path
) -> None:
    with (copy / "ckpts/last/model.h5").open("r+b") as stream:
        stream.seek(3000)
        stream.write(b"damage")
    uno.run(tiny.run_parameters(source, copy, **KEPT))
    assert_same(copy, whole)


def test_after_a_rollback_the_best_is_one_of_the_remaining_history(
    source: Path, copy: Path
) -> None:
    """The epoch that was the best then is gone, and a rate of nothing gives none that is better."""
    link_last(copy, 3)
    state = copy / "ckpts/epochs/003/state.json"
    changed = {"best_epoch": 1, "best_metric": 1e-9}
    state.write_text(json.dumps({**json.loads(state.read_text()), **changed}))
    checkpoint.empty(copy / "ckpts/epochs/001")
    uno.run(tiny.run_parameters(source, copy, **{**KEPT, "epochs": 4, "learning_rate": 1e-30}))
    assert checkpoint.linked_epoch(copy / "ckpts/best") == 3


def test_a_lower_learning_rate_counts_after_a_rollback(source: Path, copy: Path) -> None:
    link_last(copy, 3)
    before = json.loads((copy / "history.txt").read_text())["lr"]
    lower = {**KEPT, "learning_rate": 1e-5}
    after = uno.run(tiny.run_parameters(source, copy, **lower))["lr"]
    assert after == pytest.approx([*before[:3], *[rate / 10 for rate in before[3:]]])


def test_more_epochs_continue_a_finished_run(source: Path, copy: Path, whole: Path) -> None:
    longer = uno.run(tiny.run_parameters(source, copy, **{**KEPT, "epochs": 8}))
    before = json.loads((whole / "history.txt").read_text())
    assert {name: values[:6] for name, values in longer.items()} == before
    assert len(longer["loss"]) == 8


def test_a_checkpoint_of_another_network_is_refused(source: Path, copy: Path) -> None:
    params = tiny.run_parameters(source, copy, **KEPT, drug_arch=[9])
    with pytest.raises(InputError, match=r"holds another network: layer drug_1 has \(5, 8\) and"):
        uno.run(params)


def test_a_checkpoint_with_fewer_layers_is_refused(source: Path, copy: Path) -> None:
    params = tiny.run_parameters(source, copy, **KEPT, drug_arch=[8, 8])
    with pytest.raises(InputError, match="layer drug_2 has no weights"):
        uno.run(params)


def test_a_checkpoint_with_another_optimizer_is_refused(source: Path, copy: Path) -> None:
    link_last(copy, 3)
    with pytest.raises(InputError, match="another optimizer"):
        uno.run(tiny.run_parameters(source, copy, **KEPT, optimizer="SGD"))


# Checkpoints of the original


def write_original(ckpts: Path, *, epoch: int) -> keras.Model:
    """Write a checkpoint as the original does, and return its model."""
    keras.backend.clear_session()
    cell, drug = keras.Input((6,)), keras.Input((5,))
    dense = lambda size, x: keras.layers.Dense(size, activation="relu")(x)  # noqa: E731
    towers = [dense(8, dense(8, cell)), dense(8, drug)]
    x = dense(16, keras.layers.Dropout(0.1)(keras.layers.Concatenate()(towers)))
    model = keras.Model([cell, drug], keras.layers.Dense(1, activation="sigmoid")(x))
    place = ckpts / "epochs" / f"{epoch:03d}"
    place.mkdir(parents=True)
    model.save(place / "model.h5")
    crc = zlib.crc32((place / "model.h5").read_bytes())
    info = {"epoch": epoch, "best_metric_last": 0.3, "checksum": str(crc)}
    (place / "ckpt-info.json").write_text(json.dumps(info))
    for name in ("best", "last"):
        (ckpts / name).symlink_to(place.resolve())
    return model


@pytest.mark.filterwarnings("ignore:You are saving")
def test_a_checkpoint_of_the_original_is_resumed_from(source: Path, tmp_path: Path) -> None:
    model = write_original(tmp_path / "old/ckpts", epoch=12)  # dense, dense_1, ... dense_4
    checkpoint.adopt(tmp_path / "old/ckpts", tmp_path / "run/ckpts")
    params = tiny.run_parameters(source, tmp_path / "run", epochs=13, learning_rate=1e-30)
    history = uno.run(params)
    assert [values[:12] for values in history.values()] == [[None] * 12] * 5
    cells, drugs = dataset.read(source)
    rows = uno.read_rows(controls.inputs(params), "val", cells, drugs)
    features = [cells.values[rows.cell], drugs.values[rows.drug]]
    expected = np.mean((model(features).numpy()[:, 0] - rows.auc) ** 2)
    assert history["val_loss"][12] == pytest.approx(expected, rel=1e-5)
    assert history["lr"][12] == pytest.approx(16e-30)
    best = 13 if expected < 0.3 else 12
    assert checkpoint.linked_epoch(tmp_path / "run/ckpts/best") == best


@pytest.mark.filterwarnings("ignore:You are saving")
def test_what_the_original_had_finished_ends_with_its_best_metric(
    source: Path, tmp_path: Path
) -> None:
    write_original(tmp_path / "ckpts", epoch=12)
    uno.run(tiny.run_parameters(source, tmp_path, epochs=12))
    assert (tmp_path / "result.txt").read_text() == "0.3\n"


@pytest.mark.filterwarnings("ignore:You are saving")
def test_a_file_of_weights_alone_is_read_like_that_of_a_model(tmp_path: Path) -> None:
    write_original(tmp_path, epoch=1)
    saved = tmp_path / "epochs/001/model.h5"
    # What save_weights writes into a file of this name before Keras 3.
    with h5py.File(saved) as model, h5py.File(tmp_path / "weights.h5", "w") as alone:
        for name in model["model_weights"]:
            model.copy(f"model_weights/{name}", alone)
        alone.attrs.update(model["model_weights"].attrs)
    expected, found = weights.read(saved), weights.read(tmp_path / "weights.h5")
    assert list(found) == list(expected)
    for name, arrays in expected.items():
        assert all(np.array_equal(a, b) for a, b in zip(arrays, found[name], strict=True))


@pytest.mark.skipif(tf.__version__ >= "2.16", reason="Keras 3 saves weights in another form")
def test_a_file_that_save_weights_wrote_is_read(tmp_path: Path) -> None:
    model = write_original(tmp_path, epoch=1)
    model.save_weights(tmp_path / "weights.h5")
    kernel, bias = weights.read(tmp_path / "weights.h5")["dense"]
    assert np.array_equal(kernel, model.get_layer("dense").get_weights()[0])
    assert bias.shape == (8,)


# Real processes


LONG = {**KEPT, "epochs": 40, "ckpt_keep_mode": "linear", "early_stopping_patience": 40}


def start_training(source: Path, run: Path) -> subprocess.Popen[str]:
    dflts, upf = run.parent / "dflts.json", run.parent / "upf.json"
    tiny_network = {**tiny.NETWORK, **LONG}
    dflts.write_text(json.dumps(tiny_network))
    line = hyperparameters.UpfLine(id=run.name, index=0, overrides={})
    upf.write_text(hyperparameters.format_upf([line]))
    return subprocess.Popen(
        [sys.executable, str(SCRIPTS / "train.py"), str(run), "--upf", str(upf), "--dflts",
         str(dflts), "--partition", str(source), "--data", str(source)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip


def lines_of(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout
    return iter(process.stdout.readline, "")


def test_a_training_killed_twice_and_started_twice_ends_like_one_that_was_not(
    source: Path, tmp_path: Path
) -> None:
    draw = random.Random(2)
    run = tmp_path / "RUN000"
    for epoch in (9, 21):
        process = start_training(source, run)
        assert any(line.startswith(f"epoch {epoch:>2}/40") for line in lines_of(process))
        time.sleep(draw.uniform(0, 0.05))
        process.kill()
        process.wait()
    assert not (run / "history.txt").exists()
    held = lock.acquire(run, wait=True)
    assert held
    process = start_training(source, run)
    assert next(lines_of(process)).startswith(f"waiting for process {os.getpid()} on ")
    held.close()
    text = list(lines_of(process))
    assert process.wait(60) == 0
    epochs = [line.split("/")[0] for line in text if line.startswith("epoch")]
    assert epochs[-1] == "epoch 40" and len(epochs) < 40 - 20 + 2
    uno.run(tiny.run_parameters(source, tmp_path / "whole", **LONG))
    assert_same(run, tmp_path / "whole")
