"""What a submission will do is known, and what the queue would refuse is refused, before it."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hed.errors import InputError
from hed.site import capacity, site
from hed.site.limits import Limits

ROOT = Path(__file__).parents[1]
AURORA = site.read(ROOT / "profiles" / "aurora" / "site.yaml", {})
SLURM = site.read(ROOT / "profiles" / "slurm" / "site.yaml", {})
WORKSTATION = site.read(ROOT / "profiles" / "workstation" / "site.yaml", {})
HOUR = 3600


def place(nodes, **changes):
    """Return Aurora with blocks of so many nodes."""
    return replace(AURORA, nodes_per_block=nodes, **changes)


def refuse(found, runs=770):
    """Return the sentence with which blocks are refused."""
    with pytest.raises(InputError) as caught:
        capacity.refuse(found, runs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("nodes", "runs", "tiles", "waves", "fill"),
    [
        (13, 770, 156, 5, "98.7 %"),
        (16, 770, 192, 5, "80.2 %"),
        (65, 770, 780, 1, "98.7 %"),
        (257, 4 * 770, 3084, 1, "99.9 %"),
        (256, 4 * 770, 3072, 2, "50.1 %"),
    ],
)
def test_waves_and_fill_are_those_worked_out_for_aurora(nodes, runs, tiles, waves, fill):
    found = capacity.foresee(place(nodes), runs)
    assert (found.tiles, found.waves) == (tiles, waves)
    assert f"{100 * found.fill:.1f} %" == fill


@given(
    runs=st.integers(1, 20_000),
    nodes=st.integers(1, 300),
    blocks=st.integers(1, 8),
    most=st.none() | st.integers(1, 4),
)
def test_the_waves_hold_every_run_and_one_wave_less_does_not(runs, nodes, blocks, most):
    limits = {"capacity": Limits(max_running=most)}
    found = capacity.foresee(place(nodes, max_blocks=blocks, queues=limits), runs)
    assert (found.waves - 1) * found.tiles < runs <= found.waves * found.tiles
    assert 0 < found.fill <= 1
    assert found.tiles == found.running * nodes * 12
    assert 1 <= found.running <= found.blocks <= blocks
    assert most is None or found.running <= most


def test_node_hours_are_nodes_times_walltime_of_the_blocks_asked_for():
    found = capacity.foresee(place(13, max_blocks=2, walltime=10 * HOUR), 770)
    assert (found.blocks, found.node_hours) == (2, 260)


def test_no_block_is_asked_for_that_no_run_would_need():
    found = capacity.foresee(place(65, queue="prod", max_blocks=4), 770)
    assert (found.blocks, found.tiles) == (1, 780)


def test_blocks_that_start_anyway_count_even_without_runs_for_them():
    found = capacity.foresee(place(65, queue="prod", init_blocks=3, max_blocks=4), 770)
    assert (found.blocks, found.tiles) == (3, 2340)


def test_blocks_beyond_those_that_may_run_wait_and_add_no_tiles():
    found = capacity.foresee(place(5, max_blocks=4), 770)
    assert (found.blocks, found.running, found.tiles) == (4, 2, 120)


@pytest.mark.parametrize(
    ("hours", "rounds"),
    [
        (4.8, 1),  # 5 waves end with the walltime of 24 h
        (4.85, 2),
        (24, 5),
        (0.1, 1),
    ],
)
def test_the_walltime_suffices_if_all_waves_end_in_it(hours, rounds):
    found = place(13, walltime=24 * HOUR, reserve=0)
    estimate = capacity.estimate(found, capacity.foresee(found, 770), hours_per_run=hours)
    assert estimate.rounds == rounds
    assert estimate.hours == pytest.approx(5 * hours)
    assert estimate.node_hours == pytest.approx(5 * hours * 13)


def test_a_day_of_short_waves_fits_into_a_day():
    found = replace(WORKSTATION, walltime=24 * HOUR)
    estimate = capacity.estimate(found, capacity.foresee(found, 240), hours_per_run=0.1)
    assert estimate.rounds == 1


def test_a_wave_that_would_begin_in_the_reserve_is_left_to_the_next_block():
    found = place(13, walltime=24 * HOUR, reserve=5 * HOUR)
    whole = capacity.foresee(found, 770)
    assert capacity.estimate(found, whole, hours_per_run=4.75).rounds == 1
    assert capacity.estimate(found, whole, hours_per_run=4.8).rounds == 2


def test_the_best_fill_comes_first_and_of_equals_the_larger_block():
    found = capacity.suggest(AURORA, 770)
    assert [(o.nodes, o.waves) for o in found[:3]] == [(13, 5), (5, 13), (1, 65)]
    assert [o.fill for o in found] == sorted((o.fill for o in found), reverse=True)


def test_four_experiments_fill_257_nodes_of_prod():
    best = capacity.suggest(replace(AURORA, queue="prod"), 4 * 770)[0]
    assert (best.nodes, best.waves) == (257, 1)


@given(
    runs=st.integers(1, 5000),
    least=st.integers(1, 20),
    more=st.integers(0, 30),
    blocks=st.integers(1, 3),
)
def test_no_size_that_the_queue_takes_has_a_better_fill_than_the_first_suggestion(
    runs, least, more, blocks
):
    limits = Limits(min_nodes=least, max_nodes=least + more)
    found = place(1, queues={"capacity": limits}, max_blocks=blocks)
    best = capacity.suggest(found, runs)[0]
    sizes = range(least, least + more + 1)
    fills = [capacity.foresee(replace(found, nodes_per_block=nodes), runs).fill for nodes in sizes]
    assert limits.takes_nodes(best.nodes)
    assert best.fill == max(fills)


def test_a_machine_without_a_launcher_has_one_node_to_suggest():
    assert [o.nodes for o in capacity.suggest(WORKSTATION, 770)] == [1]


def test_a_block_of_the_wrong_size_is_refused_with_other_queues_and_the_best_size():
    assert refuse(place(65)) == (
        "queue capacity takes 1 to 16 nodes, not 65: use debug-scaling (up to 01:00:00), "
        "or set nodes_per_block to 13 (PROCS=156)"
    )


def test_a_queue_that_takes_block_and_walltime_is_named_alone():
    assert "use prod, or set nodes_per_block to 16 (" in refuse(place(300, walltime=HOUR), 192)


def test_a_block_that_no_queue_takes_is_refused_with_the_best_size_alone():
    only = {"capacity": Limits(max_nodes=16)}
    sentence = "queue capacity takes 1 to 16 nodes, not 65: set nodes_per_block to 13 (PROCS=156)"
    assert refuse(place(65, queues=only)) == sentence


def test_a_block_below_a_queue_s_least_is_refused():
    assert refuse(place(65, queue="prod")).startswith("queue prod takes 256 nodes and more, not 65")


def test_a_walltime_that_the_queue_ends_earlier_is_refused():
    sentence = "queue debug-scaling takes 65 nodes for up to 01:00:00, not 24:00:00"
    assert refuse(place(65, queue="debug-scaling")).startswith(sentence)


@pytest.mark.parametrize(("nodes", "hours"), [(257, 12), (1025, 18), (1920, 24)])
def test_prod_takes_larger_blocks_for_longer(nodes, hours):
    capacity.refuse(place(nodes, queue="prod", walltime=hours * HOUR), 770)
    longer = place(nodes, queue="prod", walltime=hours * HOUR + 1)
    assert f"for up to {hours}:00:00" in refuse(longer)


def test_a_walltime_below_the_queue_s_shortest_is_refused():
    sentence = "queue capacity takes a walltime (WALLTIME) from 00:05:00, not 00:04:59"
    assert refuse(place(13, walltime=299)) == sentence


def test_more_blocks_than_a_user_may_queue_are_refused():
    assert "set max_blocks to 5" in refuse(place(13, max_blocks=6))
    capacity.refuse(place(13, max_blocks=5), 770)


def test_a_site_without_limits_refuses_nothing():
    capacity.refuse(replace(SLURM, nodes_per_block=9999, max_blocks=99), 1)
