"""The losses, those of users among them."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from trainers import assert_close, data, make, weights_of

from hed.errors import InputError
from hed.training import losses

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


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
