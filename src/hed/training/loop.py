"""The training of a run: epochs, checkpoints, and a resume that reproduces them exactly."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from hed.data.dataset import Data
from hed.errors import InputError
from hed.files import read_json
from hed.names import CHECKPOINT_INFO
from hed.training import checkpoint, choice, optimizer, schedule, weights
from hed.training.saving import Copy, Saver
from hed.training.trainer import Trainer
from hed.words import clock

METRICS = ("loss", "val_loss", "r2_train", "r2_val", "lr")

History = dict[str, list[float | None]]


@dataclass(frozen=True)
class State:
    """A training between two epochs; every checkpoint holds all of it.

    Attributes:
        epoch: epochs done.
        schedule: what the rules of the schedule remember.
        history: metric name to values over epochs.
        seconds: wall time of each epoch.
        best_epoch, best_metric: the saved epoch, counted from 1, with the best metric so far.
        measured: the metric and the loss that these, and the rules of the schedule, have compared;
            unknown in older checkpoints.
    """

    epoch: int
    schedule: schedule.State
    history: History
    seconds: list[float]
    best_epoch: int
    best_metric: float
    measured: tuple[str, str] | None = None


@dataclass(frozen=True)
class Trained:
    """A training that has ended.

    Attributes:
        state: after its last epoch.
        predicted: of the best and the last epoch, if trained here, the AUC of the validation rows.
    """

    state: State
    predicted: Mapping[int, np.ndarray]


def train(
    trainer: Trainer, data: Data, rules: schedule.Schedule, policy: checkpoint.Policy, ckpts: Path
) -> Trained:
    """Train until the last epoch or until stopped early, saving as the policy says.

    Args:
        trainer: with fresh weights.
        data: rows to train on and to validate with.
        rules: of the learning rate and the end.
        policy: of checkpoints.
        ckpts: their directory; the training resumes from the last one.

    Raises:
        InputError: if the loss is not finite, or a checkpoint holds another network.
    """
    resumed = _resume(trainer, choice.find(ckpts, policy), policy.save_best_metric)
    state = _forget_other_measures(resumed, policy)
    predicted: dict[int, np.ndarray] = {}
    with Saver(ckpts, policy) as saver:
        while state.epoch < rules.epochs and not state.schedule.stopped:
            state, auc = _epoch(trainer, data, state, rules)
            _report(state, rules.epochs, len(data.train))
            state = _save(lambda: _copy(trainer, ckpts), state, policy, saver)
            best = {n: kept for n, kept in predicted.items() if n == state.best_epoch}
            predicted = {**best, state.epoch: auc}
    return Trained(state, predicted)


def _save(copy: Copy, state: State, policy: checkpoint.Policy, saver: Saver) -> State:
    """Save a state if the policy says so; return it with the best of the saved epochs."""
    metric, better = state.history[policy.save_best_metric][-1], state
    if metric is not None and metric < state.best_metric:
        better = replace(state, best_epoch=state.epoch, best_metric=metric)
    improved, final = better is not state, state.schedule.stopped
    if not checkpoint.due(policy, state.epoch, improved=improved, final=final):
        return state
    saver.save(state.epoch, copy=copy, state=asdict(better))
    return better


def _epoch(
    trainer: Trainer, data: Data, state: State, rules: schedule.Schedule
) -> tuple[State, np.ndarray]:
    """Return the state after one more epoch, and the AUC of the validation rows."""
    begun = time.perf_counter()
    begin = schedule.begin(rules, state.schedule, state.epoch)
    rates = schedule.rates(rules, begin, state.epoch)
    sums = trainer.epoch(state.epoch, *rates)
    predicted = trainer.predict(data.val)
    val_loss = trainer.mean_loss(data.val, predicted)
    values = {
        "loss": sums.loss,
        "val_loss": val_loss,
        "r2_train": _r2(sums.squared_error, data.train.auc),
        "r2_val": _r2(float(np.mean((data.val.auc - predicted) ** 2)), data.val.auc),
        "lr": max(rates),
    }
    if not math.isfinite(val_loss + sums.loss):
        raise InputError(
            f"the loss is {val_loss} after epoch {state.epoch + 1}: the training diverged; "
            "lower learning_rate or batch_size (checkpoints of earlier epochs are kept)"
        )
    after = replace(
        state,
        epoch=state.epoch + 1,
        schedule=schedule.end(rules, begin, val_loss),
        history={name: [*state.history[name], values[name]] for name in METRICS},
        seconds=[*state.seconds, round(time.perf_counter() - begun, 3)],
    )
    return after, predicted


def _r2(squared_error: float, auc: np.ndarray) -> float | None:
    """Return 1 - mse / variance; None where the truth is constant."""
    variance = float(np.var(auc, dtype=np.float64))
    return 1 - squared_error / variance if variance > 0 else None


def _report(state: State, epochs: int, rows: int) -> None:
    """Print the progress line of an epoch: rows/s, and the time left if training is not stopped."""
    last = {name: values[-1] for name, values in state.history.items()}
    seconds = state.seconds[-1]
    left = (epochs - state.epoch) * sum(state.seconds[-3:]) / len(state.seconds[-3:])
    print(
        f"epoch {state.epoch:>{len(str(epochs))}}/{epochs}"
        f"  loss {last['loss']:.5f}  val_loss {last['val_loss']:.5f}"
        f"  r2_val {last['r2_val'] if last['r2_val'] is not None else math.nan:.3f}"
        f"  lr {last['lr']:.2e}  {seconds:.1f} s  {rows / max(seconds, 1e-3):,.0f} rows/s"
        f"  left {clock(0 if state.schedule.stopped else left)}",
        flush=True,
    )


def _copy(trainer: Trainer, ckpts: Path) -> Callable[[Path], None]:
    """Return what writes the network and the optimizer, as they are now, into a checkpoint."""
    write_model, arrays = trainer.file.copy(ckpts), optimizer.stored(trainer.optimizer)

    def write(place: Path) -> None:
        write_model(place / checkpoint.MODEL)
        with (place / checkpoint.OPTIMIZER).open("wb") as stream:
            np.savez(stream, **arrays)  # type: ignore[arg-type]

    return write


def _resume(trainer: Trainer, place: Path | None, metric: str) -> State:
    """Return the state of a checkpoint after setting weights and optimizer to it."""
    if place is None:
        return State(0, schedule.first(), {name: [] for name in METRICS}, [], 0, math.inf)
    weights.load(trainer.network, place / checkpoint.MODEL)
    if not (place / checkpoint.STATE).exists():
        return _foreign(place)
    with np.load(place / checkpoint.OPTIMIZER) as arrays:
        optimizer.restore(trainer.optimizer, dict(arrays))
    stored = read_json(place / checkpoint.STATE)
    print(f"resuming after epoch {stored['epoch']}")
    state = State(**{**stored, "schedule": schedule.State(**stored["schedule"])})
    if (place.parent / f"{state.best_epoch:03d}" / checkpoint.MODEL).exists():
        return state
    # After a rollback the best epoch may be gone, because a later one was better.
    value = state.history[metric][-1]
    return replace(state, best_epoch=state.epoch, best_metric=math.inf if value is None else value)


def _forget_other_measures(state: State, policy: checkpoint.Policy) -> State:
    """Return a state whose best values are of this training's metric and loss.

    Values of another loss tell neither which epoch is the best nor when to stop.
    """
    metric, loss = measured = (policy.save_best_metric, policy.loss)
    earlier = tuple(state.measured or measured)
    if earlier == measured:
        return replace(state, measured=measured)
    print(f"the best epoch so far was that of the least {' of '.join(earlier)}: compared anew")
    if earlier[1] == loss:
        values = state.history[metric][state.best_epoch - 1 : state.best_epoch]
        best = math.inf if not values or values[0] is None else values[0]
        return replace(state, best_metric=best, measured=measured)
    rules = replace(schedule.first(), share=state.schedule.share)
    return replace(state, schedule=rules, best_metric=math.inf, measured=measured)


def _foreign(place: Path) -> State:
    """Return a state for a checkpoint of the original, which has only the weights.

    The optimizer starts anew, and the history of its epochs is unknown.
    """
    info = read_json(place / CHECKPOINT_INFO)
    epoch, metric = info["epoch"], info["best_metric_last"]
    print(f"resuming after epoch {epoch} of a checkpoint without optimizer state")
    best = checkpoint.linked_epoch(place.parent.parent / "best")
    if best is None or not (place.parent / f"{best:03d}" / checkpoint.MODEL).exists():
        best = epoch
    return State(
        epoch=epoch,
        schedule=replace(schedule.first(), share=1.0),
        history={name: [None] * epoch for name in METRICS},
        seconds=[],
        best_epoch=best,
        best_metric=math.inf if metric is None else metric,
    )
