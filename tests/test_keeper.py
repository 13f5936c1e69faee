"""What looks after the worker pool of a node, and says so when no run can begin there."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from nodes import command
from waiting import PATIENCE, wait_for

from hed.pilot import keeper, scratch
from hed.pilot.spool import Spool
from hed.pilot.tile import Tiles
from hed.pilot.timers import TIMERS
from hed.site.profile import PILOT

TILES = Tiles(("0",), "", "", False, "", "/tmp")
NODE = os.uname().nodename
# Stands for Parsl's pool: its workers die as soon as they are started, for ever.
DYING = """
import subprocess, sys, time
while True:
    subprocess.Popen([sys.executable, "-c", "raise AssertionError('more workers than cores')"])
    time.sleep(0.1)
"""


class Keeper:
    """A keeper of a pool that is a shell's command, on a node told of its tiles."""

    def __init__(self, root: Path) -> None:
        self.root, self.spool = root, Spool.make(root / "EXP000" / ".pilot")
        self.local = root / "local"
        self.tell(replace(TILES, local=str(self.local)))

    def tell(self, tiles: Tiles) -> None:
        self.tiles = tiles
        self.spool.tell_nodes(tiles)

    def start(self, text: str, *options: str, **more: str) -> subprocess.Popen[str]:
        """Start it; the command gets the options as its own."""
        pool = ["sh", "-c", text, "pool", "--block_id=7", *options]
        path = f"{PILOT}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.Popen(
            [sys.executable, "-m", "hed.pilot.keeper", *pool],
            env={**os.environ, "HED_SPOOL": str(self.spool.directory), "PATH": path, **more},
            stderr=subprocess.PIPE,
            text=True,
        )

    @contextmanager
    def idling(self, text: str, **more: str) -> Iterator[str]:
        """Yield what a keeper reports that finds its node, or its pool, of no use."""
        with self.start(text, **more) as process:
            try:
                wait_for(self.spool.reported_nodes)
                assert process.poll() is None
                yield self.spool.reported_nodes()["7", NODE]
            finally:
                process.terminate()
        assert process.returncode == 1

    def run(self, text: str, *options: str, **more: str) -> int:
        """Return the exit status of a keeper whose pool comes to its end."""
        process = self.start(text, *options, **more)
        process.communicate(timeout=PATIENCE)
        return process.returncode


@pytest.fixture
def kept(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path)


def test_nothing_of_a_pool_is_left(kept: Keeper) -> None:
    left = kept.root / "left"
    assert kept.run(f"setsid sleep 300 & echo $! >{left}; : >$TMPDIR/pymp-1") == 0
    assert not psutil.pid_exists(int(left.read_text()))
    assert not kept.local.exists()


def test_a_worker_pool_that_is_killed_is_started_again(kept: Keeper) -> None:
    starts = kept.root / "starts"
    assert kept.run(f"echo >>{starts}; [ $(wc -l <{starts}) = 2 ] || kill -9 $$") == 0
    assert len(starts.read_text().splitlines()) == 2
    assert not kept.spool.reported_nodes()


def test_the_name_of_a_pool_tells_its_node(kept: Keeper) -> None:
    said = kept.root / "said"
    kept.run(f"echo $* >{said}")
    assert f"--uid={NODE}-" in said.read_text()


def test_the_reserve_of_a_worker_pool_counts_from_the_start_of_its_block(kept: Keeper) -> None:
    starts = kept.root / "starts"
    text = f"echo $2 >>{starts}; [ $(wc -l <{starts}) = 2 ] || {{ sleep 2; kill -9 $$; }}"
    begun = f"{time.time() - 100:.0f}"
    kept.run(text, "--drain_period=1000", HED_BLOCK_START=begun)
    first, again = (int(line.partition("=")[2]) for line in starts.read_text().splitlines())
    assert 800 < again <= first - 2 <= 900
    late = {"HED_BLOCK_START": f"{time.time() - 2000:.0f}"}
    assert keeper.from_now(["--drain_period=1000"], late) == ["--drain_period=1"]
    assert keeper.from_now(["--drain_period=None"], late) == ["--drain_period=None"]


