"""The figures show what the tables say, for few runs and for many."""

import json
import random

import numpy as np
import polars as pl
import pytest
from answers import describe_drugs
from experiments import (
    assert_is_refused,
    call_script,
    partition_by,
    run_script,
    scatter_errors,
    write_experiment,
)

from hed.answers import convergence, figures
from hed.answers.plots import comparison, predictions, ranks, reasons, tiles, training
from hed.answers.plots.errors import MAX_NAMED, WORST, arrange, high_error_limit
from hed.answers.ranking import CELL_SCHEMA
from hed.errors import InputError
from hed.watching import aggregate

# What earlier tests of this process left open is not a figure's warning.
NO_WARNING = pytest.mark.filterwarnings(
    "error", "default::ResourceWarning", "default::pytest.PytestUnraisableExceptionWarning"
)


def make_table(count, **columns):
    """Return a table of scores in which the error grows with the index."""
    rows = [
        {
            "run": f"RUN{i:03d}",
            "index": i,
            "drug": f"Drug-{i}",
            "rmse": 0.1 + i / 1000,
            "cell_mean_rmse": 0.09,
            "train_mean_rmse": 0.12,
        }
        for i in range(count)
    ]
    return pl.DataFrame(rows, schema=aggregate.SCHEMA).with_columns(**columns)


def panels(table):
    """Return the upper and the lower panel's points."""
    return arrange(table).partition_by("panel", maintain_order=True)


@pytest.mark.parametrize(("count", "named"), [(3, 3), (MAX_NAMED, MAX_NAMED), (770, WORST)])
def test_all_drugs_are_named_up_to_forty_and_then_the_worst(count, named):
    upper, lower = panels(make_table(count))
    assert len(upper) == 3 * count
    assert lower["row"].n_unique() == named


def test_named_drugs_rise_from_the_bottom_with_their_error():
    _, lower = panels(make_table(770))
    rows = [row for row in lower["row"].dtype.categories if row.startswith("Drug")]
    assert rows == [f"Drug-{i}" for i in range(755, 770)]


def test_rows_of_the_upper_panel_name_the_series_and_their_median():
    upper, _ = panels(make_table(3))
    assert set(upper["row"]) == {
        "model\nmedian 0.101",
        "cell mean\nmedian 0.090",
        "training mean\nmedian 0.120",
    }


def test_without_baselines_only_the_model_is_drawn():
    empty = {f"{b}_rmse": pl.lit(None, pl.Float64) for b in aggregate.BASELINES}
    assert set(arrange(make_table(3, **empty))["series"]) == {"model"}


def test_two_runs_of_one_drug_keep_two_rows():
    _, lower = panels(make_table(3, drug=pl.Series(["A", "B", "A"])))
    assert set(lower["row"]) == {"A (RUN000)", "B", "A (RUN002)"}


def test_long_names_that_are_cut_alike_keep_their_rows():
    names = pl.Series(["x" * 60 + "1", "x" * 60 + "2", "C"])
    _, lower = panels(make_table(3, drug=names))
    assert lower["row"].n_unique() == 3


