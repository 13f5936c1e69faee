"""Mistakes that are told before any job."""

import json
import shutil

import polars as pl
import pytest
from starting import ROOT

from hed.data import tables
from hed.errors import InputError
from hed.experiment import description
from hed.names import RECORD


def test_a_upf_cannot_take_the_name_of_a_result(refuse, upf):
    assert "which has its own progress.txt" in refuse(upf=upf(("a", 0), name="progress.txt"))


@pytest.mark.parametrize("key", ["model", "custom_loss_module"])
def test_a_module_that_cannot_be_imported_is_refused_before_any_job(refuse, upf, key):
    for module in ("nowhere", "nowhere.at.all"):
        sentence = refuse(upf=upf(("a", 0, (key, module))))
        assert sentence.startswith(f"error: {key} '{module}' cannot be imported")


@pytest.mark.parametrize(("name", "shown"), [(5, "5"), (["a"], '["a"]'), (None, "null")])
def test_a_model_that_is_no_name_is_refused_before_any_job(refuse, upf, name, shown):
    sentence = refuse(upf=upf(("a", 0, ("model", name))))
    assert sentence == f"error: model must be the name of a module, not {shown}"


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"sede": 1}, "error: unknown key 'sede' in the configuration; did you mean 'seed'?"),
        ({"upf": "none.json"}, f"error: upf: no such file: {ROOT}/none.json"),
        ({"data_source": "src"}, f"error: data_source {ROOT}/src holds neither rsp_merged.parquet"),
        (
            {"data_source": "src/{x}"},
            f"error: data_source: rename {ROOT}/src/{{x}}, which has a {{",
        ),
        ({"local_dir": "/dev/null"}, "error: local_dir: /dev/null is a file"),
        ({"output": "pyproject.toml"}, f"error: {ROOT}/pyproject.toml/EXP000: Not a directory"),
    ],
)
def test_a_mistake_is_one_sentence(refuse, keys, sentence):
    assert refuse(**keys).startswith(sentence)


@pytest.mark.parametrize(("mode", "count"), [("by_drug", "3 drugs"), ("by_cell", "2 cells")])
def test_an_index_that_the_data_do_not_have_is_refused_before_any_job(refuse, upf, mode, count):
    sentence = refuse(upf=upf(("a", 0), ("b", 3)), partition={"mode": mode})
    assert f"at index 3: the response table has {count}" in sentence


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["z\tA", "b\tA", "a\tA"], "all drugs are in the group 'A'"),
        (["x\tA", "y\tB"], "no drug of groups has responses"),
    ],
)
def test_groups_that_leave_nothing_to_train_on_or_to_test_are_refused(
    refuse, tmp_path, lines, words
):
    table = tmp_path / "groups.tsv"
    table.write_text("\n".join(["improve_chem_id\tgroup", *lines]) + "\n")
    assert words in refuse(partition={"mode": "by_group", "groups": str(table)})


def test_of_raw_and_preprocessed_tables_the_raw_ones_are_used_with_a_note(
    look, data, raw_data, capsys
):
    shutil.copy(data / tables.RESPONSE_FILE, raw_data)
    look(data_source=raw_data)
    assert "has raw and preprocessed tables: the raw ones are used" in capsys.readouterr().err


def test_an_experiment_cannot_have_the_name_of_a_file(refuse, output):
    output.mkdir()
    (output / "notes").touch()
    assert "notes is a file: give another name" in refuse(experiment="notes")


def test_drugs_without_features_are_told_before_any_job_and_keep_their_indices(look, data, capsys):
    descriptors = pl.read_parquet(data / tables.DESCRIPTOR_FILE)
    descriptors[1:].write_parquet(data / tables.DESCRIPTOR_FILE)
    opened = look()
    assert [(run.index, run.held_out) for run in opened.runs] == [(0, "z"), (1, "b"), (2, "a")]
    assert capsys.readouterr().err == (
        "note: 2 of 6 responses are not used: there are no features of 1 drug (z)\n"
        "note: no row to be tested on for 1 of 3 drugs, whose indices stay: 0 z\n"
    )


def test_two_copies_cannot_have_one_name(refuse, tmp_path, upf):
    (tmp_path / "deep").mkdir()
    same = shutil.copy(upf(("a", 0)), tmp_path / "deep" / "dflts.json")
    assert "upf and dflts need two different names" in refuse(upf=same)
    recorded = shutil.copy(same, tmp_path / RECORD)
    assert "neither of them experiment.json" in refuse(upf=recorded)


def test_a_damaged_record_is_refused_with_its_path(run, refuse, output):
    run()
    (output / "EXP000" / RECORD).write_text("{")
    sentence = refuse(experiment="EXP000")
    assert f"{output}/EXP000/experiment.json is not valid JSON" in sentence
    assert run() == "EXP001"


@pytest.mark.parametrize(
    ("damaged", "place"),
    [
        ({"index": 17}, "runs.17 "),
        ({"id": "", "index": 17}, "runs.17.id "),
        ({"id": "RUN017", "index": True}, "runs.17.index "),
        ("RUN017", "runs.17 "),
    ],
)
def test_one_damaged_run_among_many_alike_is_named_by_its_place(tmp_path, damaged, place):
    runs = [{"id": f"RUN{n:03d}", "index": n} for n in range(30)]
    runs[17] = damaged
    (tmp_path / RECORD).write_text(json.dumps({"runs": runs}))
    with pytest.raises(InputError, match=rf"{place}.*experiment\.json.*take it from a copy"):
        description.read(tmp_path)


def test_the_record_of_something_else_is_not_ours(run, output):
    (output / "EXP000").mkdir(parents=True)
    (output / "EXP000" / RECORD).write_text("{}")
    assert run() == "EXP001"
