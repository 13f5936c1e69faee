"""Stand-in nodes with a stand-in PBS server, for a test or for a person.

    with Cluster(tmp_path / "pbs", nodes=4, tiles=3) as cluster:
        environment = cluster.environment()     # os.environ with the commands on PATH
        subprocess.run(["qsub", "job.sh"], env=environment)
        cluster.lose("x0n1")                    # a node dies, with all that runs on it
        cluster.boot("x0n1")                    # and is back
        cluster.server.is_down = True           # qstat exits with 255, the others with 162
        cluster.server.refusals = iter([38, 32])    # as the next two qsubs do

`cluster.bin` holds qsub, qstat, qselect, qdel, mpiexec and on-node; a job finds them on its PATH,
and little else: as on Aurora it gets nothing of the submitter's environment, and has to put its
Python environment on PATH itself, before `bin` or another mpiexec hides the stand-in's. What all
nodes see of the machine is told in nodes.py: /tmp is a node's own, `root` and its siblings are
shared.
"""

import json
import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from nodes import PYTHON, Nodes

from .execution import Execution
from .job import Job
from .rules import Queue
from .server import SOCKET, Server

HERE = Path(__file__).parent
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Cluster:
    """Nodes x0n0, x0n1, ... with `tiles` tiles and `cpus` cores each behind a server.

    `queues` are the limits of rules.Queue by the queue's name, Aurora's if none are given;
    `grace` is the time in seconds between SIGTERM and SIGKILL of a job that has to end (a real
    server's kill_delay).
    """

    def __init__(
        self,
        root: Path,
        *,
        nodes: int = 2,
        tiles: int = 12,
        cpus: int = 208,
        queues: Mapping[str, Mapping[str, int]] | None = None,
        grace: float = 10.0,
    ) -> None:
        """Describe the cluster."""
        self.root = root.resolve()
        self.bin, self.grace, self.tiles = self.root / "bin", grace, tiles
        names = [f"x0n{i}" for i in range(nodes)]
        self.nodes = Nodes(self.root / "nodes", names, shared=[self.root.parent])
        limits = queues or json.loads((HERE / "queues.json").read_text())
        known = {name: Queue(**values) for name, values in limits.items()}
        self.server = Server(self.nodes, known, self._execution, cpus=cpus, tiles=tiles)
        self.stack = ExitStack()

    def __enter__(self) -> "Cluster":
        """Boot the nodes and start the server."""
        for name in ("bin", "spool"):
            (self.root / name).mkdir(parents=True)
        self._write_commands()
        with ExitStack() as stack:
            stack.enter_context(self.nodes)
            stack.enter_context(self.server.serving(self.root))
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Delete all jobs and stop everything."""
        self.stack.close()

    def _write_commands(self) -> None:
        """Write the commands, which work in any environment since they name all they need."""
        place = self.root / SOCKET
        mpich = Path(sys.prefix) / "bin" / "mpiexec.hydra"
        commands: dict[str, tuple[Any, ...]] = {
            name: (*PYTHON, HERE / "client.py", place, name)
            for name in ("qsub", "qstat", "qselect", "qdel")
        }
        commands["mpiexec"] = (*PYTHON, HERE / "mpiexec.py", mpich, self.nodes.on_node)
        commands["on-node"] = (self.nodes.on_node,)
        for name, words in commands.items():
            line = shlex.join(map(str, words))
            (self.bin / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
            (self.bin / name).chmod(0o755)

    def _execution(self, job: Job) -> Execution:
        """Return what runs a job."""
        path = f"{self.bin}:{SYSTEM_PATH}"
        spool = self.root / "spool"
        return Execution(job, self.nodes, spool, path=path, grace=self.grace)

    def environment(self) -> dict[str, str]:
        """Return the environment of a login node: ours, with the commands first on PATH."""
        return os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"}

    def disk(self, node: str) -> Path:
        """Return the directory that a node sees as /tmp."""
        return self.nodes.disk(node)

    def lose(self, node: str, *, notice: float = 0.0) -> None:
        """Kill everything on a node at once; the server notices after so many seconds."""
        self.nodes.lose(node)
        time.sleep(notice)
        self.server.lose(node)

    def boot(self, node: str) -> None:
        """Start a lost node again, with an empty disk."""
        self.nodes.boot(node)
