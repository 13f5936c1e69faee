"""Epochs over rows in memory: no Python and no table per batch.

The features are two matrices on the device. A batch is two vectors of positions, from which the
compiled graph gathers cells and drugs; it runs many steps per call. The order of the rows and every
dropout mask are functions of the seed and the step, so that a resumed run repeats them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hed.data.dataset import Data, Features, Rows
from hed.training import backend, network, optimizer, sampling, weights
from hed.training.backend import tf
from hed.training.losses import Loss
from hed.training.network import Network, Noise


@dataclass(frozen=True)
class Sums:
    """Mean loss and mean squared error over the rows of an epoch, as trained (with dropout)."""

    loss: float
    squared_error: float


@dataclass(frozen=True)
class Steps:
    """How rows become steps.

    Attributes:
        optimizer: its name.
        batch: rows of a step.
        group: rows of one cell or drug that stay together in the order of an epoch; 1 for none.
        per_call: steps that the graph takes before it returns to Python.
        predicted: rows that are predicted at once.
        shares_towers: whether each cell and drug of a batch is evaluated once.
        precision: `float32` or `bfloat16`, of the towers' products.
        jit: whether XLA compiles the step.
        seed: of the order of the rows and of dropout.
    """

    optimizer: str
    batch: int
    group: int
    per_call: int
    predicted: int
    shares_towers: bool
    precision: str
    jit: bool
    seed: int


def steps(parameters: Mapping[str, Any]) -> Steps:
    """Return the steps that a run's hyperparameters describe."""
    return Steps(
        optimizer=parameters["optimizer"],
        batch=parameters["batch_size"],
        group=parameters["row_grouping"],
        per_call=parameters["steps_per_execution"],
        predicted=parameters["generator_batch_size"],
        shares_towers=parameters["tower_sharing"] != "off",
        precision=parameters["precision"],
        jit=parameters["jit_compile"],
        seed=parameters["rng_seed"],
    )


