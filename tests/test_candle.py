"""Any module with CANDLE's two functions can be the model of a run."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import typed

from hed import candle
from hed.config.hyperparameters import UpfLine
from hed.data import tables
from hed.errors import InputError
from hed.names import PREDICTED

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests" / "models"
RUN = UpfLine("RUN000", 0, {"alpha": 2})


def make_model(**functions: Any) -> ModuleType:
    module = ModuleType("mine")
    vars(module).update({"initialize_parameters": lambda: {"alpha": 1, "beta": "x"}, **functions})
    return module


def rows_of(cells: list[str], *aucs: float) -> pl.DataFrame:
    """Return test rows."""
    return pl.DataFrame({tables.CELL: cells, tables.AUC: aucs or [0.5] * len(cells)})


def prepare(directory: Path, model: str) -> Path:
    """Write the hyperparameters and the UPF of three of the embedded drugs into a directory."""
    (directory / "dflts.json").write_text(json.dumps({"model": model, "shrinkage": 2.5}))
    lines = [json.dumps({"id": f"RUN{i:03d}", "index": i}) for i in (0, 5, 9)]
    (directory / "upf.json").write_text("\n".join(lines))
    return directory


@pytest.mark.xdist_group("workflow")
def test_the_whole_experiment_runs_with_either_kind_of_another_model(tmp_path: Path) -> None:
    for model in ("cell_means", "writes_predictions"):
        typed.told(prepare(tmp_path, model), f"experiment={model}")
    ours, theirs = (tmp_path / "output" / name for name in ("cell_means", "writes_predictions"))
    assert len((ours / "scores.csv").read_text().splitlines()) == 3
    assert (ours / "figures/errors.png").stat().st_size > 0
    for name in ("scores.csv", "run/RUN005/test_scores.json", "run/RUN005/history.txt"):
        assert (ours / name).read_text() == (theirs / name).read_text()
    resolved = json.loads((ours / "run/RUN005/parameters.txt").read_text())
    assert resolved["shrinkage"] == 2.5 and resolved["model"] == "cell_means"
    predicted = pl.read_csv(ours / "run/RUN005/test_y_data_predicted.csv")
    baseline = json.loads((ours / "run/RUN005/baseline_scores.json").read_text())["cell_mean"]
    scored = json.loads((ours / "run/RUN005/test_scores.json").read_text())
    assert predicted["auc_pred"].n_unique() > 100
    # The same means but for the shrinkage.
    assert scored["mse"] == pytest.approx(baseline["mse"], rel=0.2)


@pytest.mark.xdist_group("workflow")
def test_a_model_of_the_original_s_form_runs_as_it_is(tmp_path: Path) -> None:
    dflts = {"model": "as_model_runner_calls", "ridge": 3.0, "pre_module": "hed_setup"}
    (tmp_path / "dflts.json").write_text(json.dumps(dflts))
    (tmp_path / "upf.json").write_text('{"id": "RUN005", "index": 5}\n')
    typed.told(tmp_path)
    run = tmp_path / "output/EXP000/run/RUN005"
    assert (run / "save/weights.npy").exists()
    assert float((run / "result.txt").read_text()) > 0
    predicted = pl.read_csv(
        run / "test_y_data_predicted.csv", schema_overrides={"labels": pl.String}
    )
    raw = pl.read_csv(ROOT / "data/gdsc2-demo/response.tsv", separator="\t", infer_schema=False)
    drug = raw["improve_chem_id"].unique(maintain_order=True)[5]
    assert predicted["labels"].to_list() == raw.filter(improve_chem_id=drug)[tables.CELL].to_list()
    assert predicted["auc_pred"].n_unique() > 100


@pytest.mark.xdist_group("workflow")
def test_a_hyperparameter_that_the_model_lacks_ends_the_run_with_one_sentence(
    tmp_path: Path,
) -> None:
    (tmp_path / "upf.json").write_text('{"id": "RUN000", "index": 0, "shrinkag": 3}\n')
    (tmp_path / "dflts.json").write_text('{"model": "cell_means"}')
    places = ["--upf", tmp_path / "upf.json", "--dflts", tmp_path / "dflts.json"]
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/train.py", tmp_path / "run/RUN000", *places,
         "--partition", tmp_path, "--data", tmp_path],
        env={**os.environ, "PYTHONPATH": str(MODELS)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    expected = "error: cell_means has no hyperparameter 'shrinkag'; did you mean shrinkage?\n"
    assert done.stderr == expected
    assert not (tmp_path / "run").exists()


def test_a_model_that_cannot_be_imported_is_refused_before_any_job(tmp_path: Path) -> None:
    sentence = typed.refused(prepare(tmp_path, "cell_medians"))
    assert "error: model 'cell_medians' cannot be imported: install it, or add" in sentence
    assert not (tmp_path / "output").exists()


def test_a_model_whose_own_imports_fail_is_refused_with_their_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "of_another_time.py").write_text("from json import no_longer_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="'of_another_time' cannot be imported .*no_longer_there"):
        candle.load("of_another_time")


def test_overrides_of_dflts_and_upf_apply_to_the_model_s_defaults() -> None:
    params = candle.parameters(make_model(), {"beta": "y"}, RUN)
    assert params == {"id": "RUN000", "index": 0, "alpha": 2, "beta": "y", "model": "mine"}


@pytest.mark.parametrize("missing", ["initialize_parameters", "run"])
def test_a_module_without_candle_s_functions_is_refused(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(run=lambda params: {})
    delattr(model, missing)
    monkeypatch.setitem(sys.modules, "mine", model)
    with pytest.raises(InputError, match=rf"^model 'mine' has no function {missing}\(\)$"):
        candle.load("mine")


def test_values_that_json_does_not_know_come_back_from_the_defaults() -> None:
    model = make_model(initialize_parameters=lambda: {"dtype": float, "name": "a", "rate": 1.0})
    params = {"dtype": float, "name": "b", "rate": 2.0}
    written = candle.plain(params)
    assert json.loads(json.dumps(written)) == written
    assert candle.restored(model, written) == params


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"loss": np.float32([0.5, 0.25])}, {"loss": [0.5, 0.25]}),
        ({"lr": [None, 1]}, {"lr": [None, 1]}),
        (SimpleNamespace(history={"loss": [1]}), {"loss": [1.0]}),
        (None, {}),
        ({"mse": 0.3, "best": np.float32(0.5), "note": "x", "nested": {"a": 1}},
         {"mse": [0.3], "best": [0.5]}),
    ],
)  # fmt: skip
def test_the_history_is_that_of_a_mapping_or_of_keras(result: Any, expected: Any) -> None:
    assert candle.history(result) == expected


def test_predictions_must_be_one_for_each_test_row() -> None:
    model = make_model(predict_test=lambda params: [[0.1], [0.2]])
    assert candle.predict(model, {}, rows_of(["a", "b"])).tolist() == [0.1, 0.2]
    with pytest.raises(InputError, match="'mine' predicted 2 of 3 test rows: it has to return"):
        candle.predict(model, {}, rows_of(["a", "b", "c"]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_predictions_that_are_not_finite_are_refused(value: float) -> None:
    model = make_model(predict_test=lambda params: [0.1, value])
    with pytest.raises(InputError, match=f"predicted {value} for 1 of 2 test rows, first for .* b"):
        candle.predict(model, {}, rows_of(["a", "b"]))


def test_a_model_that_left_no_predictions_is_told_both_ways_to_give_them(tmp_path: Path) -> None:
    params, test = {"output_dir": str(tmp_path)}, rows_of(["a"])
    with pytest.raises(InputError, match="function predict_test.*write test_y_data_predicted.csv"):
        candle.predict(make_model(), params, test)
    (tmp_path / candle.KEPT).write_text("true,predicted\n0.1,0.2\n")
    with pytest.raises(InputError, match="has no column auc_pred"):
        candle.predict(make_model(), params, test)


def test_predictions_in_another_order_are_told_by_cell_and_truth(tmp_path: Path) -> None:
    params = {"output_dir": str(tmp_path)}
    text = "auc_true,auc_pred,labels\n0.9,0.1,8\n0.7,0.2,007\n0.6,0.3,8\n"
    (tmp_path / candle.KEPT).write_text(text)
    test = rows_of(["8", "007", "8"], 0.60001, 0.7, 0.90001)
    assert candle.predict(make_model(), params, test).tolist() == [0.3, 0.2, 0.1]


def test_other_columns_of_predictions_may_hold_anything(tmp_path: Path) -> None:
    rows = [f"0.5,{i / 200},{i}" for i in range(200)]
    rows[150] += ".5"
    (tmp_path / candle.KEPT).write_text("\n".join(["auc_true,auc_pred,ic50", *rows]))
    predicted = candle.predict(
        make_model(), {"output_dir": str(tmp_path)}, rows_of([str(i) for i in range(200)])
    )
    assert predicted[150] == 0.75


def test_drugs_of_one_cell_are_told_apart_by_their_names_only(tmp_path: Path) -> None:
    params = {"output_dir": str(tmp_path)}
    test = rows_of(["7"] * 3, 1.0, 1.0, 0.5).with_columns(pl.Series(tables.DRUG, ["a", "b", "c"]))
    text = "auc_true,auc_pred,labels,drugs\n1,0.2,7,b\n0.5,0.3,7,c\n1,0.1,7,a\n"
    (tmp_path / candle.KEPT).write_text(text)
    assert candle.predict(make_model(), params, test).tolist() == [0.1, 0.2, 0.3]
    (tmp_path / candle.KEPT).write_text("auc_true,auc_pred,labels\n1,0.2,7\n0.5,0.3,7\n1,0.1,7\n")
    with pytest.raises(InputError, match="if a cell has several drugs, with drugs"):
        candle.predict(make_model(), params, test)
    (tmp_path / candle.KEPT).write_text("auc_true,auc_pred,labels\n1,0.1,7\n1,0.2,7\n0.5,0.3,7\n")
    assert candle.predict(make_model(), params, test).tolist() == [0.1, 0.2, 0.3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read as a table"),
        ("auc_pred\nhigh\n", "cannot be read as a table"),
        ("auc_pred,labels\n0.1,\n", "has no labels in row 1"),
    ],
)
def test_a_file_of_predictions_that_is_damaged_is_refused_in_a_sentence(
    tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / candle.KEPT).write_text(text)
    with pytest.raises(InputError, match=said):
        candle.predict(make_model(), {"output_dir": str(tmp_path)}, rows_of(["7"]))


def test_predictions_of_other_rows_are_refused(tmp_path: Path) -> None:
    params = {"output_dir": str(tmp_path)}
    (tmp_path / candle.KEPT).write_text("auc_pred,labels\n0.1,007\n0.2,8\n")
    found = candle.predict(make_model(), params, rows_of(["007", "8"]))
    assert found.tolist() == [0.1, 0.2]
    for cells in (["8", "007"], ["8", "9"]):
        with pytest.raises(InputError, match="in the same order or with auc_true"):
            candle.predict(make_model(), params, rows_of(cells))


def test_predictions_of_an_earlier_scoring_are_not_those_of_a_training(tmp_path: Path) -> None:
    for name in (PREDICTED, candle.KEPT):
        (tmp_path / name).write_text("auc_pred\n0.1\n")
    candle.prepare(tmp_path)
    candle.finish(tmp_path, {})
    with pytest.raises(InputError, match="left no predictions"):
        candle.predict(make_model(), {"output_dir": str(tmp_path)}, rows_of(["a"]))
