"""What a process that trains many runs keeps from one to the next: the compiled steps.

Building and tracing Uno takes longer than a short training. Runs with the same settings and
features differ in their rows, and in nothing that the graph depends on: weights, optimizer and rows
are reset to those of a new process.
"""

import gc
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hed import modules
from hed.data import tables
from hed.data.dataset import Data, Features
from hed.training import optimizer
from hed.training.backend import keras
from hed.training.trainer import Trainer

# Parameters of single runs, on which no graph depends.
OF_A_RUN = frozenset(
    ["id", "index", "run_id", "experiment_id", "save"]
    + ["output_dir", "instance_directory", "input_dir", "data_dir"]
)


@dataclass(frozen=True)
class Kept:
    """A trainer, and its initial state.

    Attributes:
        key: settings and features that it was made for.
        weights: of the network, in its order.
        state: of the optimizer.
    """

    key: str
    cells: Features
    drugs: Features
    trainer: Trainer
    weights: list[np.ndarray]
    state: Mapping[str, np.ndarray]

    def begin(self, data: Data) -> Trainer:
        """Return the trainer with fresh weights, and with the rows of another run."""
        weights = self.trainer.network.model.weights
        for weight, fresh in zip(weights, self.weights, strict=True):
            weight.assign(fresh)
        optimizer.restore(self.trainer.optimizer, dict(self.state))
        self.trainer.take(data)
        return self.trainer


class Shelf:
    """Room for one trainer: that of other settings and features replaces the last one."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept: Kept | None = None

    def find(self, key: str) -> Kept | None:
        """Return what was kept for runs of a key; drop what was kept for others."""
        if self._kept and self._kept.key != key:
            self._kept = None
            keras.backend.clear_session()
        if not self._kept and modules.SERVED.get():
            # What is there by now, TensorFlow above all, stays; to look through it takes .4 s.
            gc.collect()
            gc.freeze()
        return self._kept

    def keep(self, key: str, data: Data, made: Trainer) -> None:
        """Keep a new trainer if this process serves many runs."""
        if modules.SERVED.get():
            weights = [np.asarray(weight) for weight in made.network.model.weights]
            state = optimizer.stored(made.optimizer)
            self._kept = Kept(key, data.cells, data.drugs, made, weights, state)


def key(params: Mapping[str, Any]) -> str:
    """Return what a graph depends on: the settings, and the files of the features."""
    settings = {name: value for name, value in params.items() if name not in OF_A_RUN}
    files = [(Path(params["data_dir"]) / kind.file).resolve() for kind in tables.KINDS]
    found = [(str(file), (s := file.stat()).st_size, s.st_mtime_ns, s.st_ino) for file in files]
    return json.dumps([settings, found], sort_keys=True, default=str)
