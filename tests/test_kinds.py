"""Whatever runs hold out, drugs, cells, groups or rows, has a list, a ranking and a report."""

import json
from pathlib import Path

import polars as pl
import pytest
import typed
from answers import draw
from experiments import assert_is_refused, name_run, run_script, write_experiment, write_json
from scipy import stats

from hed import results
from hed.answers import heldout, high_error, inventory, pairing, ranking
from hed.answers.bootstrap import Resampling
from hed.answers.plots import ranks
from hed.answers.report import contents
from hed.answers.rule import Rule
from hed.data import generate, groups, partition, tables
from hed.errors import InputError

QUICK = Resampling(replicates=200)


def write(directory: Path, mode: str, *, named: bool = True) -> Path:
    """Write an experiment of six runs, each tested on the ten drugs of its four cells."""
    experiment = write_experiment(directory, ["done"] * 6)
    record = json.loads((experiment / "experiment.json").read_text())
    record["identity"] = {"partition": {"mode": mode}}
    record["runs"] = [{**run, "held_out": f"H{run['index']}"} for run in record["runs"]]
    write_json(experiment / "experiment.json", record)
    for index, rows in draw(6, 40, decimals=4).items():
        lines = [f"{t:.4f},{p:.4f},C{index}{i % 4},D{i // 4}\n" for i, (_, t, p) in enumerate(rows)]
        if not named:
            lines = [f"{line.rpartition(',')[0]}\n" for line in lines]
        header = "auc_true,auc_pred,labels,drugs\n" if named else "auc_true,auc_pred,labels\n"
        path = experiment / "run" / name_run(index) / "test_y_data_predicted.csv"
        path.write_text(header + "".join(lines))
        means = {n: {"mse": 0.02, "rmse": 0.02**0.5} for n in ("train_mean", "mean_effects")}
        write_json(path.parent / "baseline_scores.json", means)
    return experiment


@pytest.mark.parametrize(
    ("mode", "noun", "unit", "drawn"),
    [
        ("by_cell", "cell", "drugs", 10),
        ("by_group", "group", "cells", 4),
        ("random", "split", "cells", 4),
    ],
)
def test_errors_are_listed_of_what_is_held_out(tmp_path, mode, noun, unit, drawn):
    experiment = write(tmp_path, mode)
    table = high_error.tabulate(heldout.read(experiment), Rule(), how=QUICK)
    assert set(table["drug"]) == {f"H{i}" for i in range(6)}
    listed = run_script("high_error_drugs.py", experiment, "--all", "--format", "json")
    assert f"of 6 {noun}s are high error {noun}s" in listed.stderr
    rows = json.loads(listed.stdout)
    assert {row[noun] for row in rows} == {f"H{i}" for i in range(6)}
    assert {row[unit] for row in rows} == {drawn}


def test_sentences_on_two_experiments_say_what_they_hold_out(tmp_path):
    one, other = (write(tmp_path / name, "by_cell") for name in ("one", "other"))
    (other / "run" / name_run(4) / "test_y_data_predicted.csv").unlink()
    against = run_script("high_error_drugs.py", one, "--against", other)
    assert f"1 of 6 cells are not in {other}, or undefined there" in against.stderr
    two_of_one = {"one": pl.DataFrame({"run": ["A", "B"], "drug": ["H1", "H1"]})}
    with pytest.raises(InputError, match="A and B of one hold out the same cell: .* run per cell"):
        pairing.check(two_of_one, "drug", "cell")


def test_drugs_are_ranked_for_held_out_cells(tmp_path):
    experiment = write(tmp_path, "by_cell")
    ranked = run_script("rank_cells.py", experiment, "--cells", "--format", "json")
    model = [row for row in json.loads(ranked.stdout) if row["method"] == "model"]
    assert {row["drugs"] for row in model} == {10}
    top = run_script("top_drugs.py", experiment, "pred", "C00", 3).stdout
    assert len(top.splitlines()) == 3
    assert len(run_script("list_cells.py", experiment).stdout.splitlines()) == 24


