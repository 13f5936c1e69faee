"""Uno as a Keras model, and its forward pass over rows that share cells and drugs.

A cell tower and a drug tower of dense layers, whose outputs are concatenated and passed through
more dense layers to one output, the AUC. Checkpoints hold the Keras model; the functions here call
its layers on feature matrices, so that a row is two integers and never a joined table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from hed.training.architecture import BLOCKS, Architecture, Layer
from hed.training.backend import keras, tf
from hed.training.precision import product

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}

# What follows a layer's product: (sums, the layer, its number) to activations, some dropped.
Noise = Callable[["tf.Tensor", Layer, int], "tf.Tensor"]
_Pass = Callable[["tf.Tensor", "tf.Tensor", int], "tf.Tensor"]
# Kernel and bias of a layer, in the precision in which it computes.
Weights = tuple["tf.Tensor", "tf.Tensor"]


@dataclass(frozen=True)
class Network:
    """The Keras model of an architecture; its dense layers are named `canc_1`, `drug_1`, ...

    Attributes:
        cast: by layer, the weights to compute with instead of the model's own variables.
    """

    model: keras.Model
    architecture: Architecture
    cast: Mapping[str, Weights] = field(default_factory=dict, compare=False)

    def cast_once(self) -> "Network":
        """Return the network with each weight read and cast to its layer's precision once."""
        dense = [layer for layer in self.model.layers if layer.weights]
        return replace(self, cast={layer.name: self.weights(layer.name) for layer in dense})

    def weights(self, name: str) -> Weights:
        """Return the kernel and the bias that a layer computes with."""
        if name in self.cast:
            return self.cast[name]
        layer = self.model.get_layer(name)
        kernel, bias = (tf.convert_to_tensor(weight) for weight in (layer.kernel, layer.bias))
        return tf.cast(kernel, layer.compute_dtype), tf.cast(bias, layer.compute_dtype)

    def sums(self, name: str, x: "tf.Tensor") -> "tf.Tensor":
        """Return the sums of a layer, n x its size, before its activation."""
        kernel, bias = self.weights(name)
        return tf.nn.bias_add(product(tf.cast(x, kernel.dtype), kernel), bias)

    def block(self, name: str) -> list[tuple[str, Layer]]:
        """Return the names of the dense layers of a block, each with its description."""
        layers = self.architecture.block(name)
        return [(f"{name}_{i}", layer) for i, layer in enumerate(layers, 1)]


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


def start_from(network: Network, auc: float) -> None:
    """Set the bias of a fresh network's output to what gives an AUC, to 0.001 of the bias.

    Without it all first gradients of a batch point the same way, and steps that are large enough
    saturate the sigmoid (Karpathy, A Recipe for Training Neural Networks, 2019: "init well").
    """
    biases = np.linspace(-10, 10, 20_001, dtype=np.float32)
    outputs = np.asarray(keras.activations.get(network.architecture.output)(tf.constant(biases)))
    nearest = biases[np.abs(outputs - auc).argmin()]
    network.model.get_layer("auc").bias.assign([nearest])


def no_noise(sums: "tf.Tensor", layer: Layer, number: int) -> "tf.Tensor":
    """Return the activations of a layer, none dropped: validation and prediction."""
    return keras.activations.get(layer.activation)(sums)


def dropout(seed: int, step: "tf.Tensor", *, compiled: bool = False) -> Noise:
    """Return dropout whose masks are a function of the seed, the step and the layer.

    Keras's own layer draws from a generator whose state no checkpoint holds.

    Args:
        step: int64, the number of the step, on the device.
        compiled: have XLA fuse the ReLU and the dropout of an interaction layer; it compiles for
            each number of rows, which is not fixed in shared towers.
    """
    counter = tf.bitcast(tf.stack([tf.zeros_like(step), step]), tf.uint64)
    plain = _relu_drop, _relu_drop_back
    in_xla = [tf.function(each, jit_compile=True, autograph=False) for each in plain]

    def noise(sums: "tf.Tensor", layer: Layer, number: int) -> "tf.Tensor":
        if not layer.dropout:
            return no_noise(sums, layer, number)
        dropped = min(round(layer.dropout * 2**16), 2**16 - 1)
        bits = _bits(sums, (seed * 64 + number) % 2**64, counter)
        if layer.activation == "relu":
            is_compiled = compiled and number >= _FIRST["interaction"]
            return _dropped_relu(sums, bits, dropped, *(in_xla if is_compiled else plain))
        return _drop(no_noise(sums, layer, number), bits, dropped)

    return noise


