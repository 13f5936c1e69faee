"""A run's hyperparameters are Uno's defaults, overridden by DFLTS, overridden by its UPF line."""

import json
import shutil
import string
from pathlib import Path

import pytest
from experiments import assert_is_refused, call_script, run_script
from hypothesis import given
from hypothesis import strategies as st

from hed.config import hyperparameters, original, schema
from hed.config.hyperparameters import UpfLine
from hed.errors import InputError

# Uno's default file, as CANDLE and IMPROVE have it.
UNO = {
    "epochs": 200,
    "batch_size": 32,
    "generator_batch_size": 1024,
    "learning_rate": 1e-5,
    "warmup_epochs": 5,
    "warmup_type": "linear",
    "reduce_lr_patience": 3,
    "reduce_lr_factor": 0.5,
    "early_stopping_patience": 20,
    "early_stop_metric": "mse",
    "optimizer": "Adam",
    "loss": "mse",
    "regression_activation": "sigmoid",
    "hyperparam_space": "global",
    "dropout": 0.1,
    "activation": "relu",
    "canc_arch": [1000] * 3,
    "drug_arch": [1000] * 3,
    "interaction_arch": [1000] * 5,
    "canc_num_layers": 3,
    "drug_num_layers": 3,
    "interaction_num_layers": 5,
    "drug_layer_2_size": 1000,
    "interaction_layer_5_size": 1000,
    "ckpt_restart_mode": "auto",
    "ckpt_save_interval": 1,
    "ckpt_save_best": True,
    "ckpt_keep_limit": 3,
    "ckpt_checksum": True,
}
DEFINED = hyperparameters.definition()
ORIGINAL = original.definition()
RUN = UpfLine("RUN000", 0, {})
# As the original's repository ships it, but for the places.
ORIGINAL_DFLTS = Path(__file__).parent / "original" / "dflts-e20.json"

ids = st.text(string.ascii_letters + string.digits + "._+-", min_size=1).filter(
    lambda text: text[0].isalnum()
)
overrides = st.fixed_dictionaries(
    {},
    optional={
        "epochs": st.integers(1, 500),
        "dropout": st.floats(0, 0.9),
        "canc_arch": st.lists(st.integers(1, 2000), min_size=1, max_size=4),
        "loss": st.sampled_from(["mse", "mae", "mae_poly"]),
        "custom_loss_module": st.none() | st.just("losses"),
    },
)
runs = st.lists(
    st.builds(UpfLine, ids, st.integers(0, 10**6), overrides), min_size=1, unique_by=lambda r: r.id
)


@pytest.fixture
def upf(tmp_path):
    """Return a function that writes a UPF and reads it."""

    def read(text):
        (tmp_path / "upf.json").write_text(text)
        return hyperparameters.read_upf(tmp_path / "upf.json")

    return read


@pytest.fixture
def dflts(tmp_path):
    """Return a function that writes a DFLTS file and reads it."""

    def read(text):
        (tmp_path / "dflts.json").write_text(text)
        return hyperparameters.read_dflts(tmp_path / "dflts.json")

    return read


def refuse(read, text):
    """Return the sentence with which a text is refused."""
    with pytest.raises(InputError) as caught:
        read(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", UNO)
def test_defaults_have_uno_s_names_and_values(name):
    assert hyperparameters.resolve({}, RUN)[name] == UNO[name]
    assert hyperparameters.default(name) == UNO[name]


def test_every_layer_of_every_tower_has_a_size_a_dropout_and_an_activation():
    for tower in ("canc", "drug", "interaction"):
        for layer in range(1, 10):
            names = {f"{tower}_layer_{layer}_{of}" for of in ("size", "dropout", "activation")}
            assert names <= set(DEFINED["properties"])


def test_every_hyperparameter_has_a_description_a_type_and_a_default_that_it_allows():
    for name, part in DEFINED["properties"].items():
        assert part["description"] and ("type" in part or "enum" in part), name
    hyperparameters.check(schema.defaults(DEFINED), "the defaults")


@given(low=overrides, high=overrides)
def test_the_upf_line_overrides_dflts_which_overrides_the_defaults(low, high):
    resolved = hyperparameters.resolve(low, UpfLine("a", 5, high))
    expected = {**schema.defaults(DEFINED), **low, **high, "id": "a", "index": 5}
    assert resolved == expected


def test_comments_and_blank_lines_of_a_upf_are_skipped(upf):
    text = '# runs\n\n   \n  # more\n{"id": "a", "index": 1}\r\n\n{"index": 0, "id": "b"}'
    assert upf(text) == [UpfLine("a", 1, {}), UpfLine("b", 0, {})]


def test_comments_and_blank_lines_of_dflts_are_skipped(dflts):
    assert dflts('# mine\n\n{\n  # few\n  "epochs": 20\n}\n') == {"epochs": 20}


def test_a_byte_order_mark_is_no_part_of_a_file(dflts, upf):
    assert dflts('\ufeff# of Windows\n{"epochs": 20}') == {"epochs": 20}
    assert upf('\ufeff{"id": "a", "index": 0}') == [UpfLine("a", 0, {})]


def test_an_error_after_comments_is_reported_in_the_file_s_own_line(dflts):
    assert "line 3" in refuse(dflts, '# mine\n{\n  "epochs" 20\n}\n')


@pytest.mark.parametrize("name", ORIGINAL["ignored"]["names"])
def test_what_the_pipeline_decides_itself_is_accepted_and_left_out(dflts, upf, name):
    assert dflts(json.dumps({name: "/tmp/x", "epochs": 20})) == {"epochs": 20}
    line = json.dumps({"id": "a", "index": 0, name: 1, "epochs": 2})
    assert upf(line) == [UpfLine("a", 0, {"epochs": 2})]


IDLE = ORIGINAL["idle"]["names"]


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in IDLE for v in IDLE[n]["values"]])
def test_what_asks_for_nothing_is_left_out(dflts, name, value):
    assert dflts(json.dumps({name: value, "epochs": 20})) == {"epochs": 20}


