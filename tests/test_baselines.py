"""What Uno is held against: models that know little, and controls in which one input is noise."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny
from projects import ROOT
from sklearn.linear_model import Ridge

from hed.baselines import effects, fitted, mean_effects, nearest_drugs, ridge, trees
from hed.config import hyperparameters
from hed.data import controls, dataset, partition, preprocess, tables
from hed.data.controls import Inputs
from hed.data.dataset import Features, Rows
from hed.errors import InputError
from hed.names import PREDICTED
from hed.training import metrics

MODELS = (mean_effects, nearest_drugs, ridge, trees)
# Less than they would take.
FAST: dict[ModuleType, dict[str, Any]] = {ridge: {"penalties": [1e3, 1e4]}, trees: {"max_iter": 3}}


DREVAL = json.loads((Path(__file__).parent / "dreval.json").read_text())
MODES = ("by_drug", "by_cell", "random")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the embedded data, preprocessed as the demo does, and a partition of each mode."""
    directory = tmp_path_factory.mktemp("demo")
    data = preprocess.preprocess(
        ROOT / "data" / "gdsc2-demo", directory, ge_scaling="std", md_scaling="std"
    )
    for mode in MODES:
        parts = partition.split(data.response, 7, partition.Split(mode=mode))
        partition.write(parts, directory / mode)
    return directory


def run(model: ModuleType, demo: Path, output: Path, mode: str, **changes: Any) -> dict[str, Any]:
    """Run a baseline on a partition; return its history and predictions."""
    places = {"data_dir": str(demo), "input_dir": str(demo / mode), "output_dir": str(output)}
    params = {**model.initialize_parameters(), **places, "threads": 1, **changes}
    output.mkdir(parents=True, exist_ok=True)
    history = model.run(params)
    table = pl.read_csv(output / PREDICTED, schema_overrides={"labels": pl.String})
    test = partition.read(demo / mode, "test")
    assert table["labels"].to_list() == test[tables.CELL].to_list()
    return {"history": history, "true": table["auc_true"], "predicted": table["auc_pred"]}


