"""How many of a cell's most sensitive drugs the predictions find, for one cell and for all."""

import json
from pathlib import Path

import polars as pl
import pytest
from answers import draw, hold, write
from experiments import assert_is_refused, call_script, run_script

from hed.answers import sensitivity

ROWS = draw(8, 5, noise=0.1)


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    return write(tmp_path / "EXP000", ROWS)


def test_all_cells_are_scored_as_each_by_itself(experiment: Path) -> None:
    scored = json.loads(
        call_script("score_all_cells.py", experiment, "--count", 3, "--format", "json")
    )
    assert [row["cell"] for row in scored] == [f"C{i:03d}" for i in range(5)]
    for row in scored:
        alone = call_script("score_cell.py", experiment, row["cell"], 3)
        assert alone.count("hit: ") == row["hits"]
        assert alone.splitlines()[-1] == f"hits: {100 * row['share']:4.1f}%"


def test_a_cell_with_no_more_drugs_than_asked_for_says_nothing() -> None:
    rows = draw(4, 2)
    table = sensitivity.score_cells(hold(rows).rows, count=4)
    assert table.select("drugs", "hits", "share").rows() == [(4, 4, None), (4, 4, None)]
    none = "no mean: none of 2 cells was tested with more drugs than asked for"
    assert sensitivity.mean_share(table) == none
    rows[4] = [("C000", 0.1, 0.9)]
    table = sensitivity.score_cells(hold(rows).rows, count=4)
    assert table["share"].to_list() == [0.75, None]
    found = "mean over 1 cells (1 with no more drugs than asked for are left out): 75.0% of the"
    assert sensitivity.mean_share(table).startswith(found)


def test_drugs_are_told_apart_where_a_run_holds_out_a_cell() -> None:
    values = [(f"D{i}", i / 10, 1 - i / 10) for i in range(8)]
    rows = pl.DataFrame(values, schema=["drug", "true", "predicted"], orient="row").with_columns(
        run=pl.lit("RUN000"), cell=pl.lit("C0")
    )
    assert sensitivity.score_cells(rows, count=3)["hits"].to_list() == [0]
    true, predicted = (
        sensitivity.top_drugs(rows, "C0", order=order, count=3) for order in ("true", "predicted")
    )
    assert not sensitivity.match(true, predicted)["hit"].any()


def test_the_cells_of_a_file_are_scored_in_its_order(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "all_cells.txt").write_text("C003\n\nC001\n")
    options = ("--cells", tmp_path / "all_cells.txt", "--format", "csv")
    printed = call_script("score_all_cells.py", experiment, *options)
    assert [line.split(",")[0] for line in printed.splitlines()[1:]] == ["C003", "C001"]
    (tmp_path / "all_cells.txt").write_text("C0O1\n")
    result = run_script("score_all_cells.py", experiment, *options)
    assert_is_refused(result, "no prediction for cell 'C0O1' of", "did you mean 'C001'?")


def test_a_count_below_one_is_refused(experiment: Path) -> None:
    for name, arguments in (("score_cell.py", ("C001", 0)), ("score_all_cells.py", ("--count", 0))):
        assert_is_refused(run_script(name, experiment, *arguments), "COUNT must be at least 1")
