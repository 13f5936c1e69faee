"""What dies quickly again and again is given up, and every timer is documented."""

from dataclasses import fields
from pathlib import Path

from hed.pilot.timers import QuickDeaths, Timers

DOCS = Path(__file__).parents[1] / "docs"


def test_quick_deaths_in_a_row_are_too_many() -> None:
    deaths = QuickDeaths(most=3, within=30)
    assert [deaths.add(seconds) for seconds in (1, 2, 31, 1, 29, 30, 1, 1, 1)] == [
        *[False] * 8,
        True,
    ]


def test_every_timer_says_whose_it_is_and_what_it_is_for() -> None:
    for each in fields(Timers):
        assert each.metadata["who"] and each.metadata["meaning"]
