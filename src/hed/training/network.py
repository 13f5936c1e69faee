"""Uno as a Keras model, and its forward pass over rows that share cells and drugs.

A cell tower and a drug tower of dense layers, whose outputs are joined and passed through more
dense layers to one output, the AUC. The Keras model is what checkpoints hold; the functions here
call its layers on feature matrices, so that a row is two integers and never a joined table.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hed.training.architecture import BLOCKS, Architecture, Layer
from hed.training.backend import keras, tf

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

# Applied after each layer: (activations, dropout rate, number of the layer) to activations.
Noise = Callable[["tf.Tensor", float, int], "tf.Tensor"]


@dataclass(frozen=True)
class Network:
    """The Keras model of an architecture; its dense layers are named `canc_1`, `drug_1`, ..."""

    model: keras.Model
    architecture: Architecture

    def block(self, name: str) -> list[tuple[keras.layers.Dense, Layer]]:
        """Return the dense layers of a block, each with its description."""
        layers = self.architecture.block(name)
        return [(self.model.get_layer(f"{name}_{i}"), layer) for i, layer in enumerate(layers, 1)]


def build(
    shape: Architecture,
    *,
    cell_features: int,
    drug_features: int,
    precision: str = "float32",
    seed: int = 0,
) -> Network:
    """Return Uno with fresh weights: Glorot uniform kernels, each with its own seed, zero biases.

    Args:
        precision: `float32`, or `bfloat16` for layers that compute in bfloat16 while weights and
            output are float32.
    """
    seeds = iter(np.random.SeedSequence(seed).generate_state(64).tolist())
    policy = POLICIES[precision]

    def stack(name: str, x: "keras.KerasTensor") -> "keras.KerasTensor":
        for i, layer in enumerate(shape.block(name), start=1):
            x = _dense(layer, f"{name}_{i}", next(seeds), policy)(x)
            x = keras.layers.Dropout(layer.dropout, name=f"{name}_dropout_{i}", dtype=policy)(x)
        return x

    cell = keras.Input((cell_features,), name="cell")
    drug = keras.Input((drug_features,), name="drug")
    towers = [stack("canc", cell), stack("drug", drug)]
    joined = keras.layers.Concatenate(name="towers", dtype=policy)(towers)
    last = Layer(1, shape.output, 0.0)
    auc = _dense(last, "auc", next(seeds), "float32")(stack("interaction", joined))
    return Network(keras.Model([cell, drug], auc, name="uno"), shape)


def _dense(layer: Layer, name: str, seed: int, policy: str) -> keras.layers.Dense:
    initial = keras.initializers.GlorotUniform(seed=seed % 2**31)
    return keras.layers.Dense(
        layer.size, layer.activation, kernel_initializer=initial, name=name, dtype=policy
    )


def no_noise(x: "tf.Tensor", rate: float, number: int) -> "tf.Tensor":
    """Leave the activations as they are: validation and prediction."""
    return x


def dropout(seed: int, step: "tf.Tensor") -> Noise:
    """Return dropout whose masks are a function of the seed, the step and the layer.

    Keras's own layer draws from a generator whose state no checkpoint holds.

    Args:
        step: int64, the number of the step, on the device.
    """
    counter = tf.bitcast(tf.stack([tf.zeros_like(step), step]), tf.uint64)

    def noise(x: "tf.Tensor", rate: float, number: int) -> "tf.Tensor":
        if not rate:
            return x
        return x * _mask(x, rate, (seed * 64 + number) % 2**64, counter)

    return noise


# TensorFlow's number for the generator Philox (Salmon et al. 2011).
_PHILOX = 1


def _mask(x: "tf.Tensor", rate: float, key: int, counter: "tf.Tensor") -> "tf.Tensor":
    """Return 0 with probability `rate`, else what keeps the mean, for each of n x m activations.

    Each takes 16 random bits, half of what TensorFlow's own dropout draws (and as int16, since
    Intel's extension compares unsigned and 32-bit integers on the host): twice as fast on a CPU.
    Key and counter go to the generator as they are: `tf.random.stateless_uniform` would make them
    from a seed on the host, and have a GPU wait for that in every layer of every step.

    Args:
        key, counter: of Philox, 64 and 2 x 64 bits; the first 64 bits of the counter count what a
            mask takes.
    """
    rows, width = tf.shape(x)[0], x.shape[1]
    dropped = min(round(rate * 2**16), 2**16 - 1)
    words = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[rows, -(-width // 2)],
        key=tf.constant([key], tf.uint64),
        counter=counter,
        alg=_PHILOX,
        dtype=tf.uint32,
    )
    kept = tf.cast(tf.bitcast(words, tf.int16) >= dropped - 2**15, x.dtype)
    scale = tf.cast(1 / (1 - dropped / 2**16), x.dtype)
    return tf.reshape(kept * scale, [rows, -1])[:, :width]


# The first layer of each block in the numbering that dropout uses.
_FIRST = {name: 16 * i for i, name in enumerate(BLOCKS)}


def tower(network: Network, name: str, features: "tf.Tensor", noise: Noise) -> "tf.Tensor":
    """Return the output of a tower: n x features to n x size of its last layer."""
    x = features
    for i, (dense, layer) in enumerate(network.block(name)):
        x = noise(dense(x), layer.dropout, _FIRST[name] + i)
    return x


def respond(network: Network, cells: "tf.Tensor", drugs: "tf.Tensor", noise: Noise) -> "tf.Tensor":
    """Return the AUC of n rows, float32, from the tower outputs of each row."""
    first, *_ = network.block("interaction")[0]
    return _interact(network, first(tf.concat([cells, drugs], axis=1)), noise)


def project(network: Network, cells: "tf.Tensor", drugs: "tf.Tensor") -> list["tf.Tensor"]:
    """Return what each distinct cell and drug adds to the first interaction layer.

    That layer is linear before its activation, so `[c, d] W = c W_c + d W_d`: its products are
    needed once per cell and once per drug, not once per row.
    """
    first, *_ = network.block("interaction")[0]
    kernel = tf.cast(tf.convert_to_tensor(first.kernel), cells.dtype)
    bias = tf.cast(tf.convert_to_tensor(first.bias), cells.dtype)
    width = network.architecture.canc[-1].size
    return [tf.matmul(cells, kernel[:width]) + bias, tf.matmul(drugs, kernel[width:])]


def respond_projected(
    network: Network, cells: "tf.Tensor", drugs: "tf.Tensor", noise: Noise
) -> "tf.Tensor":
    """Return the AUC of n rows, float32, from what `project` gave for the cell and drug of each."""
    first, *_ = network.block("interaction")[0]
    return _interact(network, first.activation(cells + drugs), noise)


def _interact(network: Network, x: "tf.Tensor", noise: Noise) -> "tf.Tensor":
    """Return the AUC from the activations of the first interaction layer."""
    (_, layer), *others = network.block("interaction")
    number = _FIRST["interaction"]
    x = noise(x, layer.dropout, number)
    for i, (dense, layer) in enumerate(others, start=1):
        x = noise(dense(x), layer.dropout, number + i)
    return tf.reshape(network.model.get_layer("auc")(x), [-1])