def test_a_report_says_what_was_held_out(tmp_path):
    experiment = write(tmp_path, "by_cell")
    assert run_script("report.py", experiment, tmp_path / "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text()
    assert "Each run was trained on all cells but one" in page
    assert "mean effects rmse" in page
    assert "Intervals are drawn over drugs." in page


def test_predictions_that_do_not_tell_the_drugs_are_refused_but_their_cells_listed(tmp_path):
    experiment = write(tmp_path, "by_cell", named=False)
    result = run_script("high_error_drugs.py", experiment)
    assert result.returncode == 1
    assert "do not name the drugs" in result.stderr
    assert len(run_script("list_cells.py", experiment).stdout.splitlines()) == 24


def test_mean_effects_are_recomputed_from_what_the_other_runs_hold_out(tmp_path):
    held = heldout.read(write(tmp_path, "by_cell"))
    rows = heldout.with_baselines(held)
    row = rows.row(5, named=True)
    others = rows.filter(pl.col("held_out") != row["held_out"])
    expected = others.filter(drug=row["drug"])["true"].mean()
    assert row["train_mean"] == pytest.approx(others["true"].mean())
    assert row["mean_effects"] == pytest.approx(expected)
    assert row["cell_mean"] == pytest.approx(row["train_mean"])


def test_a_random_split_is_not_predicted_by_what_others_hold_out_of_it(tmp_path):
    rows = [("C0", "D0", 0.1), ("C0", "D1", 0.5), ("C1", "D0", 0.3)], [("C0", "D0", 0.1)]
    experiment = write(tmp_path, "random")
    for index in range(6):
        path = experiment / "run" / name_run(index) / "test_y_data_predicted.csv"
        lines = [f"{t},0.5,{c},{d}\n" for c, d, t in rows[index]] if index < 2 else []
        path.write_text("auc_true,auc_pred,labels,drugs\n" + "".join(lines))
    found = heldout.with_baselines(heldout.read(experiment))
    # What the first run holds out, nobody else does; of the second one, two other rows are known.
    assert found["train_mean"].to_list() == [None] * 3 + [pytest.approx(0.4)]
    assert found["cell_mean"][3] == pytest.approx(0.5)
    assert found["mean_effects"][3] == pytest.approx(0.5 + 0.3 - 0.4)


def test_a_row_that_two_splits_hold_out_is_known_to_a_third_once(tmp_path):
    rows = {
        0: [("C1", "D1", 0.9)],
        1: [("C1", "D1", 0.9), ("C0", "D0", 0.1)],
        2: [("C0", "D0", 0.1), ("C2", "D2", 0.4)],
        3: [("C3", "D3", 0.6)],
    }
    experiment = write(tmp_path, "random")
    record = json.loads((experiment / "experiment.json").read_text())
    # The second run is of the same split as the first, which lacks a row of it.
    record["runs"][1]["held_out"] = record["runs"][0]["held_out"]
    write_json(experiment / "experiment.json", record)
    for index in range(6):
        path = experiment / "run" / name_run(index) / "test_y_data_predicted.csv"
        lines = [f"{t},0.5,{c},{d}\n" for c, d, t in rows.get(index, [])]
        path.write_text("auc_true,auc_pred,labels,drugs\n" + "".join(lines))
    found = heldout.with_baselines(heldout.read(experiment))
    means = dict(found.select("run", "train_mean").iter_rows())
    assert means[name_run(2)] == pytest.approx((0.9 + 0.6) / 2)
    assert means[name_run(3)] == pytest.approx((0.9 + 0.1 + 0.4) / 3)


def test_mean_effects_rank_the_drugs_of_a_held_out_cell(tmp_path):
    experiment = write(tmp_path, "by_cell")
    table = ranking.rank_cells(heldout.read(experiment), k=3)
    rows = heldout.with_baselines(heldout.read(experiment)).filter(cell="C00")
    expected = stats.spearmanr(rows["true"], rows["mean_effects"]).statistic
    found = table.filter(cell="C00", method="mean_effects")["spearman"].item()
    assert found == pytest.approx(expected)
    drawing = ranks.plot(table, title="EXP000", k=3)
    assert set(drawing.data["method"]) == {"model", "mean effects"}
    assert "mean effects: order drugs by their mean" in drawing.labels.caption.replace("\n", " ")
    page = contents.read(experiment)
    assert any(
        "mean effects 0." in fact.detail or "mean effects -" in fact.detail
        for fact in page.facts
        if fact.label.startswith("Spearman")
    )


@pytest.mark.parametrize("mode", ["random", "by_group"])
def test_splits_of_other_rows_are_not_compared(tmp_path, mode):
    one, same, other = (write(tmp_path / name, mode) for name in ("one", "same", "other"))
    path = other / "run" / name_run(4) / "test_y_data_predicted.csv"
    path.write_text(path.read_text().replace("C4", "C5"))
    assert run_script("compare.py", one, same).returncode == 0
    result = run_script("compare.py", one, other)
    assert result.returncode == 1
    assert "H4 has other test rows in" in result.stderr
    assert "compare experiments that were split alike" in result.stderr
    against = run_script("high_error_drugs.py", one, "--against", other)
    assert (against.returncode, "H4 has other test rows in" in against.stderr) == (1, True)
    # A row without a prediction, and files that do not name the drugs, are no other split.
    path = same / "run" / name_run(4) / "test_y_data_predicted.csv"
    header, first, *others = path.read_text().splitlines(keepends=True)
    path.write_text(header + first.replace(first.split(",")[1], "nan") + "".join(others))
    assert run_script("compare.py", one, same).returncode == 0
    path.write_text("".join(f"{line.rpartition(',')[0]}\n" for line in [header, first, *others]))
    assert run_script("compare.py", one, same).returncode == 0


def test_an_experiment_cannot_have_the_name_of_what_is_held_out(tmp_path):
    one, other = write(tmp_path / "one", "by_cell"), write(tmp_path / "cell", "by_cell")
    result = run_script("compare.py", one, other, "--drugs")
    assert_is_refused(result, "an experiment cannot be named 'cell' here")


DATA = generate.generate(drugs=8, cells=15, rows=100, genes=2, descriptors=2, seed=1)
DRUGS = tables.distinct(DATA.response[tables.DRUG])


def write_groups(path: Path, lines: list[str], header: str = "improve_chem_id\tgroup") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_the_drugs_of_a_group_are_held_out_together(tmp_path):
    table = write_groups(
        tmp_path / "g.tsv", [f"{d}\t{'AB'[i % 2]}" for i, d in enumerate(DRUGS[:6])]
    )
    found = groups.read(table)
    assert (found.names, found.column) == (["A", "B"], tables.DRUG)
    parts = partition.split(DATA.response, 1, partition.Split(mode="by_group", groups=found))
    assert set(parts["test"][tables.DRUG]) == {DRUGS[1], DRUGS[3], DRUGS[5]}
    assert not set(parts["train"][tables.DRUG]) & set(parts["test"][tables.DRUG])
    assert sum(map(len, parts.values())) == len(DATA.response)
    assert set(DRUGS[6:]) <= set(parts["train"][tables.DRUG]) | set(parts["val"][tables.DRUG])


def test_cells_are_grouped_by_any_column_where_there_is_no_other(tmp_path):
    cells = tables.distinct(DATA.response[tables.CELL])
    lines = [f"{cell},tissue {i % 3}" for i, cell in enumerate(cells)]
    table = write_groups(tmp_path / "g.csv", lines, "improve_sample_id,tissue")
    found = groups.read(table)
    mask = found.members(DATA.response[tables.CELL], 2)
    assert set(DATA.response.filter(mask)[tables.CELL]) == set(cells[2::3])


def test_a_digest_is_of_the_groups_and_not_of_the_file(tmp_path):
    lines = ["a\tx", "b\ty"]
    first = groups.read(write_groups(tmp_path / "1.tsv", lines)).digest
    assert groups.read(write_groups(tmp_path / "2.tsv", [*lines, "a\tx"])).digest == first
    assert groups.read(write_groups(tmp_path / "3.tsv", ["a\tx", "b\tz"])).digest != first


@pytest.mark.parametrize(
    ("header", "lines", "said"),
    [
        ("improve_chem_id\tgroup", ["a\tx", "a\ty"], "has a in several groups"),
        ("drug\tgroup", ["a\tx"], "needs one column of ids"),
        ("improve_chem_id\tmoa\ttarget", ["a\tx\ty"], "needs a column 'group'"),
        ("improve_chem_id\tgroup", [], "gives no drug a group"),
    ],
)
def test_a_table_that_gives_no_groups_is_refused(tmp_path, header, lines, said):
    with pytest.raises(InputError, match=said):
        groups.read(write_groups(tmp_path / "g.tsv", lines, header))


def test_a_group_that_is_not_there_and_a_mode_without_groups_are_refused(tmp_path):
    found = groups.read(write_groups(tmp_path / "g.tsv", [f"{DRUGS[0]}\tA"]))
    how = partition.Split(mode="by_group", groups=found)
    with pytest.raises(InputError, match="no group at index 1"):
        partition.split(DATA.response, 1, how)
    for mode, given in (("by_group", None), ("by_drug", found)):
        with pytest.raises(InputError, match="needs groups"):
            partition.Split(mode=mode, groups=given)


def test_ids_that_groups_and_responses_do_not_share_are_told(tmp_path):
    lines = ["stranger\tA", *(f"{drug}\tA" for drug in DRUGS[1:])]
    notes = groups.read(write_groups(tmp_path / "g.tsv", lines)).unknown(DATA.response[tables.DRUG])
    assert notes == [
        "1 drugs of the groups have no responses: stranger",
        f"1 drugs are in no group, and never held out: {DRUGS[0]}",
    ]


@pytest.mark.xdist_group("workflow")
def test_groups_are_held_out_by_the_graph_and_repeats_added_to_it(tmp_path):
    drugs = inventory.names(typed.ROOT / "data" / "gdsc2-demo", tables.DRUG)
    lines = [f"{drug}\t{'AB'[i % 2]}" for i, drug in enumerate(drugs[:6])]
    (tmp_path / "dflts.json").write_text('{"model": "hed.baselines.mean_effects"}')
    table = write_groups(tmp_path / "g.tsv", lines)
    settings = "experiment=groups", f"partition={{mode: by_group, groups: {table}}}"
    said = typed.told(tmp_path, *settings, options=["--until", "aggregate"])
    assert "18 drugs are in no group" in said
    experiment = tmp_path / "output" / "groups"
    marker = experiment / "markers" / "marker-000.txt"
    before = marker.stat().st_mtime_ns
    typed.told(tmp_path, *settings, "repeats=2")
    assert marker.stat().st_mtime_ns == before
    found = results.load(experiment)
    assert found.runs["run"].to_list() == ["RUN000", "RUN001", "RUN000-2", "RUN001-2"]
    for index, group in enumerate("AB"):
        tested = found.predictions.filter(held_out=group)
        assert set(tested["drug"]) == {drugs[i] for i in range(index, 6, 2)}
    assert found.high_error()["repeats"].to_list() == [2, 2]
    assert "trained without the drugs" in (experiment / "report.html").read_text()
