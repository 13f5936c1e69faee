"""The learning rate and the end of training."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedules import follow

from hed.training import schedule
from hed.training.schedule import MIN_DELTA, Schedule, peak_rate

PEAK = 1e-2


def rules(**changes: Any) -> Schedule:
    given: dict[str, Any] = {
        "peak": PEAK,
        "epochs": 200,
        "decay": "none",
        "warmup_epochs": 0,
        "warmup_type": "linear",
        "factor": 0.5,
        "reduce_patience": 3,
        "stop_patience": 20,
    }
    return Schedule(**{**given, **changes})


def falling(count: int) -> list[float]:
    return [1.0 - 0.01 * i for i in range(count)]


@pytest.mark.parametrize(
    ("shape", "shares"),
    [
        ("none", [1, 1, 1, 1, 1, 1]),
        ("constant", [1, 1, 1, 1, 1, 1]),
        ("linear", [0.01, 0.2575, 0.505, 0.7525, 1, 1]),
        ("quadratic", [0.01, 0.071875, 0.2575, 0.566875, 1, 1]),
        ("exponential", [0.01, 0.0316227766, 0.1, 0.316227766, 1, 1]),
    ],
)
def test_the_rate_rises_from_a_hundredth_to_the_peak(shape: str, shares: list[float]) -> None:
    rates, _ = follow(rules(warmup_epochs=4, warmup_type=shape), falling(6))
    assert rates == pytest.approx([PEAK * share for share in shares], rel=1e-8)


@pytest.mark.parametrize("shape", ["none", "constant", "linear", "quadratic", "exponential"])
def test_without_warm_up_epochs_the_first_rate_is_the_peak(shape: str) -> None:
    rates, _ = follow(rules(warmup_epochs=0, warmup_type=shape), falling(3))
    assert rates == [PEAK] * 3


def test_a_warm_up_overrules_a_plateau() -> None:
    rates, _ = follow(rules(warmup_epochs=4, reduce_patience=1), [1.0] * 7)
    assert rates == pytest.approx(
        [PEAK * s for s in (0.01, 0.2575, 0.505, 0.7525, 1, 0.5, 0.25)], rel=1e-8
    )


def test_a_rate_is_reduced_after_as_many_epochs_without_improvement_as_patience() -> None:
    rates, _ = follow(rules(reduce_patience=3), [1.0] * 9)
    assert rates == [PEAK] * 4 + [PEAK / 2] * 3 + [PEAK / 4] * 2


def test_with_patience_0_every_epoch_without_improvement_reduces_the_rate() -> None:
    rates, _ = follow(rules(reduce_patience=0), [1.0, 1.0, 1.0, 0.5, 0.5])
    assert rates == [PEAK, PEAK, PEAK / 2, PEAK / 4, PEAK / 4]


def test_an_improvement_resets_the_wait() -> None:
    rates, _ = follow(rules(reduce_patience=2), [1.0, 1.0, 0.9, 0.9, 0.8, 0.8])
    assert rates == [PEAK] * 6


def test_an_improvement_below_min_delta_does_not_count_for_the_rate_but_keeps_training() -> None:
    losses = [1.0 - 0.4 * MIN_DELTA * i for i in range(3)]
    rates, stopped = follow(rules(reduce_patience=1, stop_patience=1), [*losses, losses[-1]])
    assert rates == [PEAK, PEAK, PEAK / 2, PEAK / 4]
    assert stopped == 4


def test_the_rate_does_not_fall_below_a_ten_thousandth_of_the_peak() -> None:
    rates, _ = follow(rules(reduce_patience=1, factor=0.03, stop_patience=99), [1.0] * 8)
    assert rates[3:] == pytest.approx([PEAK * 9e-4, *[PEAK * 1e-4] * 4])


def test_training_stops_after_as_many_epochs_without_improvement_as_patience() -> None:
    assert follow(rules(stop_patience=3), [1.0, 0.5, 0.6, 0.5, 0.7, 0.1])[1] == 5
    assert follow(rules(stop_patience=3), [1.0, 0.5, 0.6, 0.6, 0.4, 0.5, 0.5])[1] is None


def test_with_patience_0_training_stops_at_the_first_epoch_without_improvement() -> None:
    assert follow(rules(stop_patience=0), [1.0, 0.9, 0.9, 0.8])[1] == 3


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=40), st.integers(0, 5))
def test_rates_only_fall_after_the_warm_up_and_stay_above_the_floor(
    losses: list[float], patience: int
) -> None:
    how = rules(reduce_patience=patience, stop_patience=99)
    rates, _ = follow(how, losses)
    assert all(a >= b for a, b in zip(rates, rates[1:], strict=False))
    assert min(rates) >= PEAK * schedule.FLOOR


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_a_decaying_rate_moves_without_a_jump_from_the_warm_up_to_zero(decay: str) -> None:
    how = rules(decay=decay, epochs=6, warmup_epochs=2)
    state, ends = schedule.first(), []
    for epoch, loss in enumerate(falling(6)):
        state = schedule.begin(how, state, epoch)
        ends.append(schedule.rates(how, state, epoch))
        state = schedule.end(how, state, loss)
    assert [first for first, _ in ends[1:]] == pytest.approx([last for _, last in ends[:-1]])
    assert ends[0][0] == pytest.approx(PEAK * schedule.START)
    assert [ends[2][0], ends[4][0], ends[5][1]] == pytest.approx([PEAK, PEAK / 2, 0])


def test_a_plateau_reduces_a_decaying_rate_too() -> None:
    how = rules(decay="linear", epochs=4, reduce_patience=1)
    rates, _ = follow(how, [1.0] * 4)
    assert rates == pytest.approx([PEAK, PEAK * 0.75, PEAK * 0.5 / 2, PEAK * 0.25 / 4])


def test_a_warm_up_as_long_as_the_training_leaves_no_decay() -> None:
    rates, _ = follow(rules(decay="cosine", epochs=3, warmup_epochs=3), falling(4))
    assert rates == pytest.approx([PEAK * s for s in (0.01, 0.34, 0.67, 0.0)])


def test_unos_rule_multiplies_the_rate_by_the_batch_size() -> None:
    assert peak_rate(1e-5, 32, scaling="linear") == pytest.approx(3.2e-4)
    assert peak_rate(1e-5, 512, scaling="linear") == pytest.approx(5.12e-3)


@pytest.mark.parametrize("scaling", ["linear", "sqrt", "none"])
def test_all_scalings_agree_at_unos_own_batch_size(scaling: str) -> None:
    assert peak_rate(1e-5, 32, scaling=scaling) == pytest.approx(3.2e-4)


def test_other_scalings_grow_with_the_square_root_or_not_at_all() -> None:
    assert peak_rate(1e-5, 128, scaling="sqrt") == pytest.approx(6.4e-4)
    assert peak_rate(1e-5, 128, scaling="none") == pytest.approx(3.2e-4)


def test_nothing_is_best_before_the_first_epoch() -> None:
    state = schedule.first()
    assert (state.plateau_best, state.stop_best) == (math.inf, math.inf)
    assert not state.stopped