@pytest.mark.parametrize(
    ("name", "value"),
    [(n, v) for n in IDLE for v in (False, 3600, "my_setup") if v not in IDLE[n]["values"]],
)
def test_what_asks_for_something_that_is_not_done_is_refused(dflts, upf, name, value):
    sentence = refuse(dflts, json.dumps({name: value}))
    assert sentence.startswith(f"{name} in /")
    assert sentence.endswith(f"cannot be {json.dumps(value)} here: {IDLE[name]['instead']}")
    assert "line 1 cannot be" in refuse(upf, json.dumps({"id": "a", "index": 0, name: value}))


@pytest.mark.parametrize("name", ORIGINAL["moved"])
def test_what_is_elsewhere_now_is_refused_with_its_place(dflts, name):
    sentence = refuse(dflts, json.dumps({name: "std"}))
    assert sentence.startswith(f"{name} in /")
    assert sentence.endswith(ORIGINAL["moved"][name])


def test_the_original_s_name_for_the_metadata_of_a_checkpoint_is_taken(dflts):
    assert dflts('{"metadata": "mine"}') == {"ckpt_metadata": "mine"}
    assert dflts('{"metadata": "mine", "ckpt_metadata": "ours"}') == {"ckpt_metadata": "ours"}


def test_what_is_ignored_is_named_by_file(tmp_path):
    dflts, upf = tmp_path / "dflts-e20.json", tmp_path / "hed.json"
    shutil.copy(ORIGINAL_DFLTS, dflts)
    upf.write_text(
        '# runs\n{"id": "a", "index": 0, "save": "x"}\n{"id": "b", "index": 1, "save": 1}\n'
    )
    assert hyperparameters.read_dflts(dflts) == {"epochs": 20}
    assert hyperparameters.ignored(dflts, upf) == [
        "ignored in dflts-e20.json: input_dir, input_dir_1, input_dir_2, calc_infer_scores, "
        "pre_module, post_module",
        "ignored in hed.json: save",
    ]
    assert hyperparameters.ignored(dflts, None, ["pre_module", "post_module", "input_dir"]) == [
        "ignored in dflts-e20.json: input_dir_1, input_dir_2, calc_infer_scores"
    ]
    assert hyperparameters.ignored(None, None) == []


def test_an_unknown_hyperparameter_is_refused_with_the_nearest_name(dflts, upf):
    sentence = refuse(dflts, '{"epoch": 2}')
    assert sentence.startswith("unknown hyperparameter 'epoch' in /")
    assert sentence.endswith("dflts.json; did you mean 'epochs'?")
    sentence = refuse(upf, '\n{"id": "a", "index": 0, "epoch": 2}')
    assert sentence.startswith("unknown hyperparameter 'epoch' in /")
    assert sentence.endswith("upf.json line 2; did you mean 'epochs'?")


def test_dflts_cannot_set_what_tells_runs_apart(dflts):
    assert "unknown hyperparameter 'id'" in refuse(dflts, '{"id": "a"}')
    assert "unknown hyperparameter 'index'" in refuse(dflts, '{"index": 0}')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("epochs", 20.0),
        ("epochs", "20"),
        ("dropout", 1),
        ("canc_arch", []),
        ("canc_arch", [0]),
        ("loss", "rmse"),
        ("learning_rate", 0),
        ("ckpt_restart_mode", "on"),
        ("ckpt_save_best", 1),
        ("canc_num_layers", 10),
    ],
)
def test_a_value_that_no_run_could_use_is_refused_by_name(dflts, name, value):
    assert refuse(dflts, json.dumps({name: value})).startswith(name)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_what_json_does_not_have_is_refused(dflts, upf, value):
    assert refuse(dflts, f'{{"alpha": {value}}}').endswith(f"holds {value}, which is not JSON")
    sentence = refuse(upf, f'{{"id": "a", "index": 0, "alpha": {value}}}')
    assert sentence.endswith(f"upf.json line 1 holds {value}, which is not JSON")


