"""Stand-in nodes are as separate as machines are, and end when they should."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from nodes import Nodes
from waiting import wait_for

# Makes a node, starts a program on it and waits to be killed.
MAKER = """
import pathlib, sys, time
from nodes import Nodes
with Nodes(pathlib.Path(sys.argv[1]), ["x0n0"]) as nodes:
    nodes.popen("x0n0", ["sleep", "64"])
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Nodes]:
    """Boot two nodes."""
    with Nodes(tmp_path / "nodes", ["x0n0", "x0n1"]) as running:
        yield running


def test_each_node_has_its_own_name_disk_and_processes(nodes: Nodes) -> None:
    script = "hostname; hostname > /tmp/name; ls -A /tmp; ls -d /proc/[0-9]* | wc -l"
    for name in nodes.names:
        first, *files, count = nodes.run(name, ["sh", "-c", script]).stdout.split()
        assert first == name and "name" in files and int(count) < 10
        assert (nodes.disk(name) / "name").read_text() == f"{name}\n"


def test_a_node_is_up_only_when_it_answers(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes.lose("x0n0")
    seen, wait = [], Nodes._wait

    def look(self: Nodes, name: str, agent: subprocess.Popen[bytes]) -> None:
        seen.append(self.is_up(name))
        wait(self, name, agent)

    monkeypatch.setattr(Nodes, "_wait", look)
    nodes.boot("x0n0")
    assert (seen, nodes.is_up("x0n0")) == ([False], True)


def test_all_nodes_see_the_files_beside_theirs_and_each_others_names(nodes: Nodes) -> None:
    place = nodes.root.parent / "shared"
    nodes.run("x0n0", ["sh", "-c", f"echo seen > {place}"])
    assert nodes.run("x0n1", ["cat", place]).stdout == place.read_text() == "seen\n"
    assert nodes.run("x0n1", ["getent", "hosts", "x0n0"]).stdout.split() == ["127.0.1.1", "x0n0"]
    assert "x0n0" not in Path("/etc/hosts").read_text()


def test_a_command_gives_its_status_as_under_ssh(nodes: Nodes) -> None:
    assert nodes.run("x0n0", ["sh", "-c", "exit 7"]).returncode == 7
    assert nodes.run("x0n0", ["/no/such/program"]).returncode == 127
    line: list[str | Path] = [nodes.on_node, "-x", "x0n1", "echo", "-x;", "kill -TERM $$"]
    answer = subprocess.run(line, capture_output=True, text=True)
    assert (answer.stdout, answer.returncode) == ("-x\n", 128 + signal.SIGTERM)


def test_a_signal_reaches_every_process_of_a_node_and_no_other(nodes: Nodes) -> None:
    started = [
        nodes.popen(name, ["sh", "-c", "setsid sleep 66 & sleep 67"]) for name in nodes.names
    ]
    wait_for(lambda: [len(nodes.processes(name)) for name in nodes.names] == [3, 3])
    nodes.signal("x0n0", signal.SIGTERM)
    assert started[0].wait() == 128 + signal.SIGTERM
    wait_for(lambda: nodes.processes("x0n0") == [])
    assert len(nodes.processes("x0n1")) == 3


def test_a_lost_node_takes_its_processes_along_and_comes_back_empty(nodes: Nodes) -> None:
    running = nodes.popen("x0n1", ["sh", "-c", "touch /tmp/on; sleep 68"])
    wait_for((nodes.disk("x0n1") / "on").exists)
    started = nodes.processes("x0n1")
    nodes.lose("x0n1")
    assert running.wait() == 255
    assert not any(process.is_running() for process in started)
    assert nodes.run("x0n1", ["true"]).returncode == 255
    assert (nodes.is_up("x0n0"), nodes.is_up("x0n1")) == (True, False)
    nodes.boot("x0n1")
    assert nodes.run("x0n1", ["ls", "/tmp/on"]).returncode == 2


def test_nodes_that_cannot_be_made_are_an_error_that_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "unshare").write_text("#!/bin/sh\necho Operation not permitted >&2; exit 1\n")
    (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with (
        pytest.raises(RuntimeError, match=r"x0n0.*namespaces.*Operation not permitted"),
        Nodes(tmp_path / "nodes", ["x0n0"]),
    ):
        pass


def test_nodes_end_with_the_process_that_made_them(tmp_path: Path) -> None:
    argv: list[str | Path] = [sys.executable, "-c", MAKER, tmp_path / "nodes"]
    with subprocess.Popen(argv, cwd=Path(__file__).parent, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None and maker.stdout.readline() == b"up\n"
        started = wait_for(lambda: processes_below(maker))
        maker.kill()
    wait_for(lambda: not any(process.is_running() for process in started))


def processes_below(maker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the processes of a node's maker, once its program runs."""
    below = psutil.Process(maker.pid).children(recursive=True)
    return below if any(process.name() == "sleep" for process in below) else []