def test_the_command_draws_a_png_of_the_width_of_a_page(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 5 + ["running"])
    scatter_errors(experiment)
    picture = tmp_path / "figures" / "errors.png"
    call_script("plot.py", "errors", experiment, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert int.from_bytes(picture.read_bytes()[16:20], "big") == 1300


@NO_WARNING
def test_the_originals_experiment_is_drawn_as_svg(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    figures.draw("errors", experiment, tmp_path / "errors.svg")
    assert b"<svg" in (tmp_path / "errors.svg").read_bytes()


def test_an_unknown_kind_of_picture_is_refused(tmp_path):
    with pytest.raises(InputError, match="let its name end with pdf or png or svg"):
        figures.draw("errors", write_experiment(tmp_path / "E", ["done"]), tmp_path / "errors.tiff")


def test_an_experiment_without_scores_is_refused(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    with pytest.raises(InputError, match="no run has test scores yet"):
        figures.draw("errors", experiment, tmp_path / "errors.png")
    assert not (tmp_path / "errors.png").exists()


@pytest.mark.parametrize(("high", "named"), [(5, WORST), (20, 20), (60, MAX_NAMED)])
def test_of_many_drugs_the_high_error_drugs_are_named(high, named):
    errors = [0.05 + 0.001 * (i % 10) for i in range(770 - high)] + [0.5] * high
    _, lower = panels(make_table(770, rmse=pl.Series(errors)))
    assert lower["row"].n_unique() == named


@pytest.mark.parametrize(
    ("mode", "title", "tested", "series"),
    [
        ("by_drug", "Error of each held-out drug", "a drug", 3),
        ("by_cell", "Error of each held-out cell", "a cell", 2),
        ("random", "Error of each random split", "random rows", 3),
    ],
)
def test_the_errors_are_of_what_is_held_out(tmp_path, mode, title, tested, series):
    experiment = partition_by(write_experiment(tmp_path / "EXP000", ["done"] * 5), mode)
    scatter_errors(experiment)
    plot = figures.of_errors(experiment)
    assert plot.labels.title == title
    assert f"each tested on {tested} that its training never saw" in plot.labels.subtitle
    assert plot.data["series"].n_unique() == series
    text = " ".join([plot.labels.caption, *plot.data["panel"].unique()])
    assert f"each {title.split()[-1]}" in text
    assert ("drug" in text) == (mode == "by_drug")


@pytest.mark.parametrize(("mode", "noun"), [("by_cell", "cell"), ("random", "split")])
def test_experiments_that_hold_out_something_else_are_compared_by_that(
    tmp_path, monkeypatch, mode, noun
):
    directories = [write_experiment(tmp_path / f"EXP00{i}", ["done"] * 5) for i in range(2)]
    for seed, directory in enumerate(directories):
        scatter_errors(partition_by(directory, mode), seed=seed)
    drawn = []
    monkeypatch.setattr(figures.theme, "save", lambda plot, output: drawn.append(plot))
    figures.draw_comparison(directories, tmp_path / "comparison.svg", metric="rmse")
    assert drawn[0].labels.title == f"Experiments compared, {noun} by {noun}"
    assert "drug" not in drawn[0].labels.caption


def test_the_limit_of_high_error_is_a_robust_z_score_of_three_and_a_half():
    table = make_table(5, rmse=pl.Series([0.1, 0.2, 0.3, 0.4, 0.9]))
    assert high_error_limit(table) == pytest.approx(0.3 + 3.5 * 0.1 / 0.6745)
    assert high_error_limit(make_table(3, rmse=pl.lit(0.1))) is None


def scatter(experiment):
    """Give every run predictions that scatter, for more drugs than the top ten."""
    draw = random.Random(0)
    for run in sorted((experiment / "run").iterdir()):
        rows = [f"{draw.random():.4f},{draw.random():.4f},ACH-{i:06d}\n" for i in range(6)]
        text = "auc_true,auc_pred,labels\n" + "".join(rows)
        (run / "test_y_data_predicted.csv").write_text(text)


def write_tiles(experiment, records):
    """Write what a pilot records of its tiles: run, node, tile, start and end in hours."""
    folder = experiment / ".pilot" / "tiles"
    folder.mkdir(parents=True)
    for run, node, tile, start, end in records:
        times = {"start": 1e9 + 3600 * start, "end": 1e9 + 3600 * end}
        record = {"run": run, "block": "1.pbs", "node": node, "tile": tile, **times}
        with (folder / f"{node}.txt").open("a") as stream:
            stream.write(json.dumps({"job": run, **record, "state": "success"}) + "\n")


TILES = [
    ("RUN000", "x1", "10", 0, 2),
    ("RUN001", "x1", "2", 0, 1),
    ("RUN002", "x1", "2", 1, 2),
    ("RUN003", "x0", "2", 0, 4),
]


@NO_WARNING
@pytest.mark.parametrize("figure", figures.FIGURES)
def test_each_figure_is_drawn_for_few_runs_without_a_warning(tmp_path, figure):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 5 + ["running"])
    scatter(experiment)
    describe_drugs(experiment, [0.0, 1.0, 3.0, 7.0, 7.5])
    write_tiles(experiment, TILES)
    call_script("plot.py", figure, experiment, tmp_path / f"{figure}.svg")
    assert b"<svg" in (tmp_path / f"{figure}.svg").read_bytes()


@pytest.mark.parametrize("figure", ["errors", "ranking"])
def test_points_are_scattered_in_the_same_way_in_each_drawing(tmp_path, figure):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 5)
    scatter(experiment)
    drawings = [tmp_path / "first.png", tmp_path / "second.png"]
    for drawing in drawings:
        figures.draw(figure, experiment, drawing)
    first, second = (drawing.read_bytes() for drawing in drawings)
    assert first == second


@NO_WARNING
def test_experiments_are_compared_in_a_figure(tmp_path):
    directories = [write_experiment(tmp_path / f"EXP00{i}", ["done"] * 6) for i in range(3)]
    for seed, directory in enumerate(directories):
        scatter_errors(directory, seed=seed)
    call_script("plot.py", "comparison", *directories, tmp_path / "comparison.svg")
    assert b"<svg" in (tmp_path / "comparison.svg").read_bytes()


def test_a_comparison_needs_two_experiments(tmp_path):
    result = run_script("plot.py", "comparison", tmp_path, tmp_path / "a.png")
    assert result.returncode == 2
    assert "comparison needs 2 experiments or more" in result.stderr


def test_what_another_figure_reads_is_refused(tmp_path):
    result = run_script("plot.py", "errors", tmp_path, tmp_path / "a.png", "--smiles", "a.csv")
    assert result.returncode == 2
    assert "--smiles and --data are for the figure reasons" in result.stderr
    result = run_script("plot.py", "errors", tmp_path, tmp_path / "a.png", "--metric", "pcc")
    assert result.returncode == 2
    assert "--metric is for the figures comparison, contest, epochs" in result.stderr


@pytest.mark.parametrize(("metric", "change"), [("rmse", "worse"), ("pcc", "better")])
def test_more_is_worse_for_errors_and_better_for_correlations(metric, change):
    table = pl.DataFrame(
        {
            "drug": ["A", None],
            "index": [0, 1],
            "experiment": ["E1", "E1"],
            "reference": ["E0", "E0"],
            "value": [0.3, 0.2],
            "reference_value": [0.2, 0.2],
            "difference": [0.1, 0.0],
        }
    )
    points = comparison.arrange(table, metric=metric)
    assert points["change"].to_list() == [change, "equal"]
    assert points["named"].to_list() == [True, False]
    assert points["drug"].to_list() == ["A", "index 1"]


def test_names_of_close_points_are_written_below_each_other():
    table = pl.DataFrame(
        {
            "drug": ["A", "B", "C"],
            "experiment": ["E1"] * 3,
            "named": [True] * 3,
            "reference_value": [0.10, 0.11, 0.90],
            "value": [0.500, 0.501, 0.500],
        }
    )
    placed = comparison.place_names(table, low=0, high=1)
    by_name = {row["drug"]: row for row in placed.iter_rows(named=True)}
    assert by_name["B"]["text_y"] == by_name["C"]["text_y"] + 0.001 == 0.501
    assert by_name["A"]["text_y"] == pytest.approx(0.501 - comparison.NAME_HEIGHT)
    assert [by_name[name]["left"] for name in "ABC"] == [False, False, True]
    assert by_name["C"]["text_x"] < 0.9 and by_name["A"]["text_x"] > 0.1


def test_every_row_is_in_one_square():
    values = np.random.default_rng(0).random((2, 10_000))
    squares = predictions.count_squares(*values, ends=(values.min(), values.max()))
    assert squares["rows"].sum() == 10_000


def test_medians_are_of_equally_many_rows_and_only_of_enough():
    true = pl.Series(range(1200), dtype=pl.Float64)
    rows = pl.DataFrame({"true": true, "predicted": true / 2})
    medians = predictions.group_medians(rows)
    assert medians["true"].to_list() == [29.5 + 60 * i for i in range(20)]
    assert medians["predicted"].to_list() == [(29.5 + 60 * i) / 2 for i in range(20)]
    assert predictions.group_medians(rows.head(40)).is_empty()


def test_random_orders_stay_in_the_range_of_the_measure():
    random_row = {"cell": "a", "method": "random", "drugs": 3, "spearman": 0.0, "spearman_sd": 0.7}
    random_row |= {"recall": 0.1, "recall_sd": 0.2}
    spread = ranks.spread_of_random(pl.DataFrame([random_row], schema=CELL_SCHEMA), k=2)
    assert spread["measure"].to_list() == ["Spearman", "recall of the top 2"]
    assert spread["low"].to_list() == [-1.0, 0.0]
    assert spread["high"].to_list() == pytest.approx([1.0, 0.1 + 1.959964 * 0.2])


def test_a_run_that_ended_before_others_is_marked_and_joined_to_no_other():
    losses = {"RUN000": [3.0, 2.0], "RUN001": [3.0, 2.5, 1.0]}
    rows = [
        {"run": run, "epoch": epoch, "loss": loss}
        for run, values in losses.items()
        for epoch, loss in enumerate(values, start=1)
    ]
    lines = training.arrange(pl.DataFrame(rows, schema=convergence.SCHEMA))
    assert lines["next"].to_list() == [2.0, None, 2.5, 1.0, None]
    assert lines["is_last"].to_list() == [False, True, False, False, False]


def test_tiles_are_in_the_order_of_their_numbers_and_idle_time_is_counted(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"] * 4)
    write_tiles(experiment, TILES)
    table = tiles.tabulate(figures.read_tiles(experiment))
    rows = table.select("node", "tile", "row").unique().sort("row").rows()
    assert rows == [("x0", "2", 0), ("x1", "2", 1), ("x1", "10", 2)]
    assert tiles.idle_share(table) == pytest.approx(1 - 8 / 12)
    assert tiles.count_busy(table).rows() == [(0.0, 3), (1.0, 3), (2.0, 1), (4.0, 0)]


def test_an_experiment_without_a_record_of_tiles_has_no_such_figure(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"])
    result = run_script("plot.py", "tiles", experiment, tmp_path / "tiles.png")
    assert_is_refused(result, "has no record of tiles", "the other figures do not need it")


def test_a_damaged_record_of_tiles_is_named(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"])
    write_tiles(experiment, TILES)
    (experiment / ".pilot/tiles/x9.txt").write_text('{"run": "RUN0')
    with pytest.raises(InputError, match="a file of .*tiles is damaged"):
        figures.draw("tiles", experiment, tmp_path / "tiles.png")


def test_reasons_are_drawn_the_strongest_first_and_high_error_drugs_on_top():
    drugs = pl.DataFrame(
        {
            "rmse": [0.3, 0.1, 0.2, 0.1],
            "high": [True, False, False, False],
            "distance": [5.0, 1.0, None, 2.0],
            "rows": [10, 20, 30, 40],
        }
    )
    found = pl.DataFrame(
        [("rows", 4, -0.9, -1.0, -0.2), ("distance", 3, 0.5, -0.1, 0.9)],
        schema=["reason", "drugs", "spearman", "low", "high"],
        orient="row",
    )
    points = reasons.arrange(drugs, found, "rmse")
    assert points["reason"].dtype.categories.to_list() == [
        "rows\nSpearman -0.90 (-1.00 to -0.20)",
        "nearest drug (descriptors)\nSpearman 0.50 (-0.10 to 0.90)",
    ]
    assert len(points) == 7
    assert points.tail(2)["high"].to_list() == ["high error drugs"] * 2
