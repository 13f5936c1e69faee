"""The network: its formula, its first weights, its dropout."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from trainers import (
    CELL_FEATURES,
    DRUG_FEATURES,
    assert_close,
    assert_equal,
    build,
    data,
    inputs,
    make,
    weights_of,
)

from hed.config import hyperparameters, schema
from hed.training import architecture, network, weights
from hed.training.architecture import Layer
from hed.training.backend import keras, tf
from hed.training.network import Network

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


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


@pytest.mark.parametrize("precision", tiny.PRECISIONS)
def test_a_model_saved_again_and_again_is_what_keras_saves(tmp_path: Path, precision: str) -> None:
    trainer = make(precision=precision)
    for epoch in range(3):
        trainer.file.copy(tmp_path)(tmp_path / "again.h5")
        weights.write(trainer.network, tmp_path / "model.h5")
        assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "model.h5").read_bytes()
        trainer.epoch(epoch, 1e-3)


def test_a_copy_of_a_model_does_not_change_with_it(tmp_path: Path) -> None:
    trainer = make()
    trainer.file.copy(tmp_path)(tmp_path / "before.h5")
    write = trainer.file.copy(tmp_path)
    trainer.epoch(0, 1e-3)
    write(tmp_path / "after.h5")
    assert (tmp_path / "after.h5").read_bytes() == (tmp_path / "before.h5").read_bytes()


@tiny.needs_bfloat16
def test_layers_in_bfloat16_round_their_sums_to_nearest() -> None:
    net = make(precision="bfloat16").network
    draw = np.random.default_rng(3).standard_normal

    def assert_rounded(found: tf.Tensor, x: tf.Tensor, kernel: tf.Tensor) -> None:
        exact = tf.cast(x, tf.float64) @ tf.cast(kernel, tf.float64)
        rounded = tf.cast(tf.cast(exact, tf.float32), tf.bfloat16)
        assert np.mean(found.numpy() == rounded.numpy()) > 0.99

    for name in ("canc_2", "drug_1", "interaction_1"):
        kernel, _ = net.weights(name)
        x = tf.cast(draw((200, kernel.shape[0])), tf.bfloat16)
        assert_rounded(net.sums(name, x), x, kernel)
    kernel, _ = net.weights("interaction_1")
    parts = tf.split(
        kernel, [layers[-1].size for layers in (net.architecture.canc, net.architecture.drug)]
    )
    towers = [tf.cast(draw((200, part.shape[0])), tf.bfloat16) for part in parts]
    for found, x, part in zip(network.project(net, *towers), towers, parts, strict=True):
        assert_rounded(found, x, part)


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
