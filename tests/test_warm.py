"""Commands that a warm server executes: the same bytes as cold, and nothing left behind."""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import tiny
from waiting import PATIENCE, wait_for

from hed import modules, variables, warm
from hed.training import precision
from hed.warm import client, server

ROOT = Path(__file__).parents[1]
CLIENT = [sys.executable, "-IS", client.__file__]
MODELS = ROOT / "tests" / "models"
# What differs between two trainings that are the same: the time that they took.
TIMES = {"timings.json", "ckpt-info.json", "ckpt.log", "state.json", "rank.txt", ".lock"}


@pytest.fixture
def owner() -> Iterator[subprocess.Popen[bytes]]:
    """Yield a process that servers live as long as."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


@pytest.fixture
def place(owner: subprocess.Popen[bytes], tmp_path: Path) -> Iterator[Path]:
    """Yield the directory of its servers, and check that nothing outlives the owner."""
    directory = Path(warm.directory(owner.pid, str(tmp_path)))
    yield directory
    owner.kill()
    owner.wait()
    wait_for(lambda: not servers(directory) and not directory.exists())


def servers(directory: Path) -> list[psutil.Process]:
    """Return the servers of a directory."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if str(directory) in (words := process.info["cmdline"] or []) and client.SERVER in words:
            found.append(process)
    return found


