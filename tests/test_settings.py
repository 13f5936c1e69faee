"""The configuration is closed, has every default in its schema, and its paths are resolved."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from hed.config import schema, settings
from hed.errors import InputError

ROOT = Path(__file__).parents[1]
SCHEMA = yaml.safe_load((ROOT / "config" / "schema.yaml").read_text())
CONFIG = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())


def objects(definition):
    """Yield a schema and every schema of an object inside it."""
    yield definition
    for part in definition["properties"].values():
        if part.get("type") == "object":
            yield from objects(part)


def read(root=ROOT, **config):
    """Return the settings of a configuration that sets only some keys."""
    return settings.read(settings.complete(config, root), root)


@pytest.fixture
def root(tmp_path):
    """Return a project directory with data, a UPF and DFLTS."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "schema.yaml").write_text((ROOT / "config/schema.yaml").read_text())
    (tmp_path / "config" / "dflts-demo.json").write_text("{}")
    (tmp_path / "data" / "gdsc2-demo").mkdir(parents=True)
    (tmp_path / "runs.json").write_text("")
    for experiment in ("output/EXP007", "elsewhere/EXP008"):
        (tmp_path / experiment / "run").mkdir(parents=True)
    return tmp_path


def test_the_schema_is_closed_at_every_level():
    for part in objects(SCHEMA):
        assert part["additionalProperties"] is False


def test_every_key_has_a_description_a_type_and_a_default():
    for part in objects(SCHEMA):
        for name, key in part["properties"].items():
            assert key["description"], name
            assert "enum" in key or "type" in key, name
            assert key.get("type") == "object" or "default" in key, name


def test_the_defaults_are_allowed():
    schema.check(schema.defaults(SCHEMA), SCHEMA, source="the defaults")


def test_every_key_of_the_project_s_configuration_is_in_the_schema_and_allowed():
    assert settings.complete(CONFIG, ROOT)


def test_the_project_s_configuration_says_what_the_schema_says_by_default():
    assert settings.complete(CONFIG, ROOT) == settings.complete({}, ROOT)


def test_an_unknown_key_is_refused_with_the_nearest_name():
    sentence = "unknown key 'partition.mod' in the configuration; did you mean 'mode'?"
    with pytest.raises(InputError, match=sentence):
        settings.complete({"partition": {"mod": "by_cell"}}, ROOT)


def test_a_nested_key_leaves_its_neighbours_at_their_defaults():
    completed = settings.complete({"partition": {"mode": "by_cell"}}, ROOT)
    usual = {"validation": 0.2, "test": 0.1, "groups": "", "splits": "", "test_rows": ""}
    assert completed["partition"] == {"mode": "by_cell", **usual}


@pytest.mark.parametrize("name", ["EXP 1", "../EXP1", "a/b", ".hidden", "-n"])
def test_an_experiment_s_name_is_a_plain_directory_name(name):
    with pytest.raises(
        InputError, match="^experiment in the configuration must be a name of letters"
    ):
        settings.complete({"experiment": name}, ROOT)


def test_relative_paths_start_at_the_project(root):
    found = read(root, upf="runs.json", output="results")
    assert found.output == root / "results"
    assert found.data_source == root / "data/gdsc2-demo"
    assert found.upf == root / "runs.json"
    assert found.dflts == root / "config/dflts-demo.json"


def test_absolute_paths_stay(root):
    found = read(root, output="/scratch/out", upf=str(root / "runs.json"))
    assert (found.output, found.upf) == (Path("/scratch/out"), root / "runs.json")


def test_a_tilde_is_the_home_directory(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    found = read(root, output="~/out", upf="~/runs.json", data_source="~/data/gdsc2-demo")
    assert found.output == root / "out"
    assert found.upf == root / "runs.json"


def test_an_empty_path_is_none(root):
    found = read(root, upf="", dflts="", restart_from="")
    assert (found.upf, found.dflts, found.restart_from) == (None, None, None)


def test_null_which_the_command_line_makes_of_an_empty_text_is_empty(root):
    found = read(root, dflts=None, repeats=None)
    assert (found.dflts, found.repeats) == (None, 1)
    with pytest.raises(InputError, match="output"):
        settings.complete({"output": None}, root)


@pytest.mark.parametrize(
    "place", ["EXP007", "output/EXP007", "elsewhere/EXP008", "{}/output/EXP007"]
)
def test_restart_from_is_a_name_in_output_or_a_directory(root, place):
    place = place.format(root)
    found = read(root, restart_from=place)
    assert found.restart_from == (root / "output" / place if "/" not in place else root / place)


def test_restart_from_something_that_is_no_experiment_is_refused(root):
    with pytest.raises(
        InputError, match=r"restart_from: .*/data is not an experiment: it has no run/"
    ):
        read(root, restart_from=str(root / "data"))


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("data_source", "directory"),
        ("restart_from", "directory"),
        ("upf", "file"),
        ("dflts", "file"),
    ],
)
def test_a_missing_file_is_refused_with_its_key_and_path(root, key, kind):
    with pytest.raises(InputError, match=f"^{key}: no such {kind}: {root}.*nowhere$"):
        read(root, **{key: "nowhere"})


def test_a_directory_is_no_upf_and_a_file_no_data(root):
    with pytest.raises(InputError, match="upf: is a directory, not a file"):
        read(root, upf="data")
    with pytest.raises(InputError, match="data_source: no such directory"):
        read(root, data_source="runs.json")


def test_the_node_local_directory_must_be_the_same_wherever_it_is_named(root):
    with pytest.raises(InputError, match="local_dir must be an absolute path, not tmp"):
        read(root, local_dir="tmp")


def test_settings_do_not_change_once_read(root):
    with pytest.raises(dataclasses.FrozenInstanceError):
        read(root).seed = 1
