"""Start and stop Slurm, submit to it, and let its nodes fail."""

import os
import random
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

import psutil
import pytest
from nodes import Nodes
from waiting import PATIENCE, wait_for

from slurm import install

HERE = Path(__file__).parent
NODES = ("n0", "n1", "n2")
CPUS = 16
# A daemon ends with the process that started it, so none outlives a pytest that was killed.
DAEMON = ("setpriv", "--pdeathsig", "KILL", "--")


@contextmanager
def start(
    directory: Path, names: Sequence[str] = NODES, *, shared: Sequence[Path] = ()
) -> Iterator["Cluster"]:
    """Start a cluster with all its files in `directory`, and stop it in the end.

    All nodes see `directory` and the `shared` ones. Fails with one sentence if a daemon does
    not answer.
    """
    with ExitStack() as stack:
        try:
            nodes = stack.enter_context(Nodes(directory / "nodes", names, shared=shared))
            cluster = Cluster(directory, nodes)
            cluster.write_conf()
            cluster.start_daemons(stack)
        except (OSError, RuntimeError) as error:
            pytest.fail(f"Slurm cannot be started: {error}", pytrace=False)
        yield cluster


@dataclass(frozen=True)
class Cluster:
    """A running Slurm; times are in seconds."""

    directory: Path
    nodes: Nodes

    @property
    def environ(self) -> dict[str, str]:
        """Return the environment with which a process finds this cluster."""
        return {**os.environ, "SLURM_CONF": str(self.directory / "slurm.conf")}

    def write_conf(self) -> None:
        """Write the files that all daemons and commands read."""
        port, *ports = free_ports(1 + len(self.nodes.names))
        nodes = [
            f"NodeName={name} NodeAddr=localhost Port={port} CPUs={CPUS} RealMemory=8000\n"
            for name, port in zip(self.nodes.names, ports, strict=True)
        ]
        template = Template((HERE / "slurm.conf").read_text())
        text = template.substitute(directory=self.directory, port=port, nodes="".join(nodes))
        (self.directory / "slurm.conf").write_text(text)
        (self.directory / "state").mkdir()
        key = self.directory / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))

    def start_daemons(self, stack: ExitStack) -> None:
        """Start all daemons, let `stack` end them, and wait until every node takes jobs."""
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "seed-file": "seed"}
        options = [f"--{o}={self.directory}/munge.{name}" for o, name in files.items()]
        # A directory of pytest is its user's only, which munged would not accept by itself.
        self._start(stack, "munged", "--foreground", "--force", *options)
        wait_for((self.directory / "munge.socket").exists, "munged answers")
        self._start(stack, "slurmctld", "-D", "-c")
        for name in self.nodes.names:
            self._start_slurmd(name)
        self.wait_for_nodes(*self.nodes.names)

    def _start(self, stack: ExitStack, program: str, *options: str) -> None:
        """Start a daemon outside of the nodes."""
        with (self.directory / f"{program}.out").open("w") as out:
            daemon = subprocess.Popen(
                [*DAEMON, install.find(program), *options],
                env=self.environ,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        stack.callback(end, daemon)

    def _start_slurmd(self, name: str) -> None:
        """Start the daemon of a node; it goes to the background when it is ready."""
        conf = self.directory / "slurm.conf"
        options = ["-f", conf, "-N", name, "-d", HERE / "slurmstepd"]
        result = self.nodes.run(name, [install.find("slurmd"), *options])
        if result.returncode:
            raise RuntimeError(f"slurmd of {name}: {result.stderr.strip()}")

    def run(self, *command: str) -> str:
        """Run a command outside of the nodes, as on a login node, and return what it prints.

        RuntimeError with what it says if it fails.
        """
        result = subprocess.run(
            command,
            env=self.environ,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)} failed: {result.stderr.strip()}")
        return result.stdout

    def submit(self, script: str, *options: str) -> str:
        """Submit a batch job with the commands of `script` and return its id."""
        log = f"--output={self.directory}/job-%j.txt"
        return self.run("sbatch", "--parsable", log, *options, "--wrap", script).strip()

    def state(self, job: str) -> str:
        """Return the state of a job, such as RUNNING, also after its end."""
        return self.run("squeue", "-h", "--states=all", "--format=%T", f"--jobs={job}").strip()

    def wait_for_state(self, job: str, state: str) -> None:
        """Wait until a job has a state."""
        wait_for(lambda: self.state(job) == state, f"job {job} is {state}")

    def jobs(self) -> list[str]:
        """Return the ids of all jobs that wait or run."""
        return self.run("squeue", "--noheader", "--states=PD,R", "--format=%i").split()

    def end_walltime(self, job: str, *, after: float) -> None:
        """Let the walltime of a running job end; Slurm looks for such jobs every 30 seconds.

        The shortest walltime that can be asked for at submission is a minute.
        """
        self.run("scontrol", "update", f"jobid={job}", f"endtime=now+{after:.0f}")

    def lose(self, name: str) -> None:
        """Let a node lose its power, and tell Slurm, which would wait minutes for its answer."""
        self.nodes.lose(name)
        self.run("scontrol", "update", f"nodename={name}", "state=down", "reason=lost")

    def repair(self, name: str) -> None:
        """Start a lost node again, with an empty /tmp."""
        self.nodes.boot(name)
        self._start_slurmd(name)
        self.wait_for_nodes(name)

    def wait_for_nodes(self, *names: str) -> None:
        """Wait until nodes take new jobs."""
        query = ("sinfo", "--noheader", "--Node", "--nodes", ",".join(names), "--format=%T")
        wait_for(lambda: set(self.run(*query).split()) == {"idle"}, f"{', '.join(names)} take jobs")

    def processes(self) -> list[psutil.Process]:
        """Return all processes of jobs that have not ended, on all nodes that are up."""
        up = [name for name in self.nodes.names if self.nodes.is_up(name)]
        started = [process for name in up for process in self.nodes.processes(name)]
        return [process for process in started if "SLURM_JOB_ID" in environment(process)]


def environment(process: psutil.Process) -> dict[str, str]:
    """Return the environment of a process, empty if it has ended."""
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def end(daemon: subprocess.Popen[bytes]) -> None:
    """Ask a daemon to end and make sure that it does."""
    daemon.terminate()
    try:
        daemon.wait(timeout=10)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses, below those that the kernel gives to connections."""
    with ExitStack() as stack:
        ports: list[int] = []
        while len(ports) < count:
            port = random.randrange(10_000, 32_000)
            server = stack.enter_context(socket.socket())
            with suppress(OSError):
                server.bind(("", port))
                ports.append(port)
        return ports
