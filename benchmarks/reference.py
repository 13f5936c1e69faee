"""What hed is measured against: two tables joined for each batch of 32, fed to Keras's `fit`.

Written for this benchmark to do what the original workflow does: the same network, loss, optimizer
and order of work, with pandas and a generator. hed's own code is not used, except for the data,
and to start TensorFlow in silence.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hed.training.quiet import without_start_lines

with without_start_lines():
    import keras

CELL, DRUG, AUC = "improve_sample_id", "improve_chem_id", "auc"


@dataclass(frozen=True)
class Tables:
    """The responses and both feature tables, as pandas holds them."""

    response: pd.DataFrame
    cells: pd.DataFrame
    drugs: pd.DataFrame


def read(data: Path, response: Path) -> Tables:
    """Read a preprocessed data set and one part of a partition."""
    return Tables(
        pd.read_parquet(response, columns=[CELL, DRUG, AUC]),
        pd.read_parquet(data / "ge_merged_data.parquet"),
        pd.read_parquet(data / "md_merged_data.parquet"),
    )


def batches(tables: Tables, size: int, *, shuffle: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield joined batches for ever."""
    order = np.arange(len(tables.response))
    while True:
        if shuffle:
            np.random.shuffle(order)
        for start in range(0, len(order), size):
            rows = tables.response.iloc[order[start : start + size]]
            joined = rows.merge(tables.cells, on=CELL).merge(tables.drugs, on=DRUG)
            yield joined.drop(columns=[CELL, DRUG, AUC]).to_numpy("float32"), joined[AUC].to_numpy()


def uno(genes: int, descriptors: int) -> keras.Model:
    """Return Uno with one joined input, as the original builds it."""
    everything = keras.Input((genes + descriptors,))
    towers = []
    for part in (everything[:, :genes], everything[:, genes:]):
        x = part
        for _ in range(3):
            x = keras.layers.Dropout(0.1)(keras.layers.Dense(1000, "relu")(x))
        towers.append(x)
    x = keras.layers.Concatenate()(towers)
    for _ in range(5):
        x = keras.layers.Dropout(0.1)(keras.layers.Dense(1000, "relu")(x))
    return keras.Model(everything, keras.layers.Dense(1, "sigmoid")(x))


@dataclass
class Clock(keras.callbacks.Callback):
    """The time at the end of each batch."""

    times: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Set up Keras's own part."""
        super().__init__()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Note the time."""
        self.times.append(time.perf_counter())


def train(tables: Tables, *, batch: int, rate: float, steps: int) -> list[float]:
    """Train some batches and return the time at which each ended."""
    model = uno(tables.cells.shape[1] - 1, tables.drugs.shape[1] - 1)
    # Keras 3 would compile with XLA, which Keras 2 did not and which is no faster on a CPU.
    model.compile(keras.optimizers.Adam(rate), "mse", jit_compile=False)
    clock = Clock()
    feed = batches(tables, batch, shuffle=True)
    model.fit(feed, steps_per_epoch=steps, epochs=1, callbacks=[clock], verbose=0)
    return clock.times


def prediction_rows_per_second(tables: Tables, *, batch: int, steps: int) -> float:
    """Predict joined batches, one call of `predict` each as the original does."""
    model = uno(tables.cells.shape[1] - 1, tables.drugs.shape[1] - 1)
    feed = batches(tables, batch, shuffle=False)
    model.predict(next(feed)[0], verbose=0)
    begun = time.perf_counter()
    rows = sum(len(model.predict(next(feed)[0], verbose=0)) for _ in range(steps))
    return rows / (time.perf_counter() - begun)
