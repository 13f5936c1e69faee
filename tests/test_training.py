"""The network, its training and its results, on tiny data."""

import json
import math
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny

from hed import uno
from hed.config import hyperparameters, schema
from hed.data import controls, dataset
from hed.data.dataset import Data, Features, Rows
from hed.errors import InputError
from hed.training import (
    architecture,
    backend,
    checkpoint,
    loop,
    losses,
    network,
    optimizer,
    schedule,
    weights,
)
from hed.training.architecture import Layer
from hed.training.backend import keras, tf
from hed.training.network import Network
from hed.training.trainer import Trainer, steps

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
backend.configure(threads=1)
CELLS, DRUGS, CELL_FEATURES, DRUG_FEATURES = 20, 5, 6, 4


@cache
def data(rows: int = 200) -> Data:
    """Return random data whose AUC depends on the features."""
    random = np.random.default_rng(8)
    cells, drugs = (
        Features(
            pl.Series([f"{name}{i}" for i in range(count)]),
            random.standard_normal((count, features)).astype(np.float32),
        )
        for name, count, features in (("c", CELLS, CELL_FEATURES), ("d", DRUGS, DRUG_FEATURES))
    )
    return Data(cells, drugs, draw(rows, cells, drugs, random), draw(50, cells, drugs, random))


def draw(count: int, cells: Features, drugs: Features, random: np.random.Generator) -> Rows:
    cell, drug = (random.integers(n, size=count, dtype=np.int32) for n in (CELLS, DRUGS))
    signal = cells.values[cell, 0] + drugs.values[drug, 0]
    return Rows(cell, drug, (1 / (1 + np.exp(-signal))).astype(np.float32), cells.ids.gather(cell))


def build(**changes: Any) -> Network:
    params = tiny.parameters(**changes)
    return network.build(
        architecture.architecture(params),
        cell_features=CELL_FEATURES,
        drug_features=DRUG_FEATURES,
        precision=params["precision"],
        seed=params["rng_seed"],
    )


def make(rows: int = 200, **changes: Any) -> Trainer:
    params = tiny.parameters(**changes)
    return Trainer(build(**changes), data(rows), steps(params), losses.loss(params))


def make_without_dropout(**changes: Any) -> Trainer:
    rates = {f"{block}_dropout": 0.0 for block in architecture.BLOCKS}
    return make(**rates, **changes)


def weights_of(trainer: Trainer) -> list[np.ndarray]:
    return list(trainer.network.model.get_weights())


def assert_equal(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> None:
    assert [x.tobytes() for x in a] == [x.tobytes() for x in b]


def assert_close(a: Sequence[np.ndarray], b: Sequence[np.ndarray], tolerance: float) -> None:
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)


def inputs(rows: Rows) -> list[np.ndarray]:
    return [data().cells.values[rows.cell], data().drugs.values[rows.drug]]


# The network


def forward(net: Network, cells: np.ndarray, drugs: np.ndarray) -> np.ndarray:
    """Return the output of a network of relu layers and a sigmoid, in NumPy."""

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        kernel, bias = net.model.get_layer(name).get_weights()
        return np.asarray(x @ kernel + bias)

    def block(name: str, x: np.ndarray) -> np.ndarray:
        for i in range(1, len(net.architecture.block(name)) + 1):
            x = np.maximum(dense(f"{name}_{i}", x), 0)
        return x

    joined = np.concatenate([block("canc", cells), block("drug", drugs)], axis=1)
    return np.asarray(1 / (1 + np.exp(-dense("auc", block("interaction", joined))[:, 0])))