@pytest.mark.parametrize(
    ("end", "why"),
    [
        ("kill -9 $$", "its worker pool ends with status -9"),
        ("echo 'OSError: [Errno 28] No space left' >&2; exit 1", "OSError: [Errno 28] No space"),
    ],
)
def test_a_pool_that_ends_in_an_error_again_and_again_leaves_its_node_idle(
    kept: Keeper, end: str, why: str
) -> None:
    starts = kept.root / "starts"
    with kept.idling(f"echo >>{starts}; {end}") as report:
        assert report.startswith(why)
        assert len(starts.read_text().splitlines()) == TIMERS.quick_pools


def test_a_node_without_runs_ends_its_block_when_no_dispatcher_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine of the dispatcher may have crashed while the block was in the queue."""
    spool = Spool.make(tmp_path / ".pilot")
    quick = replace(TIMERS, idle_look=0.01, idle_looks=3)
    monkeypatch.setattr(keeper, "TIMERS", quick)
    spool.sign()
    last = spool.signed()
    # While the mount is stale, while there are signs of life, and when none comes any more.
    seen = iter(
        [*[math.nan] * 20, *[last + i for i in range(50)], *[last] * (quick.idle_looks + 1)]
    )
    monkeypatch.setattr(Spool, "signed", lambda self: next(seen))
    with pytest.raises(SystemExit) as ended:
        keeper._idle(spool)
    assert ended.value.code == 0 and list(seen) == []
    monkeypatch.undo()
    (spool.directory / "served").unlink()
    assert math.isnan(spool.signed())


def test_the_fork_server_of_a_warm_node_starts_and_ends_with_its_pool(kept: Keeper) -> None:
    kept.tell(replace(kept.tiles, warm=True))
    said = kept.root / "said"
    text = (
        f"[ -S \"$HED_FORKS\" ] && pgrep -f '[h]ed.pilot.forkserver' -P $(ps -o ppid= $$) >>{said}"
    )
    assert kept.run(f"{text}; [ $(wc -l <{said}) = 2 ] || kill -9 $$") == 0
    first, second = map(int, said.read_text().split())
    assert first != second
    assert not psutil.pid_exists(first) and not psutil.pid_exists(second)


@pytest.mark.parametrize("warm", [False, True])
def test_workers_that_die_before_they_begin_a_run_end_their_pool(kept: Keeper, warm: bool) -> None:
    kept.tell(replace(kept.tiles, warm=warm))
    dying = kept.root / "dying.py"
    dying.write_text(DYING)
    with kept.idling(f"exec {sys.executable} {dying}") as report:
        assert report == "AssertionError: more workers than cores"
        assert not [p for p in psutil.process_iter() if command(p)[1:2] == [str(dying)]]


def test_workers_that_die_while_another_has_a_run_do_not_end_it(
    kept: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "(sleep 8; :) & n=0; while [ $n -lt 9 ]; do sleep 0.2 & n=$((n+1)); done; wait"
    assert TIMERS.worker_deaths * len(TILES.masks) < 9
    assert kept.run(text) == 0
    assert not kept.spool.reported_nodes()


@pytest.mark.parametrize(
    ("tiles", "why"),
    [
        ({"cores": ("8888",)}, "tile 0 has cores 8888, but a run cannot use 8888 here"),
        ({"environment": "/none.sh"}, "`tile true` fails: /none.sh failed"),
        ({"variable": "ZE_AFFINITY_MASK", "masks": ("",)}, "names no device"),
        ({"local": "/proc/none"}, "/proc/none takes no file: /proc/none: No such file"),
    ],
)
def test_a_node_on_which_no_run_can_begin_says_why(
    kept: Keeper, tiles: dict[str, object], why: str
) -> None:
    kept.tell(replace(kept.tiles, **tiles))  # type: ignore[arg-type]
    with kept.idling("echo started >started") as report:
        assert why in report
    assert not (kept.root / "started").exists()


def test_a_full_disk_is_told(kept: Keeper) -> None:
    kept.tell(replace(TILES, local="/dev/shm/hed-test"))
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))"
    (kept.root / "sitecustomize.py").write_text(
        f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n{limited}\n"
    )
    with kept.idling(":", PYTHONPATH=str(kept.root)) as report:
        assert report.startswith("/dev/shm/hed-test takes no file: ")


def test_an_import_that_fails_on_a_node_is_told(kept: Keeper) -> None:
    (kept.root / "sitecustomize.py").write_text("import sys; sys.modules['hed.pilot.guard'] = None")
    with kept.idling(":", PYTHONPATH=str(kept.root)) as report:
        assert report.startswith("ModuleNotFoundError: ")
        assert "hed.pilot.guard" in report


def test_a_launcher_s_binding_is_undone(kept: Keeper) -> None:
    said = kept.root / "said"
    text = f"nproc >{said}"
    one = f"{min(os.sched_getaffinity(0))}"
    words = ["taskset", "-c", one, sys.executable, "-m", "hed.pilot.keeper", "sh", "-c", text]
    path = f"{PILOT}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environ = {**os.environ, "HED_SPOOL": str(kept.spool.directory), "PATH": path}
    subprocess.run(words, env=environ, check=True)
    assert int(said.read_text()) == len(os.sched_getaffinity(0))


def test_what_a_killed_node_left_is_removed_by_the_next_pool_there(kept: Keeper) -> None:
    local = kept.root / "of the experiment"
    (kept.spool.directory.parent / "experiment.json").write_text(json.dumps({"local": str(local)}))
    where = kept.root / "where"
    with kept.start(f"touch $TMPDIR/pymp-1; echo $TMPDIR >{where}; sleep 300") as process:
        wait_for(lambda: where.exists() and where.read_text())
        (local / "RUN000").mkdir()
        for each in [*psutil.Process(process.pid).children(recursive=True), process]:
            each.send_signal(signal.SIGKILL)
    temporary = Path(where.read_text().strip())
    assert (temporary / "pymp-1").exists()
    seen = kept.root / "seen"
    assert kept.run(f"ls -A '{local}' '{temporary}' >{seen}") == 0
    assert not {"RUN000", "pymp-1"} & set(seen.read_text().split())
    assert not local.exists() and not temporary.exists()


def test_what_another_experiment_left_is_removed_unless_it_is_at_work(tmp_path: Path) -> None:
    for name in ("dead", "plain"):
        (tmp_path / name / "RUN000").mkdir(parents=True)
    (tmp_path / "dead" / scratch.LOCK).touch()
    # What a block has just unpacked: staging's record, and the software, in which uv left a lock.
    for copy in (".hed-staging", "training"):
        (tmp_path / copy).mkdir()
        (tmp_path / copy / ".lock").touch()
        (tmp_path / copy / "training.json").touch()
    with scratch.use(tmp_path / "alive") as temporary:
        scratch.remove_dead(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
        assert temporary.is_dir()
        # Temporary files are beside the directory where its own name is too long for sockets.
        assert left - {temporary.name} == {"alive", "plain", ".hed-staging", "training"}
        for copy in (".hed-staging", "training"):
            assert (tmp_path / copy / "training.json").exists()


def test_two_pools_on_one_node_do_not_remove_each_other_s_files(tmp_path: Path) -> None:
    with scratch.use(tmp_path / "of") as first:
        (tmp_path / "of" / "RUN000").mkdir()
        with scratch.use(tmp_path / "of") as second:
            assert first == second
        assert (tmp_path / "of" / "RUN000").exists()
    assert not (tmp_path / "of").exists()


def test_sockets_find_room_in_the_name_of_a_temporary_directory(tmp_path: Path) -> None:
    with scratch.use(tmp_path / "user" / "hed" / ("x" * 100)) as temporary:
        assert temporary.is_dir()
        assert len(str(temporary)) < len(str(tmp_path)) + 25
    assert not list(tmp_path.iterdir())
