"""A small network and its training on random data."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import tiny

from hed.data.dataset import Data, Features, Rows
from hed.training import architecture, backend, losses, network
from hed.training.network import Network
from hed.training.trainer import Trainer, steps

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
