"""A training from its data to its results, on tiny data."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from hed import uno
from hed.data import controls, dataset
from hed.data.dataset import Rows
from hed.errors import InputError
from hed.training import backend, checkpoint, choice, loop, weights
from hed.training.backend import keras
from hed.training.trainer import Trainer

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
backend.configure(threads=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"))


def history_of(run: Path) -> dict[str, list[float]]:
    return dict(json.loads((run / "history.txt").read_text()))


def val_rows(source: Path) -> Rows:
    cells, drugs = dataset.read(source)
    return dataset.rows(tiny.response(source, "val"), cells, drugs)


def test_a_run_leaves_the_files_of_the_original(source: Path, tmp_path: Path) -> None:
    history = uno.run(tiny.run_parameters(source, tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {
        "ckpts", "history.txt", "rank.txt", "result.txt", "timings.json", "val_scores.json",
        "val_y_data_predicted.csv",
    }  # fmt: skip
    assert history_of(tmp_path) == history
    assert list(history) == ["loss", "val_loss", "r2_train", "r2_val", "lr"]
    assert {len(values) for values in history.values()} == {3}
    assert (tmp_path / "result.txt").read_text() == f"{history['val_loss'][-1]}\n"
    timings = json.loads((tmp_path / "timings.json").read_text())
    assert timings["train_rows"] == len(tiny.response(source, "train"))
    assert len(timings["epoch_seconds"]) == 3
    assert (tmp_path / "rank.txt").read_text().splitlines()[-1] == "device: CPU"


def test_a_run_starts_from_the_mean_of_its_training_rows_if_told_to(
    source: Path, tmp_path: Path
) -> None:
    """With rates of almost nothing it stays where it starts."""
    small: dict[str, Any] = {"epochs": 1, "learning_rate": 1e-30, "warmup_epochs": 0}
    bias = {}
    for where in ("zero", "mean"):
        run = tmp_path / where
        uno.run(tiny.run_parameters(source, run, output_bias=where, **small))
        model = run / "ckpts/last" / checkpoint.MODEL
        bias[where] = weights.read(model)["auc"][1].item()
    mean = tiny.response(source, "train")["auc"].mean()
    assert bias["zero"] == pytest.approx(0, abs=1e-20)
    assert 1 / (1 + math.exp(-bias["mean"])) == pytest.approx(mean, abs=1e-3)


def test_the_history_ends_with_what_the_last_model_scores(source: Path, tmp_path: Path) -> None:
    params = tiny.run_parameters(source, tmp_path, learning_rate=1e-4)
    history = uno.run(params)
    loaded = keras.models.load_model(tmp_path / "ckpts/last/model.h5", compile=False)
    cells, drugs = dataset.read(source)
    rows = val_rows(source)
    features = [cells.values[rows.cell], drugs.values[rows.drug]]
    squared = (loaded(features, training=False).numpy()[:, 0] - rows.auc) ** 2
    assert history["val_loss"][-1] == pytest.approx(np.mean(squared), rel=1e-5)
    r2 = 1 - np.sum(squared) / np.sum((rows.auc - rows.auc.mean()) ** 2)
    assert history["r2_val"][-1] == pytest.approx(r2, rel=1e-4)
    variance = np.var(tiny.response(source, "train")["auc"].to_numpy())
    assert history["r2_train"] == pytest.approx(
        [1 - float(loss or 0) / variance for loss in history["loss"]], rel=1e-4
    )


def test_r2_of_a_constant_truth_is_undefined() -> None:
    assert loop._r2(0.1, np.float32([0.5, 0.5])) is None
    assert loop._r2(0.25, np.float32([0.0, 1.0])) == 0


@pytest.mark.parametrize("predict_with", ["best", "last"])
def test_the_model_of_the_chosen_epoch_predicts(
    source: Path, tmp_path: Path, predict_with: str
) -> None:
    """A rate that is far too high after the first epochs makes the last one worse."""
    changes = {"learning_rate": 5e-2, "epochs": 8, "warmup_epochs": 6, "optimizer": "RMSprop"}
    params = tiny.run_parameters(source, tmp_path, **changes, predict_with=predict_with)
    val_loss = [float(loss or 0) for loss in uno.run(params)["val_loss"]]
    best = int(np.argmin(val_loss)) + 1
    assert best < 8
    assert choice.best(tmp_path / "ckpts").name == f"{best:03d}"
    chosen = best if predict_with == "best" else 8
    scores = json.loads((tmp_path / "val_scores.json").read_text())
    assert scores["mse"] == pytest.approx(val_loss[chosen - 1], rel=1e-5)
    predicted = uno.predict_test(params)
    model = tmp_path / f"ckpts/epochs/{chosen:03d}/model.h5"
    loaded = keras.models.load_model(model, compile=False)
    cells, drugs = dataset.read(source)
    rows = uno.read_rows(controls.inputs(params), "test", cells, drugs)
    features = [cells.values[rows.cell], drugs.values[rows.drug]]
    expected = loaded(features, training=False).numpy()[:, 0]
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)
    assert rows.labels.to_list() == tiny.response(source, "test")["improve_sample_id"].to_list()


def test_validation_rows_are_predicted_once_an_epoch(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once more at the end would cost 13 s on one core at the published size."""
    calls, predict = [], Trainer.predict
    monkeypatch.setattr(Trainer, "predict", lambda *args: (calls.append(0), predict(*args))[1])
    uno.run(tiny.run_parameters(source, tmp_path, epochs=4, learning_rate=5e-2))
    assert len(calls) == 4


