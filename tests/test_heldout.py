"""All predictions of an experiment are read, whatever state its runs are in."""

from dataclasses import replace

import polars as pl
import pytest
from answers import draw, hold, write
from experiments import name_run, partition_by

from hed.answers import heldout
from hed.errors import InputError
from hed.names import PREDICTED

ROWS = draw(3, 4)
HEADER = "auc_true,auc_pred,labels\n"


def path_of(experiment, index):
    return experiment / "run" / name_run(index) / PREDICTED


def test_every_row_is_read_with_its_run_index_drug_and_cell(tmp_path):
    held = heldout.read(write(tmp_path / "EXP000", ROWS))
    assert held.rows.equals(hold(ROWS).rows)
    assert (held.name, held.notes) == ("EXP000", ())


def test_cells_that_are_numbers_stay_text(tmp_path):
    held = heldout.read(write(tmp_path / "EXP000", {0: [("007", 0.5, 0.5), ("7", 0.5, 0.5)]}))
    assert held.rows["cell"].to_list() == ["007", "7"]


def test_the_originals_runs_are_named_by_their_index(tmp_path):
    held = heldout.read(write(tmp_path / "EXP000", ROWS, original=True))
    assert held.rows["drug"].unique(maintain_order=True).to_list() == [
        f"index {i}" for i in (0, 1, 2)
    ]


def test_missing_runs_are_told_and_the_others_read(tmp_path):
    experiment = write(tmp_path / "EXP000", ROWS, states=["done", "waiting", "running"])
    held = heldout.read(experiment)
    assert held.rows["index"].unique().to_list() == [0]
    assert held.notes == ("2 of 3 runs missing: RUN001, RUN002",)


@pytest.mark.parametrize(
    "content",
    ["auc_true,labels\n0.1,A\n", HEADER + "0.1,x,A\n", "not a table\n"],
    ids=["column missing", "not a number", "other text"],
)
def test_a_file_that_cannot_be_read_is_told_and_does_not_spoil_the_others(tmp_path, content):
    experiment = write(tmp_path / "EXP000", ROWS)
    path_of(experiment, 1).write_text(content)
    held = heldout.read(experiment)
    assert held.rows["index"].unique().to_list() == [0, 2]
    assert any(str(path_of(experiment, 1)) in note for note in held.notes)


def test_columns_are_found_by_name_in_any_order_and_among_others(tmp_path):
    experiment = write(tmp_path / "EXP000", ROWS)
    path_of(experiment, 1).write_text("labels,more,auc_pred,auc_true\nA,9,0.2,0.1\n")
    rows = heldout.read(experiment).rows.filter(index=1)
    assert rows.row(0) == ("RUN001", 1, "Drug-1", "Drug-1", "A", 0.1, 0.2)


def test_rows_without_a_finite_value_or_a_cell_are_counted_and_left_out(tmp_path):
    experiment = write(tmp_path / "EXP000", ROWS)
    path_of(experiment, 1).write_text(HEADER + "0.1,nan,A\n0.1,inf,B\n,0.1,C\n0.1,0.2,D\n0.3,0.")
    held = heldout.read(experiment)
    assert held.rows.filter(index=1)["cell"].to_list() == ["D"]
    assert "4 rows of predictions were left out: they lack a finite value or a cell" in held.notes


@pytest.mark.parametrize(
    "content",
    [HEADER + '0.1,0.2,"A,1"\n', "labels,auc_pred,auc_true\nA,0.2,0.1\n"],
    ids=["quotes", "another header"],
)
def test_files_that_cannot_be_parsed_as_one_give_all_rows_to_their_own_runs(tmp_path, content):
    experiment = write(tmp_path / "EXP000", ROWS)
    path_of(experiment, 1).write_text(content)
    rows = heldout.read(experiment).rows
    assert rows.filter(index=1).select("true", "predicted").rows() == [(0.1, 0.2)]
    assert rows.filter(pl.col("index") != 1).equals(hold({0: ROWS[0], 2: ROWS[2]}).rows)


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n"])
def test_rows_belong_to_their_run_however_its_file_ends(tmp_path, end):
    experiment = write(tmp_path / "EXP000", ROWS)
    path_of(experiment, 1).write_text(HEADER + "0.1,0.2,A" + end)
    rows = heldout.read(experiment).rows
    assert rows.filter(index=1).row(0) == ("RUN001", 1, "Drug-1", "Drug-1", "A", 0.1, 0.2)
    assert rows["run"].to_list() == ["RUN000"] * 4 + ["RUN001"] + ["RUN002"] * 4


def test_an_empty_file_is_that_of_a_run_without_predictions(tmp_path):
    experiment = write(tmp_path / "EXP000", ROWS)
    path_of(experiment, 1).write_text("")
    path_of(experiment, 2).write_text(HEADER)
    assert heldout.read(experiment).notes == ("2 of 3 runs missing: RUN001, RUN002",)


def test_an_experiment_without_predictions_is_refused(tmp_path):
    with pytest.raises(InputError, match="no run of .* has predictions yet"):
        heldout.read(write(tmp_path / "EXP000", ROWS, states=["waiting"] * 3))


def test_held_out_cells_whose_drugs_are_not_told_are_refused(tmp_path):
    experiment = write(tmp_path / "EXP000", ROWS)
    partition_by(experiment, "by_cell")
    with pytest.raises(InputError, match="tested on a cell, do not name the drugs"):
        heldout.read(experiment)


def test_baselines_of_a_row_are_means_over_the_other_drugs_only():
    held = hold(
        {
            0: [("a", 0.1, 0), ("b", 0.2, 0)],
            1: [("a", 0.4, 0), ("a", 0.6, 0)],
            2: [("a", 0.8, 0), ("c", 1.0, 0)],
        }
    )
    rows = heldout.with_baselines(held)
    assert rows["train_mean"].to_list() == pytest.approx([0.7] * 2 + [2.1 / 4] * 2 + [1.3 / 4] * 2)
    # Nobody else has b or c: there it is the mean of all.
    cells = [1.8 / 3, 0.7, 0.45, 0.45, 1.1 / 3, 1.3 / 4]
    assert rows["cell_mean"].to_list() == pytest.approx(cells)


def test_a_drug_that_several_runs_hold_out_counts_once():
    once = hold(ROWS)
    again = once.rows.filter(index=0).with_columns(run=pl.lit("RUN009"))
    twice = replace(once, parts=pl.concat([once.rows, again]))
    expected = heldout.with_baselines(once)
    found = heldout.with_baselines(twice)
    assert found.head(len(expected)).equals(expected)
    means = ["train_mean", "cell_mean"]
    assert found.tail(len(again)).select(means).equals(expected.filter(index=0).select(means))


def test_a_single_drug_has_no_baselines():
    rows = heldout.with_baselines(hold({0: [("a", 0.1, 0.2)]}))
    assert rows.select("train_mean", "cell_mean").row(0) == (None, None)


def test_pairs_with_several_rows_are_told():
    held = hold({0: [("a", 0.1, 0.2), ("a", 0.2, 0.2), ("b", 0.2, 0.2)]})
    assert list(heldout.replicates(held))[0].startswith("1 of 2 pairs")
    assert list(heldout.replicates(hold(ROWS))) == []
