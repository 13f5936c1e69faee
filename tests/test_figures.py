"""The figure names every drug of a small experiment, and the worst of a large one."""

import polars as pl
import pytest
from experiments import call_script, scatter_errors, write_experiment

from hed import aggregate
from hed.errors import InputError
from hed.figures import MAX_NAMED, WORST, arrange, draw_errors


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
    call_script("plot_errors.py", experiment, picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert int.from_bytes(picture.read_bytes()[16:20], "big") == 1300


@pytest.mark.filterwarnings("error")
def test_the_originals_experiment_is_drawn_as_svg(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done"], original=True)
    draw_errors(experiment, tmp_path / "errors.svg")
    assert b"<svg" in (tmp_path / "errors.svg").read_bytes()


def test_an_unknown_kind_of_picture_is_refused(tmp_path):
    with pytest.raises(InputError, match="let its name end with pdf or png or svg"):
        draw_errors(write_experiment(tmp_path / "EXP000", ["done"]), tmp_path / "errors.tiff")


def test_an_experiment_without_scores_is_refused(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["running"])
    with pytest.raises(InputError, match="no run of .* has test scores yet"):
        draw_errors(experiment, tmp_path / "errors.png")
    assert not (tmp_path / "errors.png").exists()
