"""Optimizers whose entire state can be stored and restored.

Adam is TensorFlow's fused kernel: one pass over weight, gradient and moments, where Keras's own
makes several. At small batches that memory traffic is most of a step.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from hed.errors import InputError
from hed.training.backend import keras, tf

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras's defaults


class Optimizer(Protocol):
    """Applies gradients, in float32 or bfloat16; `state` is everything it remembers."""

    def apply(self, gradients: Sequence["tf.Tensor"], rate: "tf.Tensor") -> None:
        """Update the weights at a learning rate."""

    @property
    def state(self) -> list["tf.Variable"]:
        """The variables that a checkpoint must have."""


def optimizer(name: str, model: keras.Model) -> Optimizer:
    """Return the optimizer with Uno's name (`Adam`, `SGD`, ...) for a model's weights."""
    return Adam(model) if name == "Adam" else KerasOptimizer(name, model)


class Adam:
    """Adam with Keras's defaults (Kingma and Ba 2015, in the form of their section 2)."""

    def __init__(self, model: keras.Model) -> None:
        """Start with moments of zero."""
        self._weights = [_variable(weight) for weight in model.trainable_variables]
        self._first = [tf.Variable(tf.zeros_like(w), trainable=False) for w in self._weights]
        self._second = [tf.Variable(tf.zeros_like(w), trainable=False) for w in self._weights]
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)

    def apply(self, gradients: Sequence["tf.Tensor"], rate: "tf.Tensor") -> None:
        """Update the weights at a learning rate."""
        step = tf.cast(self._step.assign_add(1), tf.float32)
        powers = {"beta1_power": tf.pow(BETA_1, step), "beta2_power": tf.pow(BETA_2, step)}
        constants = {"beta1": BETA_1, "beta2": BETA_2, "epsilon": EPSILON, "lr": rate}
        for weight, first, second, gradient in zip(
            self._weights, self._first, self._second, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle, m=first.handle, v=second.handle,
                grad=tf.cast(gradient, tf.float32),
                **powers, **constants,
            )  # fmt: skip

    @property
    def state(self) -> list["tf.Variable"]:
        """The step and both moments of every weight."""
        return [self._step, *self._first, *self._second]


class KerasOptimizer:
    """Any optimizer of Keras by name, with Keras's defaults."""

    def __init__(self, name: str, model: keras.Model) -> None:
        """Build the optimizer's variables."""
        self._optimizer = getattr(keras.optimizers, name)()
        self._weights = model.trainable_variables
        self._optimizer.build(self._weights)

    def apply(self, gradients: Sequence["tf.Tensor"], rate: "tf.Tensor") -> None:
        """Update the weights at a learning rate."""
        self._optimizer.learning_rate.assign(rate)
        in_full = [tf.cast(gradient, tf.float32) for gradient in gradients]
        self._optimizer.apply_gradients(zip(in_full, self._weights, strict=True))

    @property
    def state(self) -> list["tf.Variable"]:
        """Every variable of the optimizer, and one of Nadam's that Keras 2.15 keeps elsewhere."""
        variables = self._optimizer.variables
        found = [_variable(v) for v in (variables() if callable(variables) else variables)]
        apart = getattr(self._optimizer, "_u_product", None)
        return [*found, apart] if isinstance(apart, tf.Variable) else found


def _variable(weight: "tf.Variable | keras.Variable") -> "tf.Variable":
    """Return the TensorFlow variable of a weight: Keras 3 wraps it, Keras 2 does not."""
    return weight if isinstance(weight, tf.Variable) else weight.value


def stored(optimizer: Optimizer) -> dict[str, np.ndarray]:
    """Return the state as arrays that `restore` takes."""
    return {f"{i:03d}": variable.numpy() for i, variable in enumerate(optimizer.state)}


def restore(optimizer: Optimizer, arrays: dict[str, np.ndarray]) -> None:
    """Set the state to what `stored` returned.

    Raises:
        InputError: if it belongs to another optimizer.
    """
    state = {f"{i:03d}": variable for i, variable in enumerate(optimizer.state)}
    if {n: tuple(v.shape) for n, v in state.items()} != {n: a.shape for n, a in arrays.items()}:
        raise InputError(
            "the checkpoint was written with another optimizer: "
            "set that one, or ckpt_restart_mode to off to start anew"
        )
    for name, variable in state.items():
        variable.assign(arrays[name])
