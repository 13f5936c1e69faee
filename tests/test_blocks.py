"""The command that says before a submission what it will do, and what it prints."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from experiments import assert_is_refused, call_script, run_script, write_experiment

from hed.errors import InputError
from hed.experiment import outstanding
from hed.site import capacity, outlook, site

ROOT = Path(__file__).parents[1]
AURORA = site.read(ROOT / "profiles" / "aurora" / "site.yaml", {})
WORKSTATION = site.read(ROOT / "profiles" / "workstation" / "site.yaml", {})


def place(nodes, **changes):
    """Return Aurora with blocks of so many nodes."""
    return replace(AURORA, nodes_per_block=nodes, **changes)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("PROJECT", "QUEUE", "WALLTIME", "PROCS", "PPN"):
        monkeypatch.delenv(name, raising=False)


def test_a_queue_with_unknown_limits_is_allowed_with_a_hint_at_the_nearest_name():
    typed = replace(AURORA, queue="capcity")
    capacity.refuse(typed, 770)
    text = outlook.render(typed, 770, source="here")
    assert "capcity, limits not known; did you mean 'capacity'?" in text


def test_the_report_says_what_happens_line_by_line():
    text = outlook.render(place(13, account="P"), 770, source="here", hours_per_run=20)
    assert text == (
        "site        here\n"
        "queue       capacity: 1 to 16 nodes, up to 168:00:00, 2 jobs running at once\n"
        "account     P\n"
        "blocks      1 x 13 nodes for 24:00:00\n"
        "nodes       13\n"
        "tiles       156\n"
        "runs        770\n"
        "waves       5\n"
        "fill        98.7 %\n"
        "node-hours  312 requested\n"
        "time        100 h, 1,300 node-hours, if each run takes 20 h\n"
        "walltime    too short for one block: about 5 blocks one after the other, "
        "runs continue from their checkpoints\n"
    )


def test_this_machine_s_report_has_no_queue_and_no_account():
    text = outlook.render(WORKSTATION, 24, source="here", hours_per_run=1)
    assert "queue" not in text
    assert "account" not in text
    assert "1 x 1 node for" in text
    assert "walltime    suffices\n" in text


def test_waiting_blocks_are_reported():
    assert "2 of them waiting" in outlook.render(place(5, max_blocks=4), 770, source="here")


def test_suggestions_are_aligned_columns():
    lines = outlook.render_suggestions(AURORA, 770, hours_per_run=2).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split()[-2:] == ["hours", "node-hours"]
    assert lines[1].split() == ["13", "1", "156", "5", "98.7", "%", "10.0", "130"]


def test_the_command_counts_the_runs_of_the_configuration_and_writes_nothing():
    watched = f"""if True:
        import os, runpy, sys
        def watch(event, details):
            written = event == "open" and details[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if written or event in ("os.mkdir", "os.rename", "os.remove", "shutil.copyfile"):
                os._exit(9)
        sys.addaudithook(watch)
        sys.dont_write_bytecode = True
        runpy.run_path({str(ROOT / "scripts" / "blocks.py")!r}, run_name="__main__")
    """
    result = subprocess.run([sys.executable, "-c", watched], capture_output=True, text=True)
    assert result.returncode == 0
    assert "\nruns        24\n" in result.stdout


def test_the_command_adds_up_what_is_left_of_experiments_upfs_and_data(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "running", "waiting"])
    upf = experiment / "upf.json"
    data = ROOT / "data" / "gdsc2-demo"
    text = call_script("blocks.py", experiment, upf, data)
    assert f"\nruns        {2 + 3 + 24}\n" in text


def test_the_runs_of_a_upf_are_counted_with_the_repeats_and_the_model_of_the_configuration(
    tmp_path,
):
    shutil.copytree(ROOT / "config", tmp_path / "config")
    (tmp_path / "ridge.json").write_text('{"model": "hed.baselines.ridge"}')
    (tmp_path / "upf.json").write_text('{"id": "A", "index": 0, "rows": 7}\n')
    keys = {"data_source": str(ROOT / "data" / "gdsc2-demo"), "dflts": "ridge.json", "repeats": 3}
    (tmp_path / "config" / "config.yaml").write_text(json.dumps(keys))
    assert outstanding.count(tmp_path / "upf.json", tmp_path) == 3


def test_the_command_says_when_nothing_is_left(tmp_path):
    experiment = write_experiment(tmp_path / "EXP000", ["done", "done"])
    assert call_script("blocks.py", experiment) == "no run is left to do\n"


def test_the_command_names_the_variables_that_it_obeyed(monkeypatch):
    monkeypatch.setenv("PROCS", "24")
    text = call_script("blocks.py", "--profile", ROOT / "profiles/slurm", "--runs", 8)
    assert text.splitlines()[0].endswith("profiles/slurm/site.yaml PROCS=24")
    assert "blocks      1 x 6 nodes" in text


def test_the_command_suggests_sizes_where_the_set_one_would_be_refused(monkeypatch):
    monkeypatch.setenv("PROCS", "780")
    first = call_script("blocks.py", "--runs", 770, "--suggest").splitlines()[1]
    assert first.split() == ["13", "1", "156", "5", "98.7", "%"]


def test_the_command_refuses_what_the_queue_would_refuse():
    environ = {"PROCS": "780", "PATH": "/usr/bin:/bin"}
    result = run_script("blocks.py", "--runs", 770, env=environ)
    assert_is_refused(result, "error: queue capacity takes 1 to 16 nodes, not 65")
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--runs", "0"], "--runs must be at least 1"),
        (["--runs", "3", "data"], "not both"),
        (["--hours-per-run", "nan"], "--hours-per-run must be above 0"),
        (["--hours-per-run", "-1"], "--hours-per-run must be above 0"),
        (["--profile", "nowhere"], "no such file: nowhere"),
        (["nowhere.json"], "no such file: nowhere.json"),
    ],
)
def test_the_command_s_arguments_are_refused_in_one_sentence(arguments, words):
    with pytest.raises(InputError, match=words):
        call_script("blocks.py", *arguments)
