"""The shape of Uno from its hyperparameters."""

import re
from collections import UserDict
from typing import Any

import pytest

from hed.config import hyperparameters, schema
from hed.training.architecture import BLOCKS, Layer, architecture, unread

DEFAULTS = schema.defaults(hyperparameters.definition())


def test_all_spaces_describe_the_same_network_by_default_where_they_overlap() -> None:
    shapes = [architecture({**DEFAULTS, "hyperparam_space": s}) for s in ("global", "block")]
    assert shapes[0] == shapes[1]
    by_layer = architecture({**DEFAULTS, "hyperparam_space": "layer"})
    assert by_layer.canc == shapes[0].canc
    assert by_layer.drug == shapes[0].drug


def test_space_global_reads_one_dropout_and_one_activation() -> None:
    shape = architecture({**DEFAULTS, "dropout": 0.3, "activation": "elu", "canc_dropout": 0.5})
    layers = [layer for name in BLOCKS for layer in shape.block(name)]
    assert layers == [Layer(1000, "elu", 0.3)] * 11


def test_space_block_reads_sizes_dropout_and_activation_of_each_block() -> None:
    changes = {"canc_arch": [7], "drug_arch": [5, 4], "interaction_arch": [3], "dropout": 0.9}
    shape = architecture(
        {**DEFAULTS, **changes, "hyperparam_space": "block", "drug_dropout": 0.2,
         "interaction_activation": "tanh"}
    )  # fmt: skip
    assert shape.canc == (Layer(7, "relu", 0.1),)
    assert shape.drug == (Layer(5, "relu", 0.2), Layer(4, "relu", 0.2))
    assert shape.interaction == (Layer(3, "tanh", 0.1),)


def test_space_block_has_as_many_layers_as_are_counted() -> None:
    changes = {"canc_arch": [7, 6, 5, 4], "canc_num_layers": 2, "drug_arch": [5] * 4}
    shape = architecture({**DEFAULTS, **changes, "hyperparam_space": "block"})
    assert [layer.size for layer in shape.canc] == [7, 6]
    assert len(shape.drug) == 3


def test_space_layer_reads_as_many_layers_as_are_counted() -> None:
    shape = architecture(
        {**DEFAULTS, "hyperparam_space": "layer", "canc_num_layers": 1, "canc_layer_1_size": 12,
         "drug_num_layers": 2, "drug_layer_2_size": 9, "drug_layer_2_dropout": 0.4,
         "drug_layer_2_activation": "selu", "interaction_num_layers": 9}
    )  # fmt: skip
    assert shape.canc == (Layer(12, "relu", 0.1),)
    assert shape.drug[1:] == (Layer(9, "selu", 0.4),)
    assert len(shape.interaction) == 9


def test_the_output_has_the_activation_of_the_regression() -> None:
    assert architecture(DEFAULTS).output == "sigmoid"
    assert architecture({**DEFAULTS, "regression_activation": "linear"}).output == "linear"


class Noted(UserDict[str, Any]):
    """Hyperparameters that note which of them are read."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.read: set[str] = set()
        super().__init__(values)

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


@pytest.mark.parametrize("space", ["global", "block", "layer"])
def test_unread_are_the_hyperparameters_of_layers_that_a_space_does_not_read(space: str) -> None:
    counts = {f"{name}_num_layers": 9 for name in BLOCKS}
    noted = Noted({**DEFAULTS, "hyperparam_space": space, **counts})
    architecture(noted)
    layers = {n for n in DEFAULTS if re.match(f"({'|'.join(BLOCKS)})_|dropout$|activation$", n)}
    assert layers > noted.read - {"hyperparam_space", "regression_activation"}
    assert set(unread(DEFAULTS, space)) == layers - noted.read
