"""What a start records, and what the rules and their processes get of it."""

import json
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starting import ROOT, record

from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.experiment import beginning, opening, plan
from hed.names import RECORD


@pytest.mark.parametrize(
    "text", [b'{"id": "a", "index": 0}', b'# \xc3\xa9\r\n{"id":"a","index":0}\r\n']
)
def test_upf_and_dflts_are_copied_byte_by_byte_under_their_names(run, output, tmp_path, text):
    (tmp_path / "my-upf.txt").write_bytes(text)
    (tmp_path / "my-dflts.json").write_bytes(b'# mine\r\n{"epochs": 3}')
    run(upf=tmp_path / "my-upf.txt", dflts=tmp_path / "my-dflts.json")
    assert (output / "EXP000" / "my-upf.txt").read_bytes() == text
    assert (output / "EXP000" / "my-dflts.json").read_bytes() == b'# mine\r\n{"epochs": 3}'


def test_without_upf_and_dflts_those_in_force_are_written(run, output):
    run(dflts="")
    lines = hyperparameters.read_upf(output / "EXP000" / "upf.json")
    assert lines == hyperparameters.generate_upf(range(3))
    assert hyperparameters.read_dflts(output / "EXP000" / "dflts.json") == {}


def test_runs_hold_out_drugs_in_order_of_first_appearance(look):
    runs = look().runs
    assert [(r.id, r.index, r.held_out, r.marker) for r in runs] == [
        ("RUN000", 0, "z", "000"),
        ("RUN001", 1, "b", "001"),
        ("RUN002", 2, "a", "002"),
    ]


def test_each_mode_has_its_runs(look):
    by_cell = look(partition={"mode": "by_cell"}).runs
    assert [run.held_out for run in by_cell] == ["c2", "c1"]
    (random,) = look(partition={"mode": "random"}).runs
    assert (random.index, random.held_out) == (0, None)


def test_a_random_split_takes_any_index(look, upf):
    found = look(upf=upf(("a", 12345)), partition={"mode": "random"}).runs
    assert [(run.held_out, run.marker) for run in found] == [(None, "12345")]


def test_a_second_run_of_an_index_has_a_marker_of_its_own(look, upf):
    found = look(upf=upf(("a", 2), ("b", 0), ("c", 2), ("d", 2))).runs
    assert [run.marker for run in found] == ["002", "000", "002-c", "002-d"]


@given(indices=st.lists(st.integers(0, 3), max_size=12))
def test_markers_are_distinct_and_every_index_has_its_plain_one(indices):
    upf = [UpfLine(f"RUN{number:03d}", index, {}) for number, index in enumerate(indices)]
    markers = [run.marker for run in plan._runs(upf, None)]
    assert len(set(markers)) == len(markers)
    assert {f"{index:03d}" for index in indices} <= set(markers)


def test_the_record_tells_what_the_experiment_is_and_when_it_began(run, output):
    run()
    first = record(output)
    assert [run["held_out"] for run in first["runs"]] == ["z", "b", "a"]
    assert (first["upf"], first["dflts"]) == ("upf.json", "dflts.json")
    (output / "EXP000" / RECORD).write_text(json.dumps({**first, "created": "then"}))
    run()
    assert record(output) == {**first, "created": "then"}


def test_raw_data_are_preprocessed_into_the_experiment_and_others_used_in_place(
    look, data, raw_data
):
    ready, raw = look(), look(data_source=raw_data)
    assert (ready.data, ready.raw) == (str(data), "")
    assert (raw.data, raw.raw) == ("data", str(raw_data))
    assert [run.held_out for run in raw.runs] == [run.held_out for run in ready.runs]


def test_two_experiments_never_share_a_node_local_directory(look, tmp_path):
    first = look(output=tmp_path / "one")
    second = look(output=tmp_path / "two")
    assert first.name == second.name
    assert first.local != second.local
    assert look(output=tmp_path / "one").local == first.local


def test_a_child_process_reads_the_record_and_nothing_else(look, config, data):
    main = look()
    opening.start(main)
    shutil.rmtree(data)
    child = opening.open_or_exit(config(), ROOT, main=False)
    names = ("directory", "runs", "data", "raw", "local", "upf", "dflts", "restart_from", "splits")
    for name in names:
        assert getattr(child, name) == getattr(main, name)
    assert child.locked is None


def test_the_user_s_own_start_does_not_read_what_an_earlier_one_left(run):
    assert [run(), run(seed=1)] == ["EXP000", "EXP001"]


def test_a_start_completes_the_configuration_that_the_rules_read(config):
    keys = config(seed=4)
    opened = opening.open_or_exit(keys, ROOT, main=True)
    opened.locked.close()
    assert (keys["seed"], keys["partition"]["mode"]) == (4, "by_drug")


def test_a_user_without_a_name_has_a_node_local_directory(look, monkeypatch):
    monkeypatch.setattr(beginning.getpass, "getuser", lambda: {}["name"])
    assert f"/{os.getuid()}/hed/" in look().local


def test_a_file_of_the_original_is_taken_as_it_is(look, capsys):
    look(dflts=ROOT / "tests/original/dflts-e20.json")
    assert capsys.readouterr().err == (
        "note: ignored in dflts-e20.json: input_dir, input_dir_1, input_dir_2, calc_infer_scores, "
        "pre_module, post_module\n"
    )


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (
            {"canc_arch": [64, 32, 16, 8]},
            "canc_arch has 4 layers and canc_num_layers is 3: the first 3",
        ),
        ({"drug_num_layers": 5}, "drug_arch has 3 layers and drug_num_layers is 5: the first 3"),
        ({"interaction_arch": [9]}, ""),
    ],
)
def test_sizes_and_layers_that_are_left_out_are_told(look, tmp_path, capsys, block, told):
    dflts = tmp_path / "block.json"
    dflts.write_text(json.dumps({"hyperparam_space": "block", **block}))
    look(dflts=dflts)
    said = capsys.readouterr().err
    assert told in said and bool(said) == bool(told)


def test_layers_of_another_space_are_told_if_they_differ_from_the_defaults(
    look, upf, tmp_path, capsys
):
    dflts = tmp_path / "wide.json"
    dflts.write_text(
        '{"interaction_arch": [2000], "canc_arch": [1000, 1000, 1000], "dropout": 0.2}'
    )
    space = ("hyperparam_space", "layer")
    look(dflts=dflts, upf=upf(("a", 0), ("b", 1, ("canc_layer_1_size", 9)), ("c", 2, space)))
    assert capsys.readouterr().err == (
        "note: without effect while hyperparam_space is global: interaction_arch, "
        "canc_layer_1_size\n"
        "note: without effect while hyperparam_space is layer: interaction_arch, dropout\n"
    )
