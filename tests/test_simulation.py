"""The simulated chain against what can be worked out by hand, and why tiles are idle."""

import math
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import listscheduling
from chainmodel import Costs, simulate
from listscheduling import Placed

# Whole seconds, so that sums are exact.
SECONDS = st.lists(st.integers(1, 50), min_size=1, max_size=40)
TILES = st.integers(1, 8)
COSTS = st.builds(
    Costs,
    begin=st.integers(0, 20),
    submit=st.integers(0, 5),
    finish=st.integers(0, 5),
    status=st.sampled_from([0.0, 0.25]),
    look=st.sampled_from([0.0, 2.0]),
    dispatch=st.integers(0, 5),
    latency=st.integers(0, 5),
    startup=st.integers(0, 5),
    jobs=st.integers(1, 50),
)


@given(runs=st.integers(1, 60), tiles=TILES, seconds=st.integers(1, 100))
def test_runs_of_equal_length_take_waves(runs, tiles, seconds):
    outcome = simulate([seconds] * runs, [0.0] * tiles, Costs())
    assert outcome.makespan == math.ceil(runs / tiles) * seconds


@given(durations=SECONDS)
def test_one_tile_takes_the_sum(durations):
    costs = Costs(dispatch=1, latency=2, startup=3)
    assert simulate(durations, [0.0], Costs()).makespan == sum(durations)
    assert simulate(durations, [0.0], costs).makespan == sum(durations) + 6 * len(durations)


@given(durations=SECONDS, tiles=TILES)
def test_a_chain_that_costs_nothing_is_list_scheduling(durations, tiles):
    outcome = simulate(durations, [0.0] * tiles, Costs())
    assert outcome.makespan == listscheduling.makespan(durations, tiles)


@given(durations=SECONDS, tiles=TILES, latency=st.integers(0, 9), startup=st.integers(0, 9))
def test_latency_and_startup_make_every_run_longer(durations, tiles, latency, startup):
    outcome = simulate(durations, [0.0] * tiles, Costs(latency=latency, startup=startup))
    longer = [duration + latency + startup for duration in durations]
    assert outcome.makespan == listscheduling.makespan(longer, tiles)


def test_the_first_run_of_each_tile_starts_its_server():
    outcome = simulate([10.0] * 5, [0.0] * 2, Costs(startup=1, first=4))
    taken = [run.end - run.start for run in sorted(outcome.placed, key=lambda run: run.start)]
    assert taken == [15, 15, 11, 11, 11]


@given(durations=SECONDS, tiles=TILES)
def test_list_scheduling_keeps_within_its_bounds(durations, tiles):
    found = listscheduling.makespan(durations, tiles)
    assert listscheduling.least(durations, tiles) <= found
    assert found <= listscheduling.most(durations, tiles) * (1 + 1e-12)


def test_grahams_bound_is_reached_when_the_longest_run_comes_last():
    durations = [1.0] * 12 + [4.0]
    assert listscheduling.makespan(durations, 4) == listscheduling.most(durations, 4) == 7
    assert listscheduling.least(durations, 4) == 4


@given(durations=SECONDS, tiles=TILES, costs=COSTS)
def test_every_run_takes_place_once_and_no_tile_has_two(durations, tiles, costs):
    outcome = simulate(durations, [0.0] * tiles, costs)
    taken = sorted(run.end - run.start - costs.startup for run in outcome.placed)
    assert taken == sorted(durations)
    by_tile = sorted(outcome.placed, key=lambda run: (run.tile, run.start))
    assert all(a.end <= b.start for a, b in pairwise(by_tile) if a.tile == b.tile)
    assert all(run.submitted <= run.start for run in outcome.placed)
    assert outcome.known >= outcome.makespan


@given(durations=SECONDS, begins=st.lists(st.integers(0, 5), min_size=1, max_size=8), costs=COSTS)
def test_work_and_the_causes_of_idleness_are_all_of_the_time(durations, begins, costs):
    outcome = simulate(durations, begins, costs)
    named = {str(tile): begin for tile, begin in enumerate(begins)}
    named = {tile: begin for tile, begin in named.items() if begin < outcome.makespan}
    idle = listscheduling.idle(outcome.placed, named)
    work = sum(run.end - run.start for run in outcome.placed)
    time = sum(outcome.makespan - begin for begin in named.values())
    assert idle.all + work / time == pytest.approx(1)
    assert min(idle.submission, idle.dispatch, idle.tail) >= 0


def test_submissions_slower_than_the_runs_decide():
    outcome = simulate([3.0] * 10, [0.0] * 4, Costs(begin=7, submit=5))
    assert outcome.makespan == 7 + 10 * 5 + 3
    idle = listscheduling.idle(outcome.placed, {str(tile): 0.0 for tile in range(4)})
    assert idle.dispatch == 0
    assert outcome.main == 50


def test_a_dispatcher_slower_than_the_tiles_decides():
    outcome = simulate([3.0] * 10, [0.0] * 20, Costs(dispatch=5, latency=2))
    assert outcome.makespan == 10 * 5 + 2 + 3
    assert outcome.dispatcher == 50


def test_no_more_runs_are_under_way_than_may_be():
    outcome = simulate([100.0] * 6, [0.0] * 6, Costs(jobs=3, pause=1))
    assert outcome.makespan == 200
    assert len({run.tile for run in outcome.placed if run.start == 0}) == 3


def test_a_finished_run_is_known_after_the_looks_at_those_before_it():
    costs = Costs(status=1, pause=10, finish=4, jobs=2)
    # Looks at 11 and 12 find both ended; the main process finishes one after the other.
    assert simulate([5.0, 5.0], [0.0, 0.0], costs).known == 11 + 4 + 4


def test_the_causes_of_idleness_are_told_apart():
    placed = [
        Placed("a", 0, 1, 4),  # waits 1 s for the dispatcher
        Placed("a", 6, 7, 10),  # 2 s for its submission, 1 s for the dispatcher
        Placed("b", 0, 0, 8),  # and then nothing is left for 2 s
    ]
    found = listscheduling.idle(placed, {"a": 0, "b": 0, "unused": 5})
    assert (found.submission, found.dispatch, found.tail) == (2 / 25, 2 / 25, 7 / 25)
    assert listscheduling.latencies(placed) == [1]
