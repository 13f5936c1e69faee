"""An epoch, in batches of any size and in either precision."""

import subprocess
import sys

import numpy as np
import pytest
import tiny
from trainers import assert_close, assert_equal, data, make, make_without_dropout, weights_of

from hed.training import network
from hed.training.backend import tf

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


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