def _dropped_relu(
    sums: "tf.Tensor", bits: "tf.Tensor", dropped: int, forward: _Pass, back: _Pass
) -> "tf.Tensor":
    """Return ReLU and dropout of n x m sums.

    The result is above 0 exactly where both let the gradient pass: one pass instead of two, and the
    mask is not needed again.
    """

    def both(sums: "tf.Tensor") -> tuple["tf.Tensor", Callable[["tf.Tensor"], "tf.Tensor"]]:
        x = forward(sums, bits, dropped)
        return x, lambda upstream: back(upstream, x, dropped)

    return tf.custom_gradient(both)(sums)


def _relu_drop(sums: "tf.Tensor", bits: "tf.Tensor", dropped: int) -> "tf.Tensor":
    return _drop(tf.nn.relu(sums), bits, dropped)


def _relu_drop_back(upstream: "tf.Tensor", x: "tf.Tensor", dropped: int) -> "tf.Tensor":
    return tf.raw_ops.ReluGrad(gradients=upstream * _scale(dropped, x.dtype), features=x)


def _drop(x: "tf.Tensor", bits: "tf.Tensor", dropped: int) -> "tf.Tensor":
    """Return n x m activations, of which those with `dropped` of 65,536 values of bits are 0."""
    kept = bits >= dropped - 2**15
    return tf.where(kept, x, tf.zeros([], x.dtype)) * _scale(dropped, x.dtype)


def _scale(dropped: int, dtype: "tf.DType") -> "tf.Tensor":
    """Return the factor that preserves the mean of the activations."""
    return tf.cast(1 / (1 - dropped / 2**16), dtype)


# TensorFlow's number for the generator Philox (Salmon et al. 2011).
_PHILOX = 1


def _bits(x: "tf.Tensor", key: int, counter: "tf.Tensor") -> "tf.Tensor":
    """Return random bits, int16, for each of n x m activations.

    Each takes 16, half of what TensorFlow's own dropout draws (and as int16, since Intel's
    extension compares unsigned and 32-bit integers on the host): twice as fast on a CPU. Key and
    counter go to the generator unchanged: `tf.random.stateless_uniform` would derive them from a
    seed on the host, and make a GPU wait for that in every layer of every step.

    Args:
        key, counter: of Philox, 64 and 2 x 64 bits; the first 64 bits of the counter count what
            a mask draws.
    """
    rows, width = tf.shape(x)[0], x.shape[1]
    words = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=[rows, -(-width // 2)],
        key=tf.constant([key], tf.uint64),
        counter=counter,
        alg=_PHILOX,
        dtype=tf.uint32,
    )
    return tf.reshape(tf.bitcast(words, tf.int16), [rows, -1])[:, :width]


# The first layer of each block in the numbering that dropout uses.
_FIRST = {name: 16 * i for i, name in enumerate(BLOCKS)}


def tower(network: Network, name: str, features: "tf.Tensor", noise: Noise) -> "tf.Tensor":
    """Return the output of a tower: n x features to n x size of its last layer."""
    x = features
    for i, (dense, layer) in enumerate(network.block(name)):
        x = noise(network.sums(dense, x), layer, _FIRST[name] + i)
    return x


def respond(network: Network, cells: "tf.Tensor", drugs: "tf.Tensor", noise: Noise) -> "tf.Tensor":
    """Return the AUC of n rows, float32, from the tower outputs of each row."""
    first, _ = network.block("interaction")[0]
    return _interact(network, network.sums(first, tf.concat([cells, drugs], axis=1)), noise)


def project(network: Network, cells: "tf.Tensor", drugs: "tf.Tensor") -> list["tf.Tensor"]:
    """Return what each distinct cell and drug contributes to the first interaction layer.

    That layer is linear before its activation, so `[c, d] W = c W_c + d W_d`: its products are
    needed once per cell and once per drug, not once per row.
    """
    first, _ = network.block("interaction")[0]
    kernel, bias = network.weights(first)
    # The gradient of a split is one copy, that of two slices is two padded ones and their sum.
    sizes = [network.architecture.canc[-1].size, network.architecture.drug[-1].size]
    of_cell, of_drug = tf.split(kernel, sizes)
    return [tf.nn.bias_add(product(cells, of_cell), bias), product(drugs, of_drug)]


def respond_projected(
    network: Network, cells: "tf.Tensor", drugs: "tf.Tensor", noise: Noise
) -> "tf.Tensor":
    """Return the AUC of n rows, float32, from what `project` gave for the cell and drug of each."""
    return _interact(network, cells + drugs, noise)


def _interact(network: Network, sums: "tf.Tensor", noise: Noise) -> "tf.Tensor":
    """Return the AUC from the sums of the first interaction layer."""
    (_, layer), *others = network.block("interaction")
    number = _FIRST["interaction"]
    x = noise(sums, layer, number)
    for i, (dense, layer) in enumerate(others, start=1):
        x = noise(network.sums(dense, x), layer, number + i)
    auc = network.sums("auc", x)
    return tf.reshape(keras.activations.get(network.architecture.output)(auc), [-1])
