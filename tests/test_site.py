"""A site's settings are closed, agree with each other, and yield to the user's environment."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hed import words
from hed.config import schema
from hed.errors import InputError
from hed.site import site, walltime
from hed.site.limits import Limits

ROOT = Path(__file__).parents[1]
PROFILES = sorted((ROOT / "profiles").glob("*/site.yaml"))
AURORA = ROOT / "profiles" / "aurora" / "site.yaml"
DEVICES = {"device_variable": "ZE_AFFINITY_MASK", "tiles_per_node": 12}


def write(directory, **settings):
    """Write a site's file as YAML."""
    path = directory / "site.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def refuse(path, environ=None):
    """Return the sentence with which a site is refused."""
    with pytest.raises(InputError) as caught:
        site.read(path, environ or {})
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("definition", [site.definition(), site.definition_of_queue()])
def test_the_schema_is_closed_and_every_key_has_a_description_a_type_and_a_default(definition):
    assert definition["additionalProperties"] is False
    for name, key in definition["properties"].items():
        assert key["description"], name
        assert "enum" in key or "type" in key, name
        assert "default" in key or name == "queues", name
    schema.check(schema.defaults(definition), definition, source="the defaults")


def test_an_empty_file_is_this_machine_without_devices(tmp_path):
    (tmp_path / "site.yaml").write_text("")
    found = site.read(tmp_path / "site.yaml", {})
    assert (found.scheduler, found.nodes_per_block, found.tiles_per_node) == ("local", 1, 1)
    assert (found.environment, found.cores, found.queues) == (None, (), {})
    assert found.walltime == 86_400


def test_a_key_without_a_value_is_not_set(tmp_path):
    (tmp_path / "site.yaml").write_text("account:\nqueues:\n")
    assert site.read(tmp_path / "site.yaml", {}).account == ""


def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path):
    path = write(tmp_path, wall_time="1:00:00")
    assert refuse(path) == f"unknown key 'wall_time' in {path}; did you mean 'walltime'?"


