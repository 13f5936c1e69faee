"""Stand-in nodes on one machine, each with its own /tmp, host name and processes.

    with Nodes(tmp_path / "nodes", ["x0n0", "x0n1"]) as nodes:
        nodes.run("x0n0", ["hostname"])     # CompletedProcess, stdout "x0n0"
        nodes.popen("x0n1", ["slurmd", "-D", "-N", "x0n1"])
        nodes.disk("x0n1")                  # what x0n1 sees as /tmp, from outside
        nodes.lose("x0n1")                  # every process on it dies at once
        nodes.boot("x0n1")                  # it is back, with an empty disk

A node is a mount, a UTS and a PID namespace with an agent as first process, through which
commands enter as through ssh (see on_node.py); the program `nodes.on_node NODE COMMAND...` does
that. All else is shared: file systems except /tmp, the network, the user. /etc/hosts of a node
names all nodes, each with an address of the loopback interface. What must be seen everywhere but
lies under /tmp (the parent of the nodes' directory, the repository, the Python environment) is
bound through. Works as root and, where the kernel lets users make namespaces, without.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psutil

AGENT = Path(__file__).with_name("agent.py")
CLIENT = Path(__file__).with_name("on_node.py")
LOCAL = Path("/tmp")
Words = Sequence[str | Path]
# Without site-packages Python starts in a third of the time.
PYTHON = (sys.executable, "-S", "-E", "-s")
# Mounts, in the namespace of a new node: shared directories into the disk, the disk on /tmp.
SETUP = """
disk=$1 hosts=$2 node=$3 local=$4; shift 4
while [ "$1" != -- ]; do
    mkdir -p "$disk/${1#"$local"/}"
    mount --bind "$1" "$disk/${1#"$local"/}"
    shift
done
shift
mount --rbind "$disk" "$local"
mount --bind "$hosts" /etc/hosts
hostname "$node"
exec "$@"
"""


class Nodes:
    """Nodes named `names`; files about them are kept in `root`, which all of them see."""

    def __init__(self, root: Path, names: Sequence[str], *, shared: Iterable[Path] = ()) -> None:
        """Describe the nodes; `shared` are more directories under /tmp that all of them see."""
        self.root = root.resolve()
        self.names = tuple(names)
        repository, environment = AGENT.parent.parent, Path(sys.prefix).resolve()
        seen = {self.root.parent, repository, environment, *(path.resolve() for path in shared)}
        self.shared = sorted(path for path in seen if LOCAL in path.parents)
        self.on_node = self.root / "on-node"
        self.agents: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Nodes":
        """Boot all nodes; RuntimeError if this machine does not let us make namespaces."""
        self.root.mkdir(parents=True)
        client = shlex.join((*PYTHON, str(CLIENT), str(self.root)))
        self.on_node.write_text(f'#!/bin/sh\nexec {client} "$@"\n')
        self.on_node.chmod(0o755)
        names = (f"127.0.1.{i} {name}\n" for i, name in enumerate(self.names, start=1))
        (self.root / "hosts").write_text(Path("/etc/hosts").read_text() + "".join(names))
        try:
            self.boot(*self.names)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Lose all nodes."""
        self.close()

    def close(self) -> None:
        """Kill every process on every node."""
        self.lose(*self.agents)

    def boot(self, *names: str) -> None:
        """Start nodes that are not running, with empty disks, and wait until they answer."""
        started = {}
        try:
            for name in names:
                shutil.rmtree(self.disk(name), ignore_errors=True)
                self.disk(name).mkdir()
                (self.root / f"{name}.sock").unlink(missing_ok=True)
                started[name] = self._start(name)
            for name, agent in started.items():
                self._wait(name, agent)
        finally:
            self.agents |= started  # Not before: a node is up when it answers.

    def _wait(self, name: str, agent: subprocess.Popen[bytes]) -> None:
        """Wait until the agent of a node answers."""
        if agent.stdout is None or agent.stdout.readline() != b"ready\n":
            raise RuntimeError(
                f"cannot make the stand-in node {name}, which needs mount, UTS and PID "
                "namespaces (be root, or let users make them: sysctl "
                "kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu): "
                + (self.root / f"{name}.log").read_text().strip()
            )

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        """Start the agent of a node in new namespaces; it ends when its standard input closes."""
        unshare: Words = ["unshare", "--mount", "--uts", "--pid", "--fork", "--mount-proc"]
        root = [] if os.geteuid() == 0 else ["--map-root-user"]
        mounts: Words = [self.disk(name), self.root / "hosts", name, LOCAL, *self.shared, "--"]
        agent: Words = [*PYTHON, AGENT, self.root, name]
        with (self.root / f"{name}.log").open("w") as log:
            return subprocess.Popen(
                [*unshare, *root, "sh", "-euc", SETUP, "sh", *mounts, *agent],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd="/",
                start_new_session=True,  # Control-C is for the tests, whose end is the nodes' end.
            )

    def disk(self, name: str) -> Path:
        """Return the directory that the node sees as /tmp, as it is seen from outside."""
        return self.root / name

    def popen(self, name: str, argv: Words, **options: Any) -> subprocess.Popen[str]:
        """Start a program on a node; options as of Popen; its status is 255 if the node is lost.

        The returned process is the client: to end the program itself use `signal` or `processes`.
        """
        return subprocess.Popen([self.on_node, name, line(argv)], text=True, **options)

    def run(self, name: str, argv: Words) -> subprocess.CompletedProcess[str]:
        """Run a program on a node to its end and return its output."""
        return subprocess.run([self.on_node, name, line(argv)], text=True, capture_output=True)

    def signal(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to every process that was started on a node; the node lives on."""
        client: Words = [self.on_node, f"--signal={int(number)}", name]
        subprocess.run(client, stderr=subprocess.DEVNULL)

    def lose(self, *names: str) -> None:
        """Kill everything on the nodes at once, as if their power failed."""
        everything = [first for name in names for first in self._first(name)]
        # Nothing of a node may seem to end while the node is up.
        agents = [self.agents.pop(name) for name in names]
        for first in everything:
            first.kill()
        for agent in agents:
            with agent:
                agent.wait()

    def is_up(self, name: str) -> bool:
        """Say whether a node is running."""
        agent = self.agents.get(name)
        return agent is not None and agent.poll() is None

    def _first(self, name: str) -> list[psutil.Process]:
        """Return the first process of a node, if it is running."""
        try:
            return psutil.Process(self.agents[name].pid).children()
        except psutil.NoSuchProcess:
            return []

    def processes(self, name: str) -> list[psutil.Process]:
        """Return the processes that were started on a node, with the ids they have outside."""
        started = [child for first in self._first(name) for child in first.children(recursive=True)]
        return [process for process in started if str(AGENT) not in command(process)]


def line(argv: Words) -> str:
    """Return a line for a shell, which the program replaces, so that signals reach it alone."""
    return "exec " + shlex.join(map(str, argv))


def command(process: psutil.Process) -> list[str]:
    """Return the command line of a process, empty if it has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []
