"""profiles/aurora as users type it, on stand-in nodes behind a stand-in PBS."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml
from chains import MORTAL, QUICKLY
from nodes import command
from pbs.cluster import Cluster
from waiting import PATIENCE, wait_for

from hed.data import preprocess
from hed.pilot.spool import Spool

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests" / "models"
# What this machine has otherwise than Aurora.
SITE = {
    "walltime": "00:10:00",
    "nodes_per_block": 2,
    "cores": [],
    "interface": "lo",
    "reserve": 60,
}


class Project:
    """A checkout with profiles/aurora for blocks of 2 nodes of the cluster.

    Args:
        dflts: the hyperparameters of every run.
        site: what else to change in the profile's site.yaml.
    """

    def __init__(
        self, root: Path, cluster: Cluster, *, dflts: Mapping[str, Any], **site: Any
    ) -> None:
        self.root, self.cluster = root / "hed", cluster
        self.experiment = self.root / "output" / "EXP000"
        self.arguments = ["--profile", "profiles/aurora", *QUICKLY]
        self.settings = {"data_source": "DATA_SOURCE", "dflts": "dflts.json"}
        self.commands: list[psutil.Popen] = []
        for name in ("rules", "scripts", "src", "config", "envs", "profiles"):
            shutil.copytree(ROOT / name, self.root / name, symlinks=True)
        shutil.copy(ROOT / "Snakefile", self.root)
        scaled = {"ge_scaling": "std", "md_scaling": "std"}
        preprocess.preprocess(ROOT / "data/gdsc2-demo", self.root / "DATA_SOURCE", **scaled)
        (self.root / "dflts.json").write_text(json.dumps(dflts))
        self.prepare("")
        own = {
            "tiles_per_node": cluster.tiles,
            "launcher": str(cluster.bin / "mpiexec"),
            "environment": str(self.root / "environment.sh"),
        }
        self.change(**{**SITE, **own, **site})
        self.period = 2

    def change(self, **site: Any) -> None:
        """Change the profile's site.yaml."""
        path = self.root / "profiles" / "aurora" / "site.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | site))

    def prepare(self, line: str) -> None:
        """Let this line precede each science command on a node."""
        path = self.root / "environment.sh"
        path.write_text(f"export PYTHONPATH={MODELS}:$PYTHONPATH\n{line}\n")

    def start(self, *before: str) -> psutil.Popen:
        """Type the command, after words such as nohup."""
        binaries = Path(sys.executable).parent
        environment = self.cluster.environment()
        environment["PATH"] = f"{self.cluster.bin}:{binaries}:{os.environ['PATH']}"
        settings = [f"{name}={value}" for name, value in self.settings.items()]
        started = psutil.Popen(
            [*MORTAL, *before, "snakemake", *self.arguments, "--config", *settings],
            cwd=self.root,
            env=environment
            | {
                "PROJECT": "hed",
                "HED_PILOT_PERIOD": str(self.period),
                "PYTHONPATH": f"{ROOT}/src:{MODELS}",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.commands.append(started)
        return started

    def close(self) -> None:
        """Kill what is left of the commands; no block outlives them."""
        for each in self.commands:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def finish(self) -> str:
        """Wait for the success of the command that was typed last; return what it printed."""
        printed: str = self.commands[-1].communicate(timeout=PATIENCE)[0]
        assert self.commands[-1].returncode == 0, printed
        return printed

    def reach(self, condition: Any) -> Any:
        """Return what a condition gives as soon as it holds, unless the command ends before."""
        last = self.commands[-1]
        found = wait_for(lambda: condition() or last.poll() is not None)
        assert last.poll() is None, last.communicate()[0]
        return found

    def processes(self, node: str, program: str) -> list[psutil.Process]:
        """Return the processes on a node that execute a program, the oldest first."""
        found = self.cluster.nodes.processes(node)
        return [each for each in found if any(w.endswith(program) for w in command(each)[:3])]

    def sidecar(self) -> psutil.Process:
        """Return the sidecar of the command that was typed last; other children come and go."""
        children = self.commands[-1].children()
        (found,) = (each for each in children if "hed.pilot.sidecar" in command(each))
        return found

    def tiles(self) -> list[dict[str, Any]]:
        """Return what the tiles did."""
        spool = Spool(self.experiment / ".pilot")
        return spool.tiles() if spool.directory.exists() else []

    def read(self, name: str) -> str:
        """Return the text of a file of the experiment, empty while there is none.

        Snakemake removes the log of a job that it is about to start again.
        """
        try:
            return (self.experiment / name).read_text()
        except FileNotFoundError:
            return ""