def test_an_unknown_limit_of_a_queue_is_refused_with_the_nearest_name(tmp_path):
    path = write(tmp_path, queues={"debug": {"max_node": 2}})
    sentence = f"unknown key 'queues.debug.max_node' in {path}; did you mean 'max_nodes'?"
    assert refuse(path) == sentence


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"scheduler": "lsf"}, "must be one of pbs, slurm, local"),
        ({"nodes_per_block": 0}, "must be at least 1"),
        ({"nodes_per_block": "13"}, "must be of type integer"),
        ({"account": 123}, "must be of type string"),
        ({"account": "my project"}, "account must be one word"),
        ({"queue": "a\n#PBS -l x"}, "queue must be one word"),
        ({"walltime": "24"}, 'must be a time such as "12:00:00"'),
        ({"walltime": "24:60:00"}, 'must be a time such as "12:00:00"'),
        ({"walltime": "00:00:00"}, 'must be a time such as "12:00:00"'),
        ({"walltime": "00:10:00", "reserve": 600}, "reserve (600 s) must be shorter"),
        ({"min_blocks": 2}, "must not decrease, but are 2, 1 and 1"),
        ({"init_blocks": 3, "max_blocks": 2}, "must not decrease, but are 0, 3 and 2"),
        ({"nodes_per_block": 2}, "2 nodes_per_block need a launcher"),
        ({"cores": ["1-8"], "tiles_per_node": 2}, "cores has 1 entries, but needs one for each"),
        ({"cores": ["8-1"]}, "cores must be such as 1-8 or 0,2-4, not '8-1'"),
        ({"cores": ["all"]}, "cores must be such as 1-8 or 0,2-4, not 'all'"),
        ({"cores": [0, 0], "tiles_per_node": 2}, "cores 0 and 0 share core 0, but each run needs"),
        ({"cores": ["0-3", "2"], "tiles_per_node": 2}, "cores 0-3 and 2 share core 2, but each"),
        ({"cores": [-1]}, "must be"),
        ({"cores": [1.5]}, "must be"),
        ({"check_device": True}, "check_device needs a device_variable"),
        ({"device_hierarchy": "FLAT"}, "device_hierarchy is of ZE_AFFINITY_MASK"),
        ({**DEVICES, "max_blocks": 2}, "max_blocks must be 1 for local"),
        ({"select": "ngpus=4"}, "select is an option of PBS; leave it empty for local"),
        ({"filesystems": "home"}, "filesystems is an option of PBS; leave it empty for local"),
        ({"scheduler_options": ["place=scatter"]}, "an option must start with -"),
        ({"scheduler_options": ["-l a\n#PBS -q b"]}, "must start with - and be on one line"),
        (
            {"scheduler": "slurm", "scheduler_options": ["--clusters=big"]},
            "'--clusters=big': only the cluster that squeue shows by itself can be used",
        ),
        ({"launcher_options": "no-vni"}, "an option must start with -"),
        ({"local_dir": "tmp"}, "local_dir must be an absolute path, not tmp"),
        ({"environment": "nowhere.sh"}, "environment: no such file"),
        ({"queues": {"q": {"min_nodes": 3, "max_nodes": 2}}}, "must be at most max_nodes"),
        ({"queues": {"q": {"max_walltime": "1 h"}}}, "max_walltime of queues.q in"),
        ({"queues": {"q": {"small_blocks": [{"up_to_nodes": 2}]}}}, "lacks 'max_walltime'"),
    ],
)
def test_what_cannot_work_is_refused_in_one_sentence(tmp_path, settings, words):
    path = write(tmp_path, **settings)
    sentence = refuse(path)
    assert words in sentence
    assert str(path) in sentence


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("walltime: 12:00:00", "walltime"),
        ("queues: {debug: {max_walltime: 1:00:00}}", "max_walltime"),
        ("queues: {a: {small_blocks: [{up_to_nodes: 1, max_walltime: 1:00:00}]}}", "max_walltime"),
    ],
)
def test_a_time_that_yaml_took_for_a_number_is_refused_with_the_reason(tmp_path, text, key):
    path = tmp_path / "site.yaml"
    path.write_text(text)
    assert refuse(path).startswith(f"{key} in {path} must be in quotes")
    assert "YAML reads hours, minutes and seconds as one number" in refuse(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "is not valid YAML"),
        ("- pbs", "must be of type object"),
        ("queue: a\nqueue: b", "queue is set twice: keep one"),
        ("false", "must be of type object"),
    ],
)
def test_a_file_that_is_no_mapping_is_refused(tmp_path, text, words):
    (tmp_path / "site.yaml").write_text(text)
    assert words in refuse(tmp_path / "site.yaml")


def test_a_missing_file_is_refused(tmp_path):
    assert refuse(tmp_path / "site.yaml") == f"no such file: {tmp_path / 'site.yaml'}"


def test_the_environment_script_is_found_beside_the_file(tmp_path):
    (tmp_path / "env.sh").write_text("")
    found = site.read(write(tmp_path, environment="env.sh"), {})
    assert found.environment == (tmp_path / "env.sh").resolve()


@given(seconds=st.integers(1, 9999 * 3600))
def test_a_walltime_survives_being_written_and_read(seconds):
    assert walltime.seconds(words.clock(seconds), "here") == seconds


def test_a_block_of_a_week_keeps_its_hours():
    assert words.clock(168 * 3600) == "168:00:00"


def test_flat_masks_count_tiles_and_composite_ones_name_gpu_and_tile(tmp_path):
    flat = site.read(write(tmp_path, **DEVICES, device_hierarchy="FLAT"), {}).masks()
    composite = site.read(write(tmp_path, **DEVICES, device_hierarchy="COMPOSITE"), {}).masks()
    assert flat == tuple(map(str, range(12)))
    assert composite[:3] == ("0.0", "0.1", "1.0")
    assert composite[-1] == "5.1"
    assert len(set(composite)) == 12