@pytest.mark.parametrize("text", ['{"epochs": }', "{", '{"epochs": 2,}', "", "epochs: 2"])
def test_what_is_not_json_is_refused(dflts, text):
    assert "dflts.json is not valid JSON: " in refuse(dflts, text)


def test_what_is_set_twice_is_refused(dflts, upf):
    assert refuse(dflts, '{"epochs": 5, "epochs": 50}').endswith("sets epochs twice: keep one")
    assert "sets index twice" in refuse(upf, '{"id": "a", "index": 0, "index": 3}')


@pytest.mark.parametrize("text", ["[]", "20", "null", '"epochs"'])
def test_json_that_is_no_object_is_refused(dflts, upf, text):
    assert refuse(dflts, text).endswith("dflts.json must be a JSON object")
    assert refuse(upf, text).endswith("upf.json line 1 must be a JSON object")


@pytest.mark.parametrize(
    "bad", ["../a", "a/b", "", ".a", "-a", "a b", "a\n", "é", 7, None, "a" * 101]
)
def test_an_id_that_cannot_name_a_directory_is_refused(upf, bad):
    sentence = refuse(upf, json.dumps({"id": bad, "index": 0}))
    assert "upf.json line 1 must be a name of at most 100 letters" in sentence
    assert sentence.endswith(f"not {json.dumps(bad)}")


@pytest.mark.parametrize("bad", [-1, 1.0, "0", True, None])
def test_an_index_that_is_no_natural_number_is_refused(upf, bad):
    sentence = refuse(upf, json.dumps({"id": "a", "index": bad}))
    assert sentence.startswith("index in /")
    assert sentence.endswith(f"upf.json line 1 must be an integer from 0, not {json.dumps(bad)}")


def test_a_line_without_id_or_index_is_refused(upf):
    assert refuse(upf, '{"index": 0}').startswith("id in ")
    assert refuse(upf, '{"id": "a"}').startswith("index in ")


def test_an_id_that_stands_twice_is_refused(upf):
    text = '{"id": "a", "index": 0}\n{"id": "b", "index": 0}\n{"id": "a", "index": 1}\n'
    sentence = refuse(upf, text)
    assert sentence.startswith("run id 'a' appears twice in /")
    assert sentence.endswith(": ids must be unique")


@pytest.mark.parametrize("text", ["", "\n\n", "# none\n"])
def test_a_upf_without_runs_is_refused_with_the_command_that_writes_one(upf, text):
    assert "names no run; `scripts/gen_upf.py COUNT " in refuse(upf, text)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    binary = tmp_path / "model.h5"
    binary.write_bytes(b"\x89HDF\xff")
    for read in (hyperparameters.read_upf, hyperparameters.read_dflts):
        with pytest.raises(InputError, match=r"^no such file: .*/none$"):
            read(tmp_path / "none")
        with pytest.raises(InputError, match=r"cannot read .*: Is a directory"):
            read(tmp_path)
        with pytest.raises(InputError, match=r"model.h5 is not a text file"):
            read(binary)


def test_a_run_is_found_by_its_id(tmp_path):
    path = tmp_path / "upf.json"
    path.write_text(hyperparameters.format_upf(hyperparameters.generate_upf(range(3))))
    assert hyperparameters.find(path, "RUN002") == UpfLine("RUN002", 2, {})
    with pytest.raises(InputError, match="upf.json has no run 'RUN003'"):
        hyperparameters.find(path, "RUN003")


@given(written=runs)
def test_a_written_upf_is_read_as_it_was(tmp_path_factory, written):
    path = tmp_path_factory.getbasetemp() / "round-trip.json"
    path.write_text(hyperparameters.format_upf(written))
    assert hyperparameters.read_upf(path) == written


def test_the_command_writes_the_upf_of_the_original(tmp_path):
    call_script("gen_upf.py", 1001, tmp_path / "upf.json")
    lines = (tmp_path / "upf.json").read_text().splitlines()
    assert lines[0] == '{"id": "RUN000", "index": 0}'
    assert lines[1000] == '{"id": "RUN1000", "index": 1000}'
    expected = hyperparameters.generate_upf(range(1001))
    assert hyperparameters.read_upf(tmp_path / "upf.json") == expected


def test_the_command_refuses_a_count_below_one(tmp_path):
    result = run_script("gen_upf.py", 0, tmp_path / "upf.json")
    assert_is_refused(result, "error: COUNT must be at least 1, not 0")
    assert not (tmp_path / "upf.json").exists()


def test_the_command_says_where_it_may_not_write(tmp_path):
    (tmp_path / "file").write_text("")
    result = run_script("gen_upf.py", 1, tmp_path / "file" / "upf.json")
    assert_is_refused(result, "error: ", f"{tmp_path}/file")
