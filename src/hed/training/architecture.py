"""The shape of Uno: two towers, whose outputs are concatenated and passed through more layers."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

# Uno's own names for its blocks of layers; `canc` is the cell.
BLOCKS = ("canc", "drug", "interaction")
# Layers of each block in the hyperparameter space `global`, all of the same width.
GLOBAL_LAYERS = {"canc": 3, "drug": 3, "interaction": 5}
GLOBAL_WIDTH = 1000


@dataclass(frozen=True)
class Layer:
    """A dense layer and the dropout after it."""

    size: int
    activation: str
    dropout: float


@dataclass(frozen=True)
class Architecture:
    """The layers of each block, and the activation of the output."""

    canc: tuple[Layer, ...]
    drug: tuple[Layer, ...]
    interaction: tuple[Layer, ...]
    output: str

    def block(self, name: str) -> tuple[Layer, ...]:
        """Return the layers of a block by Uno's name."""
        layers: tuple[Layer, ...] = getattr(self, name)
        return layers


def architecture(parameters: Mapping[str, Any]) -> Architecture:
    """Return the architecture that a run's hyperparameters describe.

    Which of them are used depends on `hyperparam_space`, as in Uno: `global` (one dropout and one
    activation for Uno's default layers), `block` (sizes, dropout and activation by block), `layer`
    (each layer by itself).
    """
    space = _SPACES[parameters["hyperparam_space"]]
    blocks = {name: space(parameters, name) for name in BLOCKS}
    return Architecture(**blocks, output=parameters["regression_activation"])


def _global(parameters: Mapping[str, Any], name: str) -> tuple[Layer, ...]:
    layer = Layer(GLOBAL_WIDTH, parameters["activation"], parameters["dropout"])
    return (layer,) * GLOBAL_LAYERS[name]


def _block(parameters: Mapping[str, Any], name: str) -> tuple[Layer, ...]:
    activation, dropout = parameters[f"{name}_activation"], parameters[f"{name}_dropout"]
    sizes = parameters[f"{name}_arch"][: parameters[f"{name}_num_layers"]]
    return tuple(Layer(size, activation, dropout) for size in sizes)


def _layer(parameters: Mapping[str, Any], name: str) -> tuple[Layer, ...]:
    count = parameters[f"{name}_num_layers"]
    return tuple(
        Layer(*(parameters[f"{name}_layer_{i}_{key}"] for key in ("size", "activation", "dropout")))
        for i in range(1, count + 1)
    )


_SPACES = {"global": _global, "block": _block, "layer": _layer}
# The hyperparameters of layers that each space reads.
_BLOCK = "|".join(BLOCKS)
_READ = {
    "global": re.compile("dropout|activation"),
    "block": re.compile(rf"({_BLOCK})_(arch|num_layers|dropout|activation)"),
    "layer": re.compile(rf"({_BLOCK})_(num_layers|layer_\d_\w+)"),
}


def uneven(parameters: Mapping[str, Any], given: Collection[str]) -> list[str]:
    """Return sentences on sizes or layers that are left out, in space `block`.

    Args:
        parameters: of a run.
        given: those that the user has set; fewer sizes than the usual number of layers are all.
    """
    if parameters["hyperparam_space"] != "block":
        return []
    counts = {n: (len(parameters[f"{n}_arch"]), parameters[f"{n}_num_layers"]) for n in BLOCKS}
    return [
        f"{name}_arch has {sizes} layers and {name}_num_layers is {layers}: "
        f"the first {min(sizes, layers)} are built, as in Uno"
        for name, (sizes, layers) in counts.items()
        if sizes > layers or (sizes < layers and f"{name}_num_layers" in given)
    ]


def unread(names: Collection[str], space: str) -> list[str]:
    """Return those of some hyperparameters that are of layers, but not in that space."""
    of_layers = (name for name in names if any(read.fullmatch(name) for read in _READ.values()))
    return [name for name in of_layers if not _READ[space].fullmatch(name)]