def test_the_environment_takes_precedence_over_the_file():
    environ = {"PROJECT": "P", "QUEUE": "prod", "WALLTIME": "6:00:00", "PPN": "12", "PROCS": "3084"}
    found = site.read(AURORA, environ)
    assert (found.account, found.queue, found.walltime) == ("P", "prod", 21_600)
    assert (found.tiles_per_node, found.nodes_per_block) == (12, 257)


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_variable_counts_as_unset(empty):
    environ = dict.fromkeys(["PROJECT", "QUEUE", "WALLTIME", "PPN", "PROCS"], empty)
    assert site.read(AURORA, environ) == site.read(AURORA, {})


@pytest.mark.parametrize("name", ["PROCS", "PPN"])
@pytest.mark.parametrize("text", ["many", "0", "-1", "1.5", "1e3", "\u0663"])
def test_a_count_that_is_none_is_refused_by_the_variable_s_name(name, text):
    sentence = f"{name} in the environment must be a number from 1, not {text!r}"
    assert refuse(AURORA, {name: text}) == sentence


def test_a_walltime_in_the_environment_is_refused_by_the_variable_s_name():
    assert refuse(AURORA, {"WALLTIME": "60"}).startswith("WALLTIME in the environment must be")


@pytest.mark.parametrize("procs", [1, 12, 13, 156, 157])
def test_one_block_has_the_fewest_nodes_that_hold_all_processes(procs):
    nodes = site.read(AURORA, {"PROCS": str(procs)}).nodes_per_block
    assert 12 * (nodes - 1) < procs <= 12 * nodes


@given(procs=st.integers(1, 10_000), ppn=st.integers(1, 12), blocks=st.integers(1, 5))
def test_several_blocks_together_have_the_fewest_nodes_each(tmp_path_factory, procs, ppn, blocks):
    path = write(
        tmp_path_factory.mktemp("site"), scheduler="pbs", launcher="mpiexec", max_blocks=blocks
    )
    nodes = site.read(path, {"PROCS": str(procs), "PPN": str(ppn)}).nodes_per_block
    assert nodes * blocks * ppn >= procs > (nodes - 1) * blocks * ppn


def test_fewer_processes_per_node_take_the_first_cores_and_masks():
    found = site.read(AURORA, {"PPN": "6"})
    assert found.cores == site.read(AURORA, {}).cores[:6]
    assert found.masks() == ("0", "1", "2", "3", "4", "5")


def test_more_processes_per_node_than_cores_are_listed_for_are_refused():
    assert "needs one for each of the 24 tiles_per_node" in refuse(AURORA, {"PPN": "24"})


def test_an_account_is_needed_only_by_pbs_and_only_to_submit():
    found = site.read(AURORA, {})
    with pytest.raises(InputError, match="set PROJECT in the environment or account"):
        site.require_account(found)
    site.require_account(replace(found, account="P"))
    site.require_account(replace(found, scheduler="slurm"))


def test_smaller_blocks_have_their_own_longest_walltime():
    limits = Limits(max_walltime=24, small_blocks=((1919, 18), (1024, 12)))
    assert [limits.longest(n) for n in (256, 1024, 1025, 1919, 1920)] == [12, 12, 18, 18, 24]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.parent.name)
def test_every_profile_s_site_can_be_read_as_it_stands(path):
    found = site.read(path, {})
    assert found.check_device
    assert len(found.masks()) == found.tiles_per_node
    assert not found.account


def test_there_is_a_site_for_each_scheduler():
    found = {path.parent.name: site.read(path, {}).scheduler for path in PROFILES}
    assert found == {"aurora": "pbs", "slurm": "slurm", "workstation": "local"}


def test_aurora_s_tiles_use_no_core_twice_and_none_of_the_system():
    cores = [c.split("-") for c in site.read(AURORA, {}).cores]
    used = [core for first, last in cores for core in range(int(first), int(last) + 1)]
    assert len(used) == len(set(used)) == 96
    assert not {0, 52, 104, 156} & set(used)


def test_the_tables_of_docs_blocks_are_those_that_the_schema_gives(tmp_path):
    subprocess.run([sys.executable, ROOT / "scripts/document.py", tmp_path], check=True)
    written = (tmp_path / "blocks.md").read_text()
    assert written == (ROOT / "docs/blocks.md").read_text(), "run `make docs`"
    assert all(
        f"| `{name}` |" in written for name in site.definition()["properties"] if name != "queues"
    )
