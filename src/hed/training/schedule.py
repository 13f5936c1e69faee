"""The learning rate and the end of training, as functions of a checkpoint's content.

The rules are those of Keras's callbacks as Uno uses them (LearningRateScheduler for the warm-up,
ReduceLROnPlateau, EarlyStopping). The callbacks keep their state where no checkpoint can reach it,
and an exact resume needs it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

# Keras's default for ReduceLROnPlateau: a smaller improvement does not count there.
MIN_DELTA = 1e-4
# Shares of the peak rate: in the first epoch of a warm-up, and the least.
START, FLOOR = 1e-2, 1e-4


@dataclass(frozen=True)
class Schedule:
    """The rules: the highest rate, the last epoch, patience in epochs."""

    peak: float
    epochs: int
    decay: str
    warmup_epochs: int
    warmup_type: str
    factor: float
    reduce_patience: int
    stop_patience: int


@dataclass(frozen=True)
class State:
    """What the rules remember between epochs.

    The rate is a share of the peak, so that a training that is resumed with another
    `learning_rate` uses the new one.
    """

    share: float
    plateau_best: float = math.inf
    plateau_wait: int = 0
    stop_best: float = math.inf
    stop_wait: int = 0
    stopped: bool = False


def schedule(parameters: Mapping[str, Any]) -> Schedule:
    """Return the rules that a run's hyperparameters describe."""
    return Schedule(
        peak=peak_rate(
            parameters["learning_rate"],
            parameters["batch_size"],
            scaling=parameters["learning_rate_scaling"],
        ),
        epochs=parameters["epochs"],
        decay=parameters["learning_rate_decay"],
        warmup_epochs=parameters["warmup_epochs"],
        warmup_type=parameters["warmup_type"],
        factor=parameters["reduce_lr_factor"],
        reduce_patience=parameters["reduce_lr_patience"],
        stop_patience=parameters["early_stopping_patience"],
    )


# Uno's own batch size, at which all scalings agree.
REFERENCE_BATCH = 32


def peak_rate(learning_rate: float, batch_size: int, *, scaling: str) -> float:
    """Return the peak learning rate for a batch size.

    Uno multiplies `learning_rate` by the batch size (linear). With `sqrt` and `none` the rate
    equals Uno's at a batch of 32 and grows from there with the square root of the batch, or not.
    """
    growth = batch_size / REFERENCE_BATCH
    factor = {"linear": growth, "sqrt": math.sqrt(growth), "none": 1.0}[scaling]
    return learning_rate * REFERENCE_BATCH * factor


def first() -> State:
    """Return the state before the first epoch."""
    return State(share=START)


def rates(rules: Schedule, state: State, epoch: int) -> tuple[float, float]:
    """Return the learning rates at the start and the end of an epoch, after `begin`.

    In between the rate is linear. Without decay it is constant, as in Uno.
    """
    highest = rules.peak * state.share
    if rules.decay == "none":
        return highest, highest
    return highest * _ramp(rules, epoch), highest * _ramp(rules, epoch + 1)


def _ramp(rules: Schedule, epoch: int) -> float:
    """Return the share of the peak between epochs: up in the warm-up, then down to 0."""
    if epoch < rules.warmup_epochs:
        return _warmup(rules, epoch)
    left = (rules.epochs - epoch) / max(rules.epochs - rules.warmup_epochs, 1)
    return left if rules.decay == "linear" else (1 - math.cos(math.pi * left)) / 2


def begin(rules: Schedule, state: State, epoch: int) -> State:
    """Return the state with the share of the peak rate in an epoch, counted from 0.

    During the warm-up, epochs 0 to `warmup_epochs`, it depends only on the epoch, as in
    Uno's `warmup_scheduler`; later it is what ReduceLROnPlateau left. With decay, `rates` has the
    warm-up.
    """
    if epoch > rules.warmup_epochs:
        return state
    return replace(state, share=_warmup(rules, epoch) if rules.decay == "none" else 1.0)


def _warmup(rules: Schedule, epoch: int) -> float:
    """Return the share of the peak rate in an epoch of the warm-up."""
    done = epoch / rules.warmup_epochs if rules.warmup_epochs else 1.0
    match rules.warmup_type:
        case "linear":
            return START + (1 - START) * done
        case "quadratic":
            return START + (1 - START) * done**2
        case "exponential":
            return math.pow(START, 1 - done)
        case _:
            return 1.0


def end(rules: Schedule, state: State, val_loss: float) -> State:
    """Return the state after an epoch with a validation loss."""
    return _early_stopping(rules, _reduce_on_plateau(rules, state, val_loss), val_loss)


def _reduce_on_plateau(rules: Schedule, state: State, val_loss: float) -> State:
    if val_loss < state.plateau_best - MIN_DELTA:
        return replace(state, plateau_best=val_loss, plateau_wait=0)
    wait = state.plateau_wait + 1
    if wait < rules.reduce_patience or state.share <= FLOOR:
        return replace(state, plateau_wait=wait)
    return replace(state, plateau_wait=0, share=max(state.share * rules.factor, FLOOR))


def _early_stopping(rules: Schedule, state: State, val_loss: float) -> State:
    if val_loss < state.stop_best:
        return replace(state, stop_best=val_loss, stop_wait=0)
    wait = state.stop_wait + 1
    return replace(state, stop_wait=wait, stopped=wait >= rules.stop_patience)
