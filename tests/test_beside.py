"""Other experiments stand beside one in tables and figures, drug by drug."""

import json

import pytest
from answers import draw, write
from experiments import assert_is_refused, run_script, write_json

from hed import results
from hed.answers import beside, by_epochs, compare, figures, scores
from hed.answers.report import contents
from hed.errors import InputError


@pytest.fixture
def three(tmp_path):
    """Three experiments of the same drugs, each worse than the one before."""
    return [
        write(tmp_path / name, draw(8, 12, noise=noise, decimals=4))
        for name, noise in (("uno", 0.02), ("ridge", 0.1), ("naive", 0.2))
    ]


def test_each_drug_has_the_errors_of_the_others(three):
    found = beside.read(three[0], three[1:])
    assert found.others == ["ridge", "naive"]
    table = found.join(scores.read(three[0]))
    for name, directory in zip(("ridge", "naive"), three[1:], strict=True):
        assert table[name].to_list() == scores.read(directory)["rmse"].to_list()


def test_levels_are_means_wins_and_of_three_ranks(three):
    found = beside.read(three[0], three[1:]).levels()
    assert found["experiment"].to_list() == ["uno", "ridge", "naive"]
    assert found["rank"].is_sorted()
    assert found["mean"].to_list() == [scores.read(e)["rmse"].mean() for e in three]
    assert found["better"].to_list() == [None, 0, 0]
    two = beside.read(three[1], three[:1]).levels()
    assert two["better"].to_list() == [None, 8]
    assert "rank" not in two.columns


def test_no_others_are_nothing_and_too_many_or_strange_ones_are_refused(three, tmp_path):
    assert beside.read(three[0], []) is None
    with pytest.raises(InputError, match="7 experiments beside one are too many: give 5 at most"):
        beside.read(three[0], three[1:2] * 7)
    apart = write(tmp_path / "apart", {20: draw(1, 5)[0]}, states=["running"] * 20 + ["done"])
    with pytest.raises(InputError, match="no drug has scores in all of uno, apart"):
        beside.read(three[0], [apart])
    # As a column of the table, and as a series of the figure.
    for name in ("rmse", "model"):
        other = write(tmp_path / name, draw(8, 12))
        with pytest.raises(InputError, match=f"an experiment cannot be named '{name}' here"):
            beside.read(three[0], [other]).join(scores.read(three[0]))


def test_a_control_says_in_every_table_what_was_permuted(three):
    write_json(three[1] / "dflts-demo.json", {"randomise": "drugs"})
    assert list(compare.name(three)) == ["uno", "ridge (drugs permuted)", "naive"]
    result = run_script("compare.py", *three[:2], "--format", "csv")
    assert "\nridge (drugs permuted),uno,rmse" in result.stdout
    assert "ridge (drugs permuted): highest error" in run_script("summary.py", three[1]).stdout
    for name in ("high_error_drugs.py", "rank_cells.py"):
        assert "a control: drugs permuted" in run_script(name, three[1]).stderr, name
    assert by_epochs.read([three[1]], "rmse")["experiment"][0] == "ridge (drugs permuted)"
    page = contents.read(three[1])
    assert page.name == "ridge (drugs permuted)"
    assert "a control: drugs permuted" in page.notes
    assert "a control: drugs permuted" in results.load(three[1]).notes
    # In one of its runs only.
    upf = three[2] / "upf.json"
    upf.write_text(upf.read_text().replace('"index": 0', '"index": 0, "randomise": "cells"'))
    assert list(compare.name(three))[2] == "naive (cells or nothing permuted)"
    assert "permuted" not in contents.read(three[0]).name


def test_the_figure_of_errors_has_a_series_for_each(three):
    plot = figures.of_errors(three[0], three[1:])
    assert [*plot.data["series"].unique()][:3] == ["model", "ridge", "naive"]
    assert plot.data["series"].n_unique() == 5


@pytest.mark.parametrize(("count", "figure"), [(1, "comparison"), (2, "contest")])
def test_the_report_compares_them(three, count, figure):
    found = contents.read(three[0], others=three[1 : 1 + count])
    assert found.others == ("ridge", "naive")[:count]
    assert figure in [each.name for each in found.figures]
    facts = {fact.label: fact for fact in found.facts}
    assert facts["drugs predicted better than by ridge"].value == "8"
    assert found.drugs["ridge"].null_count() == 0


def test_what_holds_out_something_else_is_refused(three, tmp_path):
    record = json.loads((three[1] / "experiment.json").read_text())
    record["identity"] = {"partition": {"mode": "by_cell"}}
    write_json(three[1] / "experiment.json", record)
    result = run_script("report.py", three[0], tmp_path / "r.html", "--beside", three[1])
    assert_is_refused(result, "compare experiments that hold out the same")
    assert not (tmp_path / "r.html").exists()


def test_the_list_of_drugs_and_the_summary_have_the_errors_of_the_others(three):
    listed = run_script("high_error_drugs.py", three[0], "--all", "--beside", *three[1:])
    heading = next(line.split() for line in listed.stdout.splitlines() if "rank" in line)
    assert heading[heading.index("rmse") + 1 :][:2] == ["ridge", "naive"]
    assert (
        f"ridge: rmse {scores.read(three[1])['rmse'].mean():.4f} over the 8 drugs that all have"
        in listed.stderr
    )
    shown = run_script("summary.py", three[0], "--beside", *three[1:]).stdout
    (row,) = (line.split() for line in shown.splitlines() if line.split()[:1] == ["naive"])
    assert row[1] == f"{scores.read(three[2])['rmse'].mean():.4f}"
    assert row[3] == "0"
    alone = run_script("summary.py", three[0]).stdout
    assert "runs of all" not in alone
    both = run_script("high_error_drugs.py", three[0], "--beside", three[1], "--against", three[2])
    assert "give --beside or --against, not both" in both.stderr