def test_the_best_is_always_among_the_saved(source: Path, tmp_path: Path) -> None:
    """Epochs improve at first; of those that are not saved, none can be the best."""
    changes = {"ckpt_save_best": False, "ckpt_save_interval": 3, "ckpt_keep_limit": 1}
    params = tiny.run_parameters(source, tmp_path, epochs=7, learning_rate=1e-4, **changes)
    losses_of = uno.run(params)["val_loss"]
    saved = {epoch: float(losses_of[epoch - 1] or 0) for epoch in (3, 6, 7)}
    best = min(saved, key=lambda epoch: saved[epoch])
    assert checkpoint.linked_epoch(tmp_path / "ckpts/best") == best
    assert checkpoint.saved_epochs(tmp_path / "ckpts") == sorted({best, 7})


def test_early_stopping_leaves_its_marker(source: Path, tmp_path: Path) -> None:
    changes = {"learning_rate": 1e-30, "early_stopping_patience": 2}
    history = uno.run(tiny.run_parameters(source, tmp_path, epochs=20, **changes))
    assert (tmp_path / "stop.marker").read_text() == "early stopping: 3/20\n"
    assert len(history["loss"]) == 3
    assert checkpoint.linked_epoch(tmp_path / "ckpts/last") == 3
    assert checkpoint.linked_epoch(tmp_path / "ckpts/best") == 1


def test_a_marker_of_an_earlier_training_does_not_stay(source: Path, tmp_path: Path) -> None:
    (tmp_path / "stop.marker").write_text("early stopping: 3/20\n")
    uno.run(tiny.run_parameters(source, tmp_path, epochs=1))
    assert not (tmp_path / "stop.marker").exists()


def test_a_diverging_training_ends_with_one_sentence_and_keeps_its_checkpoints(
    source: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"regression_activation": "linear", "warmup_epochs": 0}
    uno.run(tiny.run_parameters(source, tmp_path, epochs=2, **changes))
    before = {path.name for path in (tmp_path / "ckpts/epochs").iterdir()}
    with pytest.raises(InputError, match=r"^the loss is (nan|inf) after epoch 3: .* lower"):
        uno.run(tiny.run_parameters(source, tmp_path, epochs=4, learning_rate=1e30, **changes))
    assert {path.name for path in (tmp_path / "ckpts/epochs").iterdir()} == before
    assert checkpoint.linked_epoch(tmp_path / "ckpts/last") == 2


def test_a_model_learns_the_signal_of_generated_data(tmp_path: Path) -> None:
    source = tiny.write_data(tmp_path, drugs=20, cells=60, rows=1000, genes=12, descriptors=12)
    shape = {"canc_arch": [32], "drug_arch": [32], "interaction_arch": [32]}
    how = {"epochs": 15, "learning_rate": 1e-4, "batch_size": 32}
    history = uno.run(tiny.run_parameters(source, tmp_path / "run", **shape, **how))
    assert max(value or -math.inf for value in history["r2_val"]) > 0.5


@pytest.mark.parametrize("wanted", ["1", "2"])
def test_a_run_that_sees_another_number_of_devices_than_it_needs_is_refused(
    wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This machine may have accelerators of its own; none of them is shown here."""
    monkeypatch.setattr(backend.tf.config, "list_physical_devices", lambda: [])
    monkeypatch.setenv("HED_DEVICES", wanted)
    with pytest.raises(InputError, match=f"^TensorFlow sees 0 devices where a run needs {wanted}"):
        backend.configure(threads=1)
    monkeypatch.delenv("HED_DEVICES")
    assert backend.configure(threads=1) == "CPU"