def environment(place: Path | None, **more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": f"{ROOT / 'src'}:{MODELS}", **more}
    return {**os.environ, **own} | ({variables.WARM: str(place)} if place else {})


def command(script: str, *arguments: object) -> list[str]:
    """Return a science command as the rules have it."""
    return [*CLIENT, "python", str(ROOT / "scripts" / script), *map(str, arguments)]


def call(place: Path | None, words: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    """Start a command and wait for its end."""
    return subprocess.run(
        words, env=environment(place, **more), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_data(tmp_path_factory.mktemp("data"))


def split(data: Path, out: Path, *more: object) -> list[str]:
    """Return the command that partitions; it needs no TensorFlow."""
    return command("partition.py", data / "rsp_merged.parquet", out, "--index", 1, *more)


# What a command prints, and how it ends


def test_a_command_prints_writes_and_ends_as_by_itself(
    place: Path, data: Path, tmp_path: Path
) -> None:
    cold = call(None, split(data, tmp_path / "cold"))
    for _ in range(2):
        shutil.rmtree(tmp_path / "warm", ignore_errors=True)
        done = call(place, split(data, tmp_path / "warm"))
        assert (done.returncode, done.stdout, done.stderr) == (0, cold.stdout, "")
        assert len(servers(place)) == 1
    assert same(tmp_path / "cold", tmp_path / "warm")


def test_a_mistake_ends_with_its_sentence_and_the_server_goes_on(
    place: Path, data: Path, tmp_path: Path
) -> None:
    wrong = split(data, tmp_path / "out", "--index", 77)
    for words in (wrong, split(data, tmp_path / "out", "--mode", "by_moon")):
        cold, done = call(None, words), call(place, words)
        assert done.returncode == cold.returncode > 0
        assert (done.stdout, done.stderr) == (cold.stdout, cold.stderr)
    assert call(place, split(data, tmp_path / "out")).returncode == 0
    assert len(servers(place)) == 1


def test_what_a_full_disk_did_not_take_is_in_no_other_log(place: Path, tmp_path: Path) -> None:
    score = tmp_path / "scripts" / "score.py"
    score.parent.mkdir()
    score.write_text("import os; print(os.environ['SAID'])")
    words = [*CLIENT, "python", str(score)]
    assert call(place, words, SAID="one").stdout == "one\n"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, env=environment(place, SAID="two"), stdout=full, check=False)
    assert done.returncode
    assert call(place, words, SAID="three").stdout == "three\n"


def test_commands_at_the_same_time_have_servers_of_their_own(
    place: Path, data: Path, tmp_path: Path
) -> None:
    started = [
        subprocess.Popen(
            split(data, tmp_path / str(i)), env=environment(place), stdout=subprocess.DEVNULL
        )
        for i in range(3)
    ]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert 1 <= len(servers(place)) <= 3
    assert all(same(tmp_path / "0", tmp_path / str(i)) for i in range(3))


@pytest.mark.parametrize("variable", ["OMP_NUM_THREADS", "ZE_AFFINITY_MASK"])
def test_a_command_whose_libraries_would_start_otherwise_runs_by_itself(
    place: Path, data: Path, tmp_path: Path, variable: str
) -> None:
    score = tmp_path / "scripts" / "score.py"
    score.parent.mkdir()
    score.write_text("import os; print(os.getpid())")
    assert call(place, split(data, tmp_path / "a"), **{variable: "3"}).returncode == 0
    (found,) = servers(place)
    for value, is_warm in (("1", True), ("2", False), ("1", True)):
        done = call(place, [*CLIENT, "python", str(score)], **{variable: value})
        assert (int(done.stdout) == found.pid) == is_warm


def test_what_a_launcher_adds_counts_more_than_what_a_client_has(
    place: Path, data: Path, tmp_path: Path
) -> None:
    launcher = tmp_path / "launcher"
    launcher.write_text('#!/bin/sh\nexport MODULE=loaded; [ -n "$KEEP" ] || KEEP=1\nexec "$@"\n')
    launcher.chmod(0o755)
    script = tmp_path / "scripts" / "partition.py"
    script.parent.mkdir()
    script.write_text("import os; print(os.environ.get('MODULE'), os.environ.get('OWN'))")
    for own in ("1", "2"):
        done = call(place, [*CLIENT, str(launcher), "python", str(script)], OWN=own)
        assert done.stdout == f"loaded {own}\n"
    assert len(servers(place)) == 1


def test_other_commands_run_by_themselves(place: Path, data: Path, tmp_path: Path) -> None:
    script = tmp_path / "partition.py"
    script.write_text("import os; print(os.getpid())")
    done = call(place, [*CLIENT, "python", str(script)])
    assert int(done.stdout) not in [each.pid for each in servers(place)]
    assert call(place, [*CLIENT, "echo", "a b"]).stdout == "a b\n"
    assert call(place, [*CLIENT, "false"]).returncode == 1


def test_a_server_that_does_not_start_costs_nothing(
    place: Path, data: Path, tmp_path: Path
) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(
        f'#!/bin/sh\ncase "$1" in *server.py) exit 3;; esac\nexec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)
    path = f"{python.parent}:{os.environ['PATH']}"
    done = call(place, split(data, tmp_path / "out"), PATH=path)
    assert done.returncode == 0
    assert done.stderr == "warm server: it does not start: the command is started without it\n"
    assert (tmp_path / "out/rsp_test_data.parquet").exists()
    shutil.rmtree(place)


def test_a_directory_that_others_may_write_to_is_not_used(
    place: Path, data: Path, tmp_path: Path
) -> None:
    place.mkdir()
    place.chmod(0o777)
    done = call(place, split(data, tmp_path / "out"))
    assert done.returncode == 0
    assert "is not this user's alone: the command is started without it" in done.stderr
    assert [*place.iterdir()] == []
    place.rmdir()


def test_only_modules_that_say_so_are_shared(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shared_one.py").write_text("WARM = True\nraise RuntimeError\n")
    (tmp_path / "lonely_one.py").write_text("WARM = False\nraise RuntimeError\n")
    assert modules.may_be_shared("hed.uno") and modules.may_be_shared("shared_one")
    assert not modules.may_be_shared("lonely_one") and not modules.may_be_shared("math")
    token = modules.SERVED.set(True)
    with pytest.raises(modules.ColdError):
        modules.load("lonely_one")
    modules.SERVED.reset(token)


def test_both_sides_have_the_same_names() -> None:
    assert client.VARIABLE == variables.WARM
    assert all((ROOT / "scripts" / name).is_file() for name in server.COMMANDS)


# How a server ends


def train(run: Path, data: Path, **changes: Any) -> list[str]:
    """Return the command that trains a run with changed settings."""
    run.parent.parent.mkdir(parents=True, exist_ok=True)
    upf, dflts = (run.parent.parent / f"{run.name}-{name}.json" for name in ("upf", "dflts"))
    upf.write_text(json.dumps({"id": run.name, "index": 0}) + "\n")
    dflts.write_text(json.dumps({**tiny.NETWORK, **changes}))
    files = ("--upf", upf, "--dflts", dflts)
    return command("train.py", run, *files, "--partition", data, "--data", data)


@pytest.fixture
def training(place: Path, data: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Yield the client of a training that would take very long, after its first epoch."""
    run = tmp_path / "long" / "run" / "RUN000"
    with subprocess.Popen(
        train(run, data, epochs=100000),
        env=environment(place),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for((run / "ckpts" / "last").exists)
        yield process
        process.kill()


def test_a_killed_client_ends_its_training_at_once(
    training: subprocess.Popen[str], place: Path, data: Path, tmp_path: Path
) -> None:
    (found,) = servers(place)
    training.kill()
    found.wait(timeout=PATIENCE)
    assert call(place, split(data, tmp_path / "out")).returncode == 0
    assert servers(place)[0].pid != found.pid


def test_a_server_that_dies_fails_the_command_that_it_was_in(
    training: subprocess.Popen[str], place: Path, data: Path, tmp_path: Path
) -> None:
    servers(place)[0].kill()
    assert training.wait(timeout=PATIENCE) == 1
    assert training.stderr and "error: the warm server died" in training.stderr.read()
    assert call(place, split(data, tmp_path / "out")).returncode == 0


def test_a_server_that_was_killed_between_two_commands_is_replaced_without_a_word(
    place: Path, data: Path, tmp_path: Path
) -> None:
    assert call(place, split(data, tmp_path / "one")).returncode == 0
    (found,) = servers(place)
    found.kill()
    wait_for(lambda: not servers(place))
    done = call(place, split(data, tmp_path / "other"))
    assert (done.returncode, done.stderr) == (0, "")
    assert len(servers(place)) == 1


def test_out_of_memory_fails_one_training_and_the_next_has_another_server(
    place: Path, data: Path, tmp_path: Path
) -> None:
    small, large = (tmp_path / size / "run" / "RUN000" for size in ("small", "large"))
    assert call(place, train(small, data)).returncode == 0
    (found,) = servers(place)
    enough = found.memory_info().vms + 100 * 2**20
    resource.prlimit(found.pid, resource.RLIMIT_AS, (enough, enough))
    done = call(place, train(large, data, interaction_arch=[6000, 6000]))
    assert done.returncode == 1
    assert re.search("OOM|[Mm]emory|bad_alloc|the warm server died", done.stderr), done.stderr
    found.wait(timeout=PATIENCE)
    assert call(place, train(tmp_path / "next" / "run" / "RUN000", data)).returncode == 0
    assert len(servers(place)) == 1


def test_a_server_that_a_client_has_started_is_not_doubled_by_its_owner(
    place: Path, data: Path, tmp_path: Path
) -> None:
    owner = warm.Server(str(place))
    launcher = tmp_path / "tile"
    launcher.write_text('#!/bin/sh\nexec "$@"\n')
    launcher.chmod(0o755)
    started = environment(place)
    owner.ensure(str(launcher), started)
    # A process that is about to execute another program has no command for a moment.
    (first,) = wait_for(lambda: servers(place))
    first.kill()
    wait_for(lambda: not servers(place))
    assert call(place, split(data, tmp_path / "out")).returncode == 0
    (second,) = servers(place)
    owner.ensure(str(launcher), started)
    assert servers(place) == [second]
    assert call(place, split(data, tmp_path / "again")).returncode == 0
    assert servers(place) == [second]


def test_the_end_of_the_owner_ends_a_training(
    training: subprocess.Popen[str], place: Path, owner: subprocess.Popen[bytes]
) -> None:
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    assert training.wait(timeout=PATIENCE) == 1
    wait_for(lambda: not servers(place) and not place.exists())


# The same bytes


def files(directory: Path) -> dict[str, bytes]:
    """Return the content of the files of a run, but for those that hold times."""
    paths = [path for path in directory.rglob("*") if path.is_file() and path.name not in TIMES]
    return {str(path.relative_to(directory)): path.read_bytes() for path in paths}


def same(one: Path, other: Path) -> bool:
    return files(one) == files(other)


# Intel's extension refuses bfloat16 on a processor without AVX-512.
HALF = "bfloat16" if precision.computes_bfloat16() else "float32"
SETTINGS: dict[str, dict[str, Any]] = {
    "usual": {},
    "from_mean": {"output_bias": "mean"},
    "wider": {"interaction_arch": [24, 8], "loss": "mae_poly", "alpha": 2},
    "half": {
        **{"precision": HALF, "batch_size": 64, "row_grouping": 4, "rng_seed": 5},
        **{"optimizer": "RMSprop", "custom_loss_module": "mae_poly_loss"},
    },
    "foreign": {"custom_loss_module": "lonely_loss"},
}
LOSS = "import tensorflow as tf\ndef construct(params):\n    return lambda y, p: tf.abs(y - p)\n"


def results(place: Path | None, name: str, data: Path, run: Path, path: str) -> dict[str, bytes]:
    """Train and score a run; return its files."""
    more = {"PYTHONPATH": f"{ROOT / 'src'}:{path}"}
    done = call(place, train(run, data, **SETTINGS[name]), **more)
    assert done.returncode == 0, done.stderr
    scored = call(place, command("score.py", run, "--partition", data, "--data", data), **more)
    assert scored.returncode == 0, scored.stderr
    return files(run)


def test_results_are_the_bytes_of_cold_ones_whatever_ran_before(
    place: Path, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "lonely_loss.py").write_text(LOSS)
    cold = {
        name: results(None, name, data, tmp_path / "cold" / "run" / name, str(tmp_path))
        for name in SETTINGS
    }
    order = [*SETTINGS, *SETTINGS, "usual", "usual"]
    random.Random(3).shuffle(order)
    for number, name in enumerate(order):
        run = tmp_path / str(number) / "run" / name
        assert results(place, name, data, run, str(tmp_path)) == cold[name], (number, name)
    assert len(servers(place)) == 1
