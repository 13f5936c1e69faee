"""Losses by row: what each prediction of an AUC costs."""

from collections.abc import Callable, Mapping
from typing import Any

from hed import modules
from hed.errors import InputError
from hed.training.backend import tf

# (true, predicted), n each, to n losses; the loss of a batch is their mean.
Loss = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]


def loss(parameters: Mapping[str, Any]) -> Loss:
    """Return the loss that a run's hyperparameters name.

    Raises:
        InputError: if `custom_loss_module` cannot be imported or has no `construct(params)`.
    """
    if parameters["custom_loss_module"]:
        return _custom(parameters["custom_loss_module"], parameters)
    return {"mse": mse, "mae": mae, "mae_poly": mae_poly(parameters["alpha"])}[parameters["loss"]]


def mse(true: "tf.Tensor", predicted: "tf.Tensor") -> "tf.Tensor":
    """Return (y - p)^2."""
    return tf.square(true - predicted)


def mae(true: "tf.Tensor", predicted: "tf.Tensor") -> "tf.Tensor":
    """Return |y - p|."""
    return tf.abs(true - predicted)


def mae_poly(alpha: float) -> Loss:
    """Return the loss |y - p| (1 - y)^alpha, which weights sensitive pairs (a low AUC) more."""

    def weighted(true: "tf.Tensor", predicted: "tf.Tensor") -> "tf.Tensor":
        return tf.abs(true - predicted) * tf.pow(tf.maximum(1.0 - true, 0.0), alpha)

    return weighted


def _custom(name: str, parameters: Mapping[str, Any]) -> Loss:
    try:
        construct = modules.load(name).construct
    except ImportError as error:
        raise InputError(f"custom_loss_module {name!r} cannot be imported: {error}") from None
    except AttributeError:
        raise InputError(f"custom_loss_module {name!r} has no construct(params)") from None
    made = _constructed(name, construct, parameters)

    def by_row(true: "tf.Tensor", predicted: "tf.Tensor") -> "tf.Tensor":
        losses = tf.convert_to_tensor(made(true, predicted))
        if losses.shape.rank not in (0, 1):
            raise InputError(
                f"the loss of custom_loss_module {name!r} has shape {losses.shape}: it must return "
                "one loss for each of the n rows, or their mean"
            )
        # Losses made for Keras often return the mean of the batch.
        return tf.broadcast_to(losses, tf.shape(true))

    return by_row


def _constructed(name: str, construct: Callable[..., Loss], parameters: Mapping[str, Any]) -> Loss:
    """Return what `construct(params)` of a module returns."""
    try:
        return construct(parameters)
    except KeyError as error:
        raise InputError(
            f"custom_loss_module {name!r} asks for the hyperparameter {error}, which does not exist"
        ) from None