@pytest.mark.parametrize("mode", MODES)
def test_mean_effects_are_those_of_dreval(demo: Path, tmp_path: Path, mode: str) -> None:
    found = run(mean_effects, demo, tmp_path, mode)["predicted"].to_numpy()
    assert found == pytest.approx(DREVAL[mode]["NaiveMeanEffectsPredictor"], abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_the_baselines_of_every_run_are_those_of_dreval(demo: Path, mode: str) -> None:
    train, test = (partition.read(demo / mode, stage) for stage in ("train", "test"))
    found = metrics.baselines(train, test)
    names = {"train_mean": "NaivePredictor", "cell_mean": "NaiveCellLineMeanPredictor"}
    for ours, theirs in names.items():
        expected = metrics.scores(test[tables.AUC].to_numpy(), np.array(DREVAL[mode][theirs]))
        assert found[ours]["rmse"] == pytest.approx(expected["rmse"], abs=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_baseline_predicts_the_same_again_and_never_reads_the_truth(
    demo: Path, tmp_path: Path, model: ModuleType
) -> None:
    first = run(model, demo, tmp_path / "first", "by_drug", **FAST.get(model, {}))
    assert np.isfinite(first["predicted"].to_numpy()).all()
    assert set(first["history"]) == {"loss", "val_loss"}
    blind = tmp_path / "blind"
    blind.mkdir()
    for stage in ("train", "val", "test"):
        rows = partition.read(demo / "by_drug", stage)
        if stage == "test":
            rows = rows.with_columns(auc=pl.lit(0.123))
        rows.write_parquet(blind / partition.FILES[stage])
    places = {"input_dir": str(blind)}
    again = run(model, demo, tmp_path / "again", "by_drug", **places, **FAST.get(model, {}))
    assert again["predicted"].equals(first["predicted"])
    assert again["history"] == first["history"]


def tables_of(cells: int, drugs: int, *, seed: int = 0) -> fitted.Given:
    """Return random features, and rows of all pairs but those of the last drug."""
    rng = np.random.default_rng(seed)
    features = [
        Features(pl.Series([f"{i}" for i in range(n)]), rng.normal(size=(n, 3)).astype(np.float32))
        for n in (cells, drugs)
    ]
    cell, drug = (a.ravel().astype(np.int32) for a in np.mgrid[:cells, : drugs - 1])
    auc = rng.random(len(cell)).astype(np.float32)
    rows = Rows(cell, drug, auc, features[0].ids[cell])
    return fitted.Given(*features, rows, unseen="drug")


def test_the_nearest_drugs_predict_their_mean_in_the_same_cell() -> None:
    given = tables_of(4, 6)
    distance = np.linalg.norm(given.drugs.values[:5] - given.drugs.values[5], axis=1)
    near = np.argsort(distance)[:2]
    test = Rows(np.arange(4, dtype=np.int32), np.full(4, 5, np.int32), np.zeros(4), given.cells.ids)
    auc = given.train.auc.reshape(4, 5)
    assert nearest_drugs.fit(given, 2)(test) == pytest.approx(auc[:, near].mean(axis=1), abs=1e-6)


def test_a_cell_that_no_near_drug_was_tested_on_has_the_mean_effects() -> None:
    given = tables_of(4, 6)
    keep = given.train.cell != 3
    rows = Rows(
        *(getattr(given.train, n)[keep] for n in ("cell", "drug", "auc")), given.train.labels
    )
    given = replace(given, train=rows)
    test = Rows(np.array([3]), np.array([5]), np.zeros(1), given.cells.ids)
    assert nearest_drugs.fit(given, 2)(test) == pytest.approx(effects.fit(given)(test))
    assert effects.fit(given)(test) == pytest.approx(rows.auc.mean(), abs=1e-6)


@pytest.mark.parametrize("kind", ["drug", "cell"])
def test_settings_are_chosen_by_drugs_or_cells_that_were_left_out(kind: str) -> None:
    given = replace(tables_of(10, 8), unseen=kind)
    left_out = list[int]()
    for some, others in given.folds(given.train):
        fit, held = (set(getattr(given.train, kind)[part].tolist()) for part in (some, others))
        assert held and not fit & held
        left_out += others.tolist()
    assert sorted(left_out) == list(range(len(given.train)))


def test_what_a_run_has_not_seen_is_told_from_its_test_rows() -> None:
    train = tables_of(4, 6).train
    one = np.zeros(1, np.int32)
    for expected, cell, drug in (("drug", 0, 5), ("cell", 4, 0), (None, 0, 0)):
        test = Rows(one + cell, one + drug, one.astype(np.float32), pl.Series(["0"]))
        assert fitted.unseen(train, test) == expected
    assert len(list(replace(tables_of(4, 6), unseen=None).folds(train))) == 5


def test_replicates_are_left_out_together_where_neither_drug_nor_cell_is_new() -> None:
    given = replace(tables_of(4, 6), unseen=None)
    twice = [np.tile(getattr(given.train, name), 2) for name in ("cell", "drug", "auc")]
    rows = Rows(*twice, pl.concat([given.train.labels] * 2))
    pair = rows.drug * 100 + rows.cell
    for some, others in given.folds(rows):
        assert not np.isin(pair[others], pair[some]).any()


def test_a_single_training_drug_leaves_nothing_to_choose_settings_by() -> None:
    with pytest.raises(InputError, match="one drug is left to train on"):
        list(tables_of(4, 2).folds(tables_of(4, 2).train))


@pytest.mark.parametrize("shape", [(20, 6), (6, 20)])
def test_ridge_predicts_the_same_by_principal_coordinates(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=shape).astype(np.float32)
    features = Features(pl.Series(map(str, range(shape[0]))), values)
    found = ridge.rotated(features).values
    assert found.shape == (shape[0], min(shape))
    target = rng.random(shape[0])
    plain, rotated = (Ridge(alpha=0.5).fit(x, target).predict(x) for x in (values, found))
    assert rotated == pytest.approx(plain, abs=1e-5)


def test_ridge_and_trees_do_not_learn_drugs_by_heart() -> None:
    # A drug's level says nothing of other drugs, so that only rows of the same drug gain by it.
    rng = np.random.default_rng(3)
    given = tables_of(30, 12)
    drugs = replace(given.drugs, values=rng.normal(size=(12, 8)).astype(np.float32))
    auc = rng.random(12).astype(np.float32)[given.train.drug]
    given = replace(given, drugs=drugs, train=replace(given.train, auc=auc))
    seen = replace(given, unseen=None)
    test = replace(given.train, drug=np.full(len(auc), 11, np.int32))
    for model, own in ((ridge, {"penalties": [1e-2, 1e6]}), (trees, {"max_features": 1.0})):
        params = {**model.initialize_parameters(), **own}
        by_drug, by_row = (np.ptp(model.fit(each, params)(each.train)) for each in (given, seen))
        assert by_drug < 0.3 * by_row, model.__name__
        assert np.isfinite(model.fit(given, params)(test)).all()


def test_trees_that_only_fit_noise_are_not_grown() -> None:
    given = tables_of(30, 12)
    params = {**trees.initialize_parameters(), "max_iter": 40}
    drug = np.full(5, 11, np.int32)
    cells = np.arange(5, dtype=np.int32)
    test = Rows(cells, drug, np.zeros(5, np.float32), given.cells.ids[:5])
    mean = given.train.auc.mean()
    assert np.abs(trees.fit(given, params)(test) - mean).max() < 0.1


def test_what_ridge_and_trees_draw_is_without_replacement_and_by_the_seed() -> None:
    rows = tables_of(10, 8).train
    drawn = fitted.sample(rows, 30, seed=1)
    pairs = set(zip(drawn.cell.tolist(), drawn.drug.tolist(), strict=True))
    assert len(pairs) == len(drawn) == 30
    assert drawn.auc.tolist() != fitted.sample(rows, 30, seed=2).auc.tolist()
    assert fitted.sample(rows, len(rows), seed=1) is rows


def inputs(data: Path, control: str, seed: int = 0) -> Inputs:
    return Inputs(features=data, partition=data, control=control, seed=seed)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("small"))


@pytest.mark.parametrize(("randomise", "moved"), [("cells", 0), ("drugs", 1)])
def test_features_are_permuted_between_ids_of_one_kind(
    small: Path, randomise: str, moved: int
) -> None:
    plain, found, other = (
        controls.features(inputs(small, name, seed))
        for name, seed in (("none", 0), (randomise, 0), (randomise, 5))
    )
    assert np.array_equal(found[1 - moved].values, plain[1 - moved].values)
    before, after = plain[moved].values, found[moved].values
    assert not np.array_equal(before, after)
    assert np.array_equal(np.unique(before, axis=0), np.unique(after, axis=0))
    assert not np.array_equal(after, other[moved].values)
    assert found[moved].ids.equals(plain[moved].ids)


def test_responses_are_permuted_within_each_drug_and_not_where_they_are_tested(small: Path) -> None:
    for stage in ("train", "val", "test"):
        plain, found = (controls.responses(inputs(small, n), stage) for n in ("none", "responses"))
        assert found.drop(tables.AUC).equals(plain.drop(tables.AUC))
        assert found[tables.AUC].equals(plain[tables.AUC]) == (stage == "test")
        by_drug = [t.select(tables.DRUG, tables.AUC).sort(pl.all()) for t in (plain, found)]
        assert by_drug[0].equals(by_drug[1])


def test_without_a_control_uno_reads_what_is_there(small: Path) -> None:
    cells, drugs = controls.features(inputs(small, "none"))
    expected = dataset.read(small)
    assert np.array_equal(cells.values, expected[0].values)
    assert np.array_equal(drugs.values, expected[1].values)


def test_a_baseline_knows_nothing_of_permuted_responses_but_how_drugs_do(
    demo: Path, tmp_path: Path
) -> None:
    found = run(mean_effects, demo, tmp_path, "by_drug", randomise="responses")
    plain = run(mean_effects, demo, tmp_path / "plain", "by_drug")
    correlation = [np.corrcoef(r["true"], r["predicted"])[0, 1] for r in (plain, found)]
    assert correlation[1] < correlation[0] - 0.1


def test_each_baseline_has_its_dflts() -> None:
    paths = sorted((ROOT / "config" / "baselines").glob("*.json"))
    assert [path.stem for path in paths] == sorted(m.__name__.split(".")[-1] for m in MODELS)
    for path in paths:
        assert hyperparameters.model_of(hyperparameters.read_dflts(path)).endswith(path.stem)
