"""Histories of all runs are put together, whatever a run recorded."""

import json
import shutil

import originals
import polars as pl
import pytest
from experiments import run_script, write_checkpoint, write_experiment, write_json

from hed.answers import convergence
from hed.experiment.runs import read_runs


@pytest.fixture
def three(tmp_path):
    """Return an experiment: one run of four epochs, one stopped after two, one waiting."""
    experiment = write_experiment(tmp_path / "EXP000", ["done", "done", "waiting"], epochs=4)
    histories = ([0.4, 0.3, 0.2, 0.2], [0.5, 0.6])
    for name, losses in zip(("RUN000", "RUN001"), histories, strict=True):
        run = experiment / "run" / name
        rates = [1e-3] * len(losses)
        write_json(run / "history.txt", {"loss": losses, "val_loss": losses, "lr": rates})
        write_json(run / "timings.json", {"epoch_seconds": [9.0] + [2.0] * (len(losses) - 1)})
        shutil.rmtree(run / "ckpts")
        write_checkpoint(run, epoch=len(losses))
    (experiment / "run/RUN001/stop.marker").write_text("early stopping: 2/4\n")
    return experiment


def tables(experiment):
    runs = read_runs(experiment)
    histories = convergence.read_histories(runs)
    return runs, histories, convergence.per_run(runs, histories)


def test_every_epoch_of_every_run_is_a_row(three):
    _, histories, _ = tables(three)
    assert histories.schema == convergence.SCHEMA
    expected = [("RUN000", i) for i in (1, 2, 3, 4)] + [("RUN001", 1), ("RUN001", 2)]
    assert histories.select("run", "epoch").rows() == expected
    assert histories["seconds"].to_list() == [9, 2, 2, 2, 9, 2]
    assert histories["r2_val"].null_count() == 6


def test_a_run_that_trains_is_told_from_its_last_checkpoint(three):
    place = three / "run/RUN002/ckpts/epochs/002"
    place.mkdir(parents=True)
    (place.parent.parent / "last").symlink_to("epochs/002")
    history = {"loss": [0.7, 0.6], "val_loss": [0.8, 0.7]}
    write_json(place / "state.json", {"epoch": 2, "history": history, "seconds": [9.0, 2.0]})
    _, histories, table = tables(three)
    rows = histories.filter(run="RUN002").select("epoch", "loss", "val_loss", "seconds").rows()
    assert rows == [(1, 0.7, 0.8, 9.0), (2, 0.6, 0.7, 2.0)]
    assert table.filter(run="RUN002").select("epochs", "planned").row(0) == (2, 4)


def test_the_best_epoch_is_the_first_of_the_least_loss(three):
    _, _, table = tables(three)
    columns = ["run", "epochs", "planned", "best_epoch", "best_val_loss", "last_val_loss"]
    assert table.select(columns).rows() == [
        ("RUN000", 4, 4, 3, 0.2, 0.2),
        ("RUN001", 2, 4, 1, 0.5, 0.6),
    ]


def test_times_are_summed_and_their_median_forgets_the_slow_first_epoch(three):
    _, _, table = tables(three)
    assert table.select("seconds", "seconds_per_epoch").row(0) == (15, 2)


def test_early_stops_and_missing_histories_are_told(three):
    runs, _, table = tables(three)
    assert table["status"].to_list() == ["still falling", "stopped early"]
    assert list(convergence.remarks(runs, table)) == [
        "2 of 3 runs have recorded epochs: 1 still falling, 1 stopped early",
        "1 of 3 runs have no history yet, first RUN002",
    ]


def test_a_band_is_over_the_runs_that_reached_the_epoch(three):
    _, histories, _ = tables(three)
    band = convergence.band(histories).filter(measure="val_loss")
    assert band["epoch"].to_list() == [1, 2, 3, 4]
    assert band["runs"].to_list() == [2, 2, 1, 1]
    assert band["median"].to_list() == pytest.approx([0.45, 0.45, 0.2, 0.2])
    assert band["low"][0] == pytest.approx(0.4 + 0.05 * 0.1)
    assert band["q75"][1] == pytest.approx(0.3 + 0.75 * 0.3)


def test_measures_that_no_run_recorded_are_not_in_the_band(three):
    _, histories, _ = tables(three)
    measures = convergence.band(histories)["measure"].unique(maintain_order=True).to_list()
    assert measures == ["loss", "val_loss", "lr", "seconds"]


