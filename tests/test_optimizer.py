"""The optimizers, and the schedule of their rate, are those of Keras."""

from typing import Any

import numpy as np
import pytest
from schedules import follow
from trainers import assert_close, assert_equal, make, weights_of

from hed.errors import InputError
from hed.training import optimizer, schedule
from hed.training.backend import keras, tf
from hed.training.trainer import Trainer

# Keras on NumPy 2 warns at each copy of a variable.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")


def gradients(trainer: Trainer, step: int) -> list[Any]:
    random = np.random.default_rng(step)
    return [
        tf.constant(random.standard_normal(w.shape).astype(np.float32) * 0.1)
        for w in trainer.network.model.trainable_variables
    ]


def test_adam_takes_the_steps_of_kerass_adam() -> None:
    ours, theirs = make(), make()
    adam = keras.optimizers.Adam(learning_rate=0.0)
    for step in range(6):
        rate = 1e-2 / (step + 1)
        ours.optimizer.apply(gradients(ours, step), tf.constant(rate))
        adam.learning_rate = rate
        variables = theirs.network.model.trainable_variables
        adam.apply_gradients(zip(gradients(theirs, step), variables, strict=True))
    assert_close(weights_of(ours), weights_of(theirs), 1e-6)
    assert not np.allclose(weights_of(ours)[0], weights_of(make())[0])


@pytest.mark.parametrize("per_call", [1, 4, 100])
def test_a_moving_rate_takes_a_straight_line_over_the_steps(
    per_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make(batch_size=16, steps_per_execution=per_call)
    used: list[float] = []
    steps = trainer._steps

    def record(*args: Any) -> Any:
        assert len(args[-1]) == len(args[0])
        used.extend(args[-1])
        return steps(*args)

    monkeypatch.setattr(trainer, "_steps", record)
    trainer.epoch(0, 0.0, 1e-3)
    count = -(-len(trainer.order(0)) // 16)
    np.testing.assert_allclose(used, 1e-3 * np.arange(count) / count, rtol=1e-5)


NAMES = ("Adam", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Ftrl")


@pytest.mark.parametrize("name", NAMES)
def test_every_optimizer_trains_and_continues_from_its_stored_state(name: str) -> None:
    trainer = make(optimizer=name, batch_size=50)
    fresh = weights_of(trainer)
    trainer.epoch(0, 1e-2)
    state, first = optimizer.stored(trainer.optimizer), weights_of(trainer)
    assert not np.array_equal(fresh[0], first[0])
    sums, second = trainer.epoch(1, 2e-2), weights_of(trainer)
    other = make(optimizer=name, batch_size=50)
    other.network.model.set_weights(first)
    optimizer.restore(other.optimizer, state)
    assert other.epoch(1, 2e-2) == sums
    assert_equal(weights_of(other), second)


def test_the_state_of_another_optimizer_is_refused() -> None:
    with pytest.raises(InputError, match="another optimizer"):
        optimizer.restore(make().optimizer, optimizer.stored(make(optimizer="SGD").optimizer))


def follow_keras(rules: schedule.Schedule, series: list[float]) -> tuple[list[float], int]:
    """Return the rates that Keras's callbacks give, and the number of epochs until they stop."""
    start = rules.peak * schedule.START
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(start), loss="mse")

    def warm_up(epoch: int, rate: float) -> float:
        if epoch > rules.warmup_epochs:
            return float(rate)
        share = epoch / rules.warmup_epochs if rules.warmup_epochs else 1
        return start + (rules.peak - start) * share

    stop = keras.callbacks.EarlyStopping("val_loss", patience=rules.stop_patience)
    callbacks = [
        keras.callbacks.LearningRateScheduler(warm_up),
        keras.callbacks.ReduceLROnPlateau(
            "val_loss", rules.factor, rules.reduce_patience, min_lr=rules.peak * schedule.FLOOR
        ),
        stop,
    ]
    rates: list[float] = []
    model.stop_training = False
    for callback in callbacks:
        callback.set_model(model)
        callback.on_train_begin()
    for epoch, loss in enumerate(series):
        for callback in callbacks:
            callback.on_epoch_begin(epoch)
        rates.append(float(model.optimizer.learning_rate.numpy()))
        for callback in callbacks:
            callback.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    return rates, len(rates)


@pytest.mark.parametrize("seed", range(12))
def test_the_schedule_is_that_of_kerass_callbacks(seed: int) -> None:
    random = np.random.default_rng(seed)
    falling = 0.2 * np.exp(-np.arange(60) / 8) + 0.01
    series = (falling + random.normal(0, 0.004, 60)).tolist()
    reduce_patience, stop_patience = int(random.integers(0, 4)), int(random.integers(0, 25))
    rules = schedule.Schedule(
        peak=1e-2, epochs=200, decay="none",
        warmup_epochs=int(random.integers(0, 6)), warmup_type="linear",
        factor=float(random.choice([0.5, 0.1, 0.003])),
        reduce_patience=reduce_patience, stop_patience=stop_patience,
    )  # fmt: skip
    rates, _ = follow(rules, series)
    theirs, epochs = follow_keras(rules, series)
    assert len(rates) == epochs
    np.testing.assert_allclose(rates, theirs, rtol=1e-5)