class Trainer:
    """A network, its optimizer and its data on the device."""

    def __init__(self, net: Network, data: Data, how: Steps, loss: Loss) -> None:
        """Put the data on the device; nothing is compiled before the first step."""
        self.network = net
        self.file = weights.File(net)
        self.optimizer = optimizer.optimizer(how.optimizer, net.model)
        self.loss = loss
        self._how = how
        self._train = data.train
        self._cells = matrix(data.cells, how.precision)
        self._drugs = matrix(data.drugs, how.precision)
        # Without autograph: converting Python's control flow costs a second, and there is none.
        jit = how.jit or None
        self._step = tf.function(self._train_step, jit_compile=jit, autograph=False)
        self._steps = tf.function(
            self._train_steps,
            autograph=False,
            input_signature=[
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None, None], tf.float32),
                tf.TensorSpec([], tf.int64),
                tf.TensorSpec([None], tf.float32),
            ],
        )
        self._predict = tf.function(
            self._predict_rows,
            autograph=False,
            input_signature=[tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.int32)],
        )

    def take(self, data: Data) -> None:
        """Train on other rows of the same features."""
        self._train = data.train

    def epoch(self, epoch: int, rate: float, last: float | None = None) -> Sums:
        """Train on every row once, in the order of this epoch (counted from 0).

        Args:
            rate, last: learning rates at its start and its end; constant without the second.
        """
        order = self.order(epoch)
        steps = math.ceil(len(order) / self._how.batch)
        rates = np.linspace(rate, rate if last is None else last, steps, endpoint=False)
        sums = self.train(order, rates.astype(np.float32), first=epoch * steps)
        return Sums(*(sums / len(order)).tolist())

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the rows in an epoch, counted from 0."""
        return sampling.order(self._how.seed, epoch, self._train, group=self._how.group)

    def train(self, order: np.ndarray, rates: np.ndarray, *, first: int) -> np.ndarray:
        """Train on rows in this order, batch by batch; the last batch may be smaller.

        Args:
            order: int32, n row numbers.
            rates: float32, the learning rate of each step.
            first: number of the first step, counted over the whole training.

        Returns:
            The sums over the rows of the loss and of the squared error.
        """
        batch = min(self._how.batch, len(order))
        whole, per_call = len(order) // batch, self._how.per_call
        steps = order[: whole * batch].reshape(whole, batch)
        calls = [(start, steps[start : start + per_call]) for start in range(0, whole, per_call)]
        if len(order) % batch:
            calls.append((whole, order[whole * batch :].reshape(1, -1)))
        sums = []
        for start, rows in calls:
            batches = (x[rows] for x in (self._train.cell, self._train.drug, self._train.auc))
            of_call = rates[start : start + len(rows)]
            sums.append(self._steps(*batches, np.int64(first + start), of_call).numpy())
        return np.asarray(np.concatenate(sums).sum(axis=0, dtype=np.float64))

    def predict(self, rows: Rows) -> np.ndarray:
        """Return the predicted AUC of n rows, float32, without dropout."""
        return np.asarray(self._predict(rows.cell, rows.drug).numpy())

    def mean_loss(self, rows: Rows, predicted: np.ndarray) -> float:
        """Return the mean loss of predictions."""
        values = self.loss(tf.constant(rows.auc), tf.constant(predicted))
        return float(np.mean(values.numpy(), dtype=np.float64))

    def _train_steps(
        self,
        cell: "tf.Tensor",
        drug: "tf.Tensor",
        auc: "tf.Tensor",
        first: "tf.Tensor",
        rates: "tf.Tensor",
    ) -> "tf.Tensor":
        """Return the sums of each step, steps x 2, for steps x batch rows."""
        steps = tf.shape(cell)[0]

        def step(i: "tf.Tensor", sums: "tf.TensorArray") -> tuple["tf.Tensor", "tf.TensorArray"]:
            number = first + tf.cast(i, tf.int64)
            return i + 1, sums.write(i, self._step(cell[i], drug[i], auc[i], number, rates[i]))

        start = (tf.constant(0), tf.TensorArray(tf.float32, size=steps, element_shape=[2]))
        return tf.while_loop(lambda i, _: i < steps, step, start, parallel_iterations=1)[1].stack()

    def _train_step(
        self,
        cell: "tf.Tensor",
        drug: "tf.Tensor",
        auc: "tf.Tensor",
        step: "tf.Tensor",
        rate: "tf.Tensor",
    ) -> "tf.Tensor":
        """Take a step; return the sums of the losses and of the squared errors of its rows."""
        noise = network.dropout(self._how.seed, step, compiled=self._compiles())
        # Gradients of the cast weights, in the type in which the products give them.
        net = self.network.cast_once()
        cast = [weight for pair in net.cast.values() for weight in pair]
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(cast)
            predicted = self._forward(net, cell, drug, noise)
            row_losses = self.loss(auc, predicted)
            loss = tf.reduce_mean(row_losses)
        self.optimizer.apply(tape.gradient(loss, cast), rate)
        return tf.stack([tf.reduce_sum(row_losses), tf.reduce_sum(tf.square(auc - predicted))])

    def _compiles(self) -> bool:
        """Tell whether passes over activations are compiled: only where that measured faster.

        That is on a CPU in bfloat16, which TensorFlow's own passes convert each time.
        """
        in_half = self._how.precision == "bfloat16" and not backend.accelerators()
        return in_half and self._how.batch >= COMPILED_BATCH

    def _forward(
        self, net: Network, cell: "tf.Tensor", drug: "tf.Tensor", noise: Noise
    ) -> "tf.Tensor":
        """Return the predicted AUC of a batch, its towers shared or not."""
        if not self._how.shares_towers:
            cells = network.tower(net, "canc", tf.gather(self._cells, cell), noise)
            drugs = network.tower(net, "drug", tf.gather(self._drugs, drug), noise)
            return network.respond(net, cells, drugs, noise)
        cell_values, cell = self._distinct(self._cells, cell)
        drug_values, drug = self._distinct(self._drugs, drug)
        cells = network.tower(net, "canc", cell_values, noise)
        drugs = network.tower(net, "drug", drug_values, noise)
        cells, drugs = network.project(net, cells, drugs)
        rows = tf.gather(cells, cell), tf.gather(drugs, drug)
        return network.respond_projected(net, *rows, noise)

    def _distinct(
        self, matrix: "tf.Tensor", entity: "tf.Tensor"
    ) -> tuple["tf.Tensor", "tf.Tensor"]:
        """Return the features that a batch needs, each entity once, and each row's place in them.

        The whole table if a batch of independent rows is likely to have nearly all of it, or under
        XLA, which has no data-dependent shapes.
        """
        grouped = self._how.group > 1
        holds_most = self._how.batch >= TABLE_PER_BATCH * matrix.shape[0] and not grouped
        if self._how.jit or holds_most:
            return matrix, entity
        # The positions come from the host; Intel's extension would send them back and forth.
        with tf.device("CPU"):
            distinct, place = tf.unique(entity)
        return tf.gather(matrix, distinct), place

    def _predict_rows(self, cell: "tf.Tensor", drug: "tf.Tensor") -> "tf.Tensor":
        tables = self._cells, self._drugs
        return predict(self.network, *tables, cell, drug, batch=self._how.predicted)


# Fewer rows gain nothing from compiled passes.
COMPILED_BATCH = 512
# Drawing n times 2.3 from n entities misses a tenth of them.
TABLE_PER_BATCH = 2.3


def predict(
    net: Network,
    cells: "tf.Tensor",
    drugs: "tf.Tensor",
    cell: "tf.Tensor",
    drug: "tf.Tensor",
    *,
    batch: int,
) -> "tf.Tensor":
    """Return the predicted AUC of n rows (cell and drug positions), float32.

    Without dropout a tower's output depends only on its entity, so it is evaluated once for every
    cell and every drug.
    """
    net = net.cast_once()
    outputs = [
        network.tower(net, "canc", cells, network.no_noise),
        network.tower(net, "drug", drugs, network.no_noise),
    ]
    by_cell, by_drug = network.project(net, *outputs)
    size = tf.shape(cell)[0]
    calls = (size + batch - 1) // batch

    def step(i: "tf.Tensor", parts: "tf.TensorArray") -> tuple["tf.Tensor", "tf.TensorArray"]:
        rows = slice(i * batch, tf.minimum((i + 1) * batch, size))
        at = tf.gather(by_cell, cell[rows]), tf.gather(by_drug, drug[rows])
        return i + 1, parts.write(i, network.respond_projected(net, *at, network.no_noise))

    parts = tf.TensorArray(tf.float32, size=calls, infer_shape=False, element_shape=[None])
    start = (tf.constant(0), parts)
    return tf.while_loop(lambda i, _: i < calls, step, start, parallel_iterations=1)[1].concat()


def matrix(features: Features, precision: str) -> "tf.Tensor":
    """Return a feature matrix on the device, in the precision in which the towers compute."""
    return tf.cast(tf.constant(features.values), precision)