def test_the_summary_is_over_the_runs_that_have_a_quantity(three):
    (three / "run/RUN001/timings.json").unlink()
    _, _, table = tables(three)
    summary = convergence.summarise(table)
    found = dict(summary.select("quantity", "runs").iter_rows())
    assert (found["best_epoch"], found["seconds"]) == (2, 1)
    row = summary.filter(quantity="best_epoch").row(0, named=True)
    assert (row["mean"], row["median"]) == (2, 2)


def test_a_diverged_training_is_told_and_its_losses_are_missing(three):
    path = three / "run/RUN001/history.txt"
    path.write_text('{"loss": [0.1, NaN], "val_loss": [NaN, Infinity]}')
    runs, histories, table = tables(three)
    assert histories.filter(run="RUN001")["val_loss"].to_list() == [None, None]
    assert table.select("best_epoch", "status").row(1) == (None, "diverged")
    assert "the last loss of RUN001 is not finite" in " ".join(convergence.remarks(runs, table))


@pytest.mark.parametrize("content", ['{"loss": [0.1', "[]", '{"loss": 3}', ""])
def test_a_history_that_is_not_whole_counts_as_none(three, content):
    (three / "run/RUN001/history.txt").write_text(content)
    _, histories, _ = tables(three)
    assert histories["run"].unique().to_list() == ["RUN000"]


def test_an_experiment_without_a_history_has_empty_tables(tmp_path):
    runs, histories, table = tables(write_experiment(tmp_path / "EXP000", ["waiting"]))
    assert (len(histories), len(table), len(convergence.band(histories))) == (0, 0, 0)
    assert convergence.summarise(table)["runs"].to_list() == [0] * 6
    assert len(list(convergence.remarks(runs, table))) == 2


def test_the_original_s_checkpoints_tell_times_and_unfinished_runs(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "running"], original=True)
    _, histories, table = tables(experiment)
    assert len(histories) == 20 + 7
    # The first epoch after a start has no time.
    assert histories["seconds"].null_count() == 2
    columns = ["best_epoch", "best_val_loss", "last_val_loss", "seconds_per_epoch", "status"]
    assert table.select(columns).rows() == [
        (20, pytest.approx(0.0105), pytest.approx(0.0105), originals.SECONDS, "still falling"),
        (7, pytest.approx(0.017), None, originals.SECONDS, "unfinished"),
    ]


def test_a_history_since_the_last_restart_is_of_the_last_epochs(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["waiting"], original=True)
    run = experiment / "run/RUN000"
    run.mkdir(parents=True)
    losses = [0.02, 0.01, *[0.015] * 18]
    originals.write_checkpoints(run, losses, first=2)
    originals.write_history(run, losses[16:])
    (run / "stop.marker").write_text("early stopping: 4/20\n")
    _, histories, table = tables(experiment)
    assert histories["epoch"].to_list() == list(range(2, 21))
    assert histories.filter(pl.col("val_loss").is_not_null())["epoch"].to_list() == [17, 18, 19, 20]
    columns = ["epochs", "best_epoch", "best_val_loss", "last_val_loss", "status"]
    assert table.select(columns).row(0) == (20, 2, 0.01, 0.015, "converged")


def test_a_run_whose_loss_falls_in_its_last_epochs_has_not_converged(three):
    path = three / "run/RUN000/history.txt"
    for last, status in ((0.195, "converged"), (0.19, "still falling")):
        write_json(path, {"loss": [1.0] * 6, "val_loss": [0.4, 0.3, 0.196, 0.2, 0.2, last]})
        assert tables(three)[2]["status"][0] == status
    # Too short to tell.
    write_json(path, {"loss": [1.0, 1.0], "val_loss": [0.4, 0.4]})
    assert tables(three)[2]["status"][0] == "still falling"


@pytest.mark.parametrize(("option", "rows"), [((), 6), (("--runs",), 2), (("--epochs",), 16)])
def test_the_command_prints_what_is_asked_for(three, option, rows):
    result = run_script("convergence.py", three, *option, "--format", "json")
    assert len(json.loads(result.stdout, parse_constant=pytest.fail)) == rows
    assert "1 stopped early" in result.stderr


def test_types_are_the_same_with_and_without_rows(three, tmp_path):
    _, empty, without = tables(write_experiment(tmp_path / "EXP001", ["waiting"]))
    _, full, rows = tables(three)
    assert (empty.schema, without.schema) == (full.schema, rows.schema)
    assert convergence.band(empty).schema == convergence.band(full).schema
    assert pl.concat([convergence.summarise(t) for t in (without, rows)]).height == 12