@pytest.mark.parametrize("space", ["block", "layer"])
def test_the_forward_pass_is_that_of_the_formula(space: str) -> None:
    sizes = {"canc_num_layers": 1, "canc_layer_1_size": 8, "drug_num_layers": 1,
             "drug_layer_1_size": 9, "interaction_num_layers": 1,
             "interaction_layer_1_size": 7}  # fmt: skip
    trainer = make(hyperparam_space=space, **sizes)
    expected = forward(trainer.network, *inputs(data().val))
    np.testing.assert_allclose(trainer.predict(data().val), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("output", ["sigmoid", "linear", "relu", "softplus"])
@pytest.mark.parametrize("auc", [0.03, 0.5, 0.91])
def test_a_network_may_start_from_the_mean(output: str, auc: float) -> None:
    trainer = make(regression_activation=output)
    nowhere = [np.zeros_like(x) for x in inputs(data().val)]
    network.start_from(trainer.network, auc)
    found = np.asarray(trainer.network.model(nowhere))
    np.testing.assert_allclose(found, auc, rtol=0, atol=1e-3)


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


def test_the_keras_model_predicts_what_the_trainer_predicts() -> None:
    trainer = make()
    trainer.epoch(0, 1e-3)
    by_keras = trainer.network.model(inputs(data().val), training=False).numpy()[:, 0]
    np.testing.assert_allclose(trainer.predict(data().val), by_keras, rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", tiny.PRECISIONS)
def test_a_saved_model_is_loaded_by_keras_alone(tmp_path: Path, precision: str) -> None:
    trainer = make(precision=precision)
    weights.write(trainer.network, tmp_path / "model.h5")
    loaded = keras.models.load_model(tmp_path / "model.h5", compile=False)
    predicted = loaded(inputs(data().val), training=False).numpy()[:, 0]
    tolerance = {"float32": 1e-6, "bfloat16": 1e-2}[precision]
    np.testing.assert_allclose(trainer.predict(data().val), predicted, rtol=0, atol=tolerance)


@pytest.mark.filterwarnings("error::UserWarning")
def test_saving_a_model_says_nothing(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    weights.write(build(), tmp_path / "model.h5")
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_the_default_network_has_the_published_number_of_parameters() -> None:
    shape = architecture.architecture(schema.defaults(hyperparameters.definition()))
    net = network.build(shape, cell_features=958, drug_features=1613, precision="float32", seed=0)
    cell = (958 + 1) * 1000 + 2 * 1001 * 1000
    drug = (1613 + 1) * 1000 + 2 * 1001 * 1000
    count = net.model.count_params()
    assert count == cell + drug + 2001 * 1000 + 4 * 1001 * 1000 + 1001
    assert round(count / 1e6, 1) == 12.6


def test_initial_weights_are_a_function_of_the_seed() -> None:
    one, same, other = (build(rng_seed=seed).model.get_weights() for seed in (4, 4, 5))
    assert_equal(one, same)
    assert not np.array_equal(one[0], other[0])


def test_layers_of_the_same_shape_start_with_different_weights() -> None:
    net = build(canc_arch=[8, 8, 8])
    second, third = (net.model.get_layer(f"canc_{i}").get_weights()[0] for i in (2, 3))
    assert not np.array_equal(second, third)


def masks(seed: int, step: int, number: int, rate: float = 0.25) -> np.ndarray:
    noise = network.dropout(seed, tf.constant(step, tf.int64))
    layer = Layer(200, "relu", rate)
    return np.asarray(noise(tf.ones([100, 200]), layer, number).numpy())


def test_a_dropout_mask_is_a_function_of_seed_step_and_layer() -> None:
    mask = masks(1, 7, 3)
    assert np.array_equal(mask, masks(1, 7, 3))
    for other in (masks(2, 7, 3), masks(1, 8, 3), masks(1, 7, 4)):
        assert 0.3 < np.mean(mask == other) < 0.8


def test_dropout_keeps_the_expected_share_and_the_mean() -> None:
    for rate in (0.1, 0.25, 0.9):
        mask = masks(0, 0, 0, rate=rate)
        assert set(np.unique(mask)) == {0, mask.max()}
        assert mask.max() == pytest.approx(1 / (1 - rate), rel=1e-3)
        assert np.mean(mask > 0) == pytest.approx(1 - rate, abs=0.01)
    assert np.array_equal(masks(0, 0, 0, rate=0.0), np.ones((100, 200)))


@pytest.mark.parametrize("width", [1, 7, 8])
def test_dropout_takes_layers_of_any_width(width: int) -> None:
    noise = network.dropout(0, tf.constant(3, tf.int64))
    mask = noise(tf.ones([4000, width], tf.bfloat16), Layer(width, "relu", 0.5), 1)
    assert mask.dtype == tf.bfloat16
    kept = np.mean(tf.cast(mask, tf.float32).numpy() > 0, axis=0)
    assert kept == pytest.approx(np.full(width, 0.5), abs=0.05)


def test_every_layer_of_the_network_has_a_mask_of_its_own() -> None:
    most = hyperparameters.definition()["properties"]["canc_arch"]["maxItems"]
    net = build(
        **{f"{name}_arch": [4] * most for name in architecture.BLOCKS},
        **{f"{name}_num_layers": most for name in architecture.BLOCKS},
    )
    numbers: list[int] = []

    def noise(x: Any, layer: Layer, number: int) -> Any:
        numbers.append(number)
        return x

    towers = [
        network.tower(net, name, tf.zeros([1, features]), noise)
        for name, features in (("canc", CELL_FEATURES), ("drug", DRUG_FEATURES))
    ]
    network.respond(net, *towers, noise)
    assert len(set(numbers)) == len(numbers) == 3 * most
    assert max(numbers) < 64


def test_dropped_units_of_a_relu_pass_no_gradient_and_the_others_what_they_pass_on() -> None:
    sums = tf.constant(np.random.default_rng(1).standard_normal((50, 30)), tf.float32)
    layers = {name: Layer(30, name, 0.25) for name in ("relu", "elu")}
    found = {}
    for name, layer in layers.items():
        with tf.GradientTape() as tape:
            tape.watch(sums)
            x = network.dropout(4, tf.constant(2, tf.int64))(sums, layer, 5)
        found[name] = x.numpy(), tape.gradient(x, sums, tf.fill([50, 30], 2.0)).numpy()
    x, gradient = found["relu"]
    assert 0.2 < np.mean(x > 0) < 0.5
    np.testing.assert_allclose(gradient, np.where(x > 0, 2 / 0.75, 0), rtol=1e-6)
    # The mask of another activation in the same place, whose gradient TensorFlow makes by itself.
    positive = sums.numpy() > 0
    np.testing.assert_allclose(x, np.where(positive, found["elu"][0], 0), rtol=1e-6)
    np.testing.assert_allclose(gradient, np.where(positive, found["elu"][1], 0), rtol=1e-6)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16])
def test_compiled_dropout_is_the_one_that_is_not(dtype: Any) -> None:
    sums = tf.cast(np.random.default_rng(1).standard_normal((40, 30)), dtype)
    found = []
    for compiled in (False, True):
        with tf.GradientTape() as tape:
            tape.watch(sums)
            noise = network.dropout(4, tf.constant(2, tf.int64), compiled=compiled)
            x = noise(sums, Layer(30, "relu", 0.25), network._FIRST["interaction"])
        found.append([tf.cast(y, tf.float32).numpy() for y in (x, tape.gradient(x, sums))])
    assert_close(*found, tolerance={tf.float32: 1e-6, tf.bfloat16: 0.02}[dtype])


@tiny.needs_bfloat16
def test_compiled_passes_leave_out_no_row_of_a_last_batch() -> None:
    """XLA compiles for both sizes, and a training that is repeated is the same to the bit."""
    changes = {"precision": "bfloat16", "tower_sharing": "on", "batch_size": 512}
    one, other = (make(700, **changes) for _ in range(2))
    assert one._compiles()
    assert one.epoch(0, 1e-3) == other.epoch(0, 1e-3)
    assert_equal(weights_of(one), weights_of(other))
    assert int(one.optimizer.state[0].numpy()) == 2


# The optimizers


def gradients(trainer: Trainer, step: int) -> list[Any]:
    random = np.random.default_rng(step)
    return [
        tf.constant(random.standard_normal(w.shape).astype(np.float32) * 0.1)
        for w in trainer.network.model.trainable_variables
    ]


def test_adam_takes_the_steps_of_kerass_adam() -> None:
    ours, theirs = make(), make()
    adam = keras.optimizers.Adam(learning_rate=0.0)
    for step in range(6):
        rate = 1e-2 / (step + 1)
        ours.optimizer.apply(gradients(ours, step), tf.constant(rate))
        adam.learning_rate = rate
        variables = theirs.network.model.trainable_variables
        adam.apply_gradients(zip(gradients(theirs, step), variables, strict=True))
    assert_close(weights_of(ours), weights_of(theirs), 1e-6)
    assert not np.allclose(weights_of(ours)[0], weights_of(make())[0])


@pytest.mark.parametrize("per_call", [1, 4, 100])
def test_a_moving_rate_takes_a_straight_line_over_the_steps(
    per_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(batch_size=16, steps_per_execution=per_call)
    used: list[float] = []
    steps = trainer._steps

    def record(*args: Any) -> Any:
        assert len(args[-1]) == len(args[0])
        used.extend(args[-1])
        return steps(*args)

    monkeypatch.setattr(trainer, "_steps", record)
    trainer.epoch(0, 0.0, 1e-3)
    count = -(-len(trainer.order(0)) // 16)
    np.testing.assert_allclose(used, 1e-3 * np.arange(count) / count, rtol=1e-5)


NAMES = ("Adam", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl")


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_trains_and_continues_from_its_stored_state(name: str) -> None:
    trainer = make(optimizer=name, batch_size=50)
    fresh = weights_of(trainer)
    trainer.epoch(0, 1e-2)
    state, first = optimizer.stored(trainer.optimizer), weights_of(trainer)
    assert not np.array_equal(fresh[0], first[0])
    sums, second = trainer.epoch(1, 2e-2), weights_of(trainer)
    other = make(optimizer=name, batch_size=50)
    other.network.model.set_weights(first)
    optimizer.restore(other.optimizer, state)
    assert other.epoch(1, 2e-2) == sums
    assert_equal(weights_of(other), second)


def test_the_state_of_another_optimizer_is_refused() -> None:
    with pytest.raises(InputError, match="another optimizer"):
        optimizer.restore(make().optimizer, optimizer.stored(make(optimizer="SGD").optimizer))


# The schedule


def follow_keras(rules: schedule.Schedule, series: list[float]) -> tuple[list[float], int]:
    """Return the rates that Keras's callbacks give, and the number of epochs until they stop."""
    start = rules.peak * schedule.START
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(start), loss="mse")

    def warm_up(epoch: int, rate: float) -> float:
        if epoch > rules.warmup_epochs:
            return float(rate)
        share = epoch / rules.warmup_epochs if rules.warmup_epochs else 1
        return start + (rules.peak - start) * share

    stop = keras.callbacks.EarlyStopping("val_loss", patience=rules.stop_patience)
    callbacks = [
        keras.callbacks.LearningRateScheduler(warm_up),
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", rules.factor, rules.reduce_patience, min_lr=rules.peak * schedule.FLOOR
        ),
        stop,
    ]
    rates: list[float] = []
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(series):
        for callback in callbacks:
            callback.on_epoch_begin(epoch)
        rates.append(float(model.optimizer.learning_rate.numpy()))
        for callback in callbacks:
            callback.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    return rates, len(rates)


@pytest.mark.parametrize("seed", range(12))
def test_the_schedule_is_that_of_kerass_callbacks(seed: int) -> None:
    random = np.random.default_rng(seed)
    falling = 0.2 * np.exp(-np.arange(60) / 8) + 0.01
    series = (falling + random.normal(0, 0.004, 60)).tolist()
    reduce_patience, stop_patience = int(random.integers(0, 4)), int(random.integers(0, 25))
    rules = schedule.Schedule(
        peak=1e-2, epochs=200, decay="none",
        warmup_epochs=int(random.integers(0, 6)), warmup_type="linear",
        factor=float(random.choice([0.5, 0.1, 0.003])),
        reduce_patience=reduce_patience, stop_patience=stop_patience,
    )  # fmt: skip
    state, rates = schedule.first(), []
    for epoch, loss in enumerate(series):
        state = schedule.begin(rules, state, epoch)
        rates.append(schedule.rates(rules, state, epoch)[0])
        state = schedule.end(rules, state, loss)
        if state.stopped:
            break
    theirs, epochs = follow_keras(rules, series)
    assert len(rates) == epochs
    np.testing.assert_allclose(rates, theirs, rtol=1e-5)


# An epoch


@pytest.mark.parametrize("batch", [7, 200, 1000])
def test_every_row_counts_once_in_an_epoch(batch: int) -> None:
    trainer = make_without_dropout(batch_size=batch)
    sums = trainer.epoch(0, 0.0)
    expected = np.mean((trainer.predict(data().train) - data().train.auc) ** 2)
    assert sums.loss == pytest.approx(expected, rel=1e-5)
    assert sums.squared_error == pytest.approx(expected, rel=1e-5)


def test_a_last_batch_that_is_not_full_is_trained_on() -> None:
    part, whole = make(batch_size=199), make(batch_size=200)
    part.epoch(0, 1e-3)
    whole.epoch(0, 1e-3)
    steps = [int(trainer.optimizer.state[0].numpy()) for trainer in (part, whole)]
    assert steps == [2, 1]


@pytest.mark.parametrize("batch", [200, 4096])
def test_a_batch_larger_than_the_table_is_the_table(batch: int) -> None:
    trainer, table = make(batch_size=batch), make(batch_size=200)
    assert trainer.epoch(0, 1e-3) == table.epoch(0, 1e-3)
    assert_equal(weights_of(trainer), weights_of(table))


@pytest.mark.parametrize("steps", [1, 4, 100])
def test_steps_per_execution_changes_nothing(steps: int) -> None:
    trainer, reference = make(steps_per_execution=steps), make(steps_per_execution=7)
    for epoch in range(2):
        assert trainer.epoch(epoch, 1e-3) == reference.epoch(epoch, 1e-3)
    assert_equal(weights_of(trainer), weights_of(reference))


@pytest.mark.parametrize("batch", [8, 16, 64])  # by unique; cells by unique; by table
@pytest.mark.parametrize(("name", "group"), [("Adam", 1), ("SGD", 1), ("Adam", 3)])
def test_shared_towers_give_the_same_weights_without_dropout(
    batch: int, name: str, group: int
) -> None:
    changes = {"batch_size": batch, "optimizer": name, "row_grouping": group}
    alone = make_without_dropout(**changes)
    shared = make_without_dropout(**changes, tower_sharing="on")
    sums = [trainer.epoch(0, 1e-2).loss for trainer in (alone, shared)]
    assert sums[0] == pytest.approx(sums[1], rel=1e-5)
    assert_close(weights_of(alone), weights_of(shared), 1e-5)


def test_with_shared_towers_the_rows_of_a_cell_share_a_mask() -> None:
    """All rows of one pair are predicted alike in a step, where each had its own mask before."""
    rates = {"canc_dropout": 0.5, "drug_dropout": 0.5, "interaction_dropout": 0.0}
    rows = tf.zeros([30], tf.int32)
    for sharing, alike in (("on", True), ("off", False)):
        trainer = make(tower_sharing=sharing, **rates)
        noise = network.dropout(0, tf.constant(1, tf.int64))
        predicted = trainer._forward(trainer.network, rows, rows, noise).numpy()
        assert (np.ptp(predicted) < 1e-6) == alike


@pytest.mark.parametrize("batch", [1, 7, 50, 1024])
def test_predictions_do_not_depend_on_the_size_of_their_batches(batch: int) -> None:
    expected = make(generator_batch_size=13).predict(data().val)
    predicted = make(generator_batch_size=batch).predict(data().val)
    assert predicted.shape == (50,)
    np.testing.assert_allclose(predicted, expected, rtol=0, atol=1e-6)


@tiny.needs_bfloat16
@pytest.mark.parametrize("sharing", ["off", "on"])
def test_bfloat16_computes_layers_in_bfloat16_and_keeps_float32_weights(sharing: str) -> None:
    trainer = make(precision="bfloat16", tower_sharing=sharing)
    first = [trainer.epoch(epoch, 5e-3).loss for epoch in range(8)]
    assert first[-1] < 0.7 * first[0]
    assert {w.dtype for w in weights_of(trainer)} == {np.dtype(np.float32)}
    assert {v.dtype for v in trainer.optimizer.state[1:]} == {tf.float32}
    assert trainer.predict(data().val).dtype == np.float32
    tower = network.tower(trainer.network, "canc", data().cells.values, network.no_noise)
    assert tower.dtype == tf.bfloat16


def test_a_step_compiled_by_xla_agrees() -> None:
    """Without dropout: XLA may draw other random numbers."""
    shape = {"canc_arch": [4], "drug_arch": [4], "interaction_arch": [4], "tower_sharing": "on"}
    plain, compiled = (
        make_without_dropout(**shape, batch_size=100, jit_compile=jit) for jit in (False, True)
    )
    for epoch in range(2):
        expected, sums = plain.epoch(epoch, 1e-3), compiled.epoch(epoch, 1e-3)
        assert sums.loss == pytest.approx(expected.loss, rel=1e-5)
    assert_close(weights_of(plain), weights_of(compiled), 1e-5)


def test_tensorflow_starts_without_a_word_but_keeps_what_else_is_said() -> None:
    said = "import os; from hed.training import backend, quiet; backend.configure(threads=1)"
    loud = "with quiet.without_start_lines(): os.write(2, b'W0000 of something\\n')"
    done = subprocess.run(
        [sys.executable, "-c", f"{said}\n{loud}"], check=True, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("", "W0000 of something\n")


# Losses


def test_losses_are_those_of_their_formulas() -> None:
    true, predicted = np.float32([0.25, 0.5, 1.0]), np.float32([0.5, 0.25, 0.5])
    by_name = {
        "mse": [0.0625, 0.0625, 0.25],
        "mae": [0.25, 0.25, 0.5],
        "mae_poly": [0.25 * 0.75**2, 0.25 * 0.5**2, 0.0],
    }
    for name, expected in by_name.items():
        loss = losses.loss(tiny.parameters(loss=name, alpha=2.0))
        np.testing.assert_allclose(loss(true, predicted).numpy(), expected, rtol=1e-6)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


CUSTOM = """
import tensorflow as tf

def construct(params):
    def loss(y_true, y_pred):
        return {}(tf.abs(y_true - y_pred) * (1 - y_true) ** params["alpha"])
    return loss
"""


@pytest.mark.parametrize(("name", "form"), [("by_row", ""), ("of_batch", "tf.reduce_mean")])
def test_a_custom_loss_may_be_by_row_or_the_mean_of_the_batch(
    modules: Path, name: str, form: str
) -> None:
    (modules / f"loss_{name}.py").write_text(CUSTOM.format(form))
    custom = make(custom_loss_module=f"loss_{name}", alpha=1.5)
    ours = make(loss="mae_poly", alpha=1.5)
    assert custom.epoch(0, 1e-3).loss == pytest.approx(ours.epoch(0, 1e-3).loss, rel=1e-5)
    assert_close(weights_of(custom), weights_of(ours), 1e-5)
    predicted = ours.predict(data().val)
    expected = ours.mean_loss(data().val, predicted)
    assert custom.mean_loss(data().val, predicted) == pytest.approx(expected, rel=1e-5)


def test_the_original_s_module_of_the_built_in_loss_is_that_loss() -> None:
    theirs = make(custom_loss_module="mae_poly_loss", alpha=1.5)
    ours = make(loss="mae_poly", alpha=1.5)
    assert theirs.epoch(0, 1e-3).loss == ours.epoch(0, 1e-3).loss
    assert_close(weights_of(theirs), weights_of(ours), 0)


def test_a_custom_loss_that_cannot_be_used_is_refused(modules: Path) -> None:
    with pytest.raises(InputError, match="'no_such_loss' cannot be imported"):
        losses.loss(tiny.parameters(custom_loss_module="no_such_loss"))
    (modules / "loss_of_nothing.py").write_text("")
    with pytest.raises(InputError, match=r"has no construct\(params\)"):
        losses.loss(tiny.parameters(custom_loss_module="loss_of_nothing"))
    (modules / "loss_of_more.py").write_text("def construct(params):\n    params['beta']")
    with pytest.raises(
        InputError, match="asks for the hyperparameter 'beta', which does not exist"
    ):
        losses.loss(tiny.parameters(custom_loss_module="loss_of_more"))


def test_a_custom_loss_of_another_shape_is_refused(modules: Path) -> None:
    (modules / "loss_of_column.py").write_text(CUSTOM.format("(lambda x: x[:, None])"))
    with pytest.raises(InputError, match=r"has shape \(\w+, 1\): it must return one loss for each"):
        make(custom_loss_module="loss_of_column").epoch(0, 1e-3)


# A run


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
    assert checkpoint.best(tmp_path / "ckpts").name == f"{best:03d}"
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
