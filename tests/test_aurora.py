"""profiles/aurora as users type it, on stand-in nodes behind a stand-in PBS: 24 real drugs."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from pbs.cluster import Cluster
from pbs.user import until

from hed import partition, preprocess, raw, tables
from hed.pilot.spool import Spool

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "tests" / "models"
MASKS = ("0", "1", "2")

pytestmark = [pytest.mark.xdist_group("pilot"), pytest.mark.flaky(reruns=1)]


class Project:
    """A checkout with profiles/aurora for blocks of 2 nodes of 3 tiles, at most 2 at once."""

    def __init__(self, root: Path, cluster: Cluster) -> None:
        self.root, self.cluster = root / "hed", cluster
        self.experiment = self.root / "output" / "EXP000"
        for name in ("rules", "scripts", "src", "config", "envs", "profiles"):
            shutil.copytree(ROOT / name, self.root / name, symlinks=True)
        shutil.copy(ROOT / "Snakefile", self.root)
        preprocess.write(raw.read(ROOT / "data/gdsc2-demo"), self.root / "DATA_SOURCE")
        (self.root / "dflts.json").write_text('{"model": "cell_means"}')
        self._write_site()

    def _write_site(self) -> None:
        """Change what this machine has otherwise; a run lasts as long as its environment sleeps."""
        path = self.root / "profiles" / "aurora" / "site.yaml"
        environment = self.root / "environment.sh"
        environment.write_text(f"export PYTHONPATH={MODELS}:$PYTHONPATH\nsleep 4\n")
        changes: dict[str, Any] = {
            "walltime": "00:10:00",
            "nodes_per_block": 2,
            "init_blocks": 2,
            "max_blocks": 2,
            "tiles_per_node": len(MASKS),
            "cores": [],
            "launcher": str(self.cluster.bin / "mpiexec"),
            "environment": str(environment),
            "interface": "lo",
            "reserve": 60,
        }
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))

    def start(self) -> subprocess.Popen[str]:
        """Type the command."""
        binaries = Path(sys.executable).parent
        environment = self.cluster.environment()
        environment["PATH"] = f"{self.cluster.bin}:{binaries}:{os.environ['PATH']}"
        settings = ["data_source=DATA_SOURCE", "dflts=dflts.json"]
        return subprocess.Popen(
            ["snakemake", "--profile", "profiles/aurora", "--config", *settings],
            cwd=self.root,
            env=environment
            | {"PROJECT": "hed", "HED_PILOT_PERIOD": "2", "PYTHONPATH": str(MODELS)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def tiles(self) -> list[dict[str, Any]]:
        """Return what the tiles did."""
        spool = Spool(self.experiment / ".pilot")
        return spool.tiles() if spool.directory.exists() else []

    def expected(self) -> dict[str, float]:
        """Return the mse of each held-out drug by the model of cell means, in this process."""
        sys.path.insert(0, str(MODELS))
        import cell_means

        response = tables.read_checked(self.root / "DATA_SOURCE")
        place, scores = self.root / "expected", {}
        for index in range(24):
            partition.write(partition.split(response, index, partition.Split()), place)
            params = {"input_dir": place, "output_dir": place}
            params |= cell_means.initialize_parameters()
            cell_means.run(params)
            test = cell_means.read(params, "test")
            scores[f"RUN{index:03d}"] = (
                (test["auc"] - cell_means.predict(params, test)) ** 2
            ).mean()
        return scores

    def scores(self) -> dict[str, float]:
        """Return the mse of each run."""
        paths = sorted(self.experiment.glob("run/*/test_scores.json"))
        return {path.parent.name: json.loads(path.read_text())["mse"] for path in paths}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Cluster(tmp_path / "pbs", nodes=5, tiles=len(MASKS)) as cluster:
        yield Project(tmp_path, cluster)


def test_24_drugs_on_two_blocks_of_which_a_node_is_lost(project: Project) -> None:
    command = project.start()
    busy = lambda: len({r["node"] for r in project.tiles()}) == 4  # noqa: E731
    until(lambda: busy() or command.poll() is not None, seconds=400)
    assert command.poll() is None, command.communicate()[0]
    project.cluster.lose(project.tiles()[0]["node"])
    printed = command.communicate(timeout=900)[0]
    assert command.returncode == 0, printed

    used = project.tiles()
    assert {record["run"] for record in used} == set(project.scores())
    assert {record["tile"] for record in used} == set(MASKS)
    for place in {(record["node"], record["tile"]) for record in used}:
        times = [(r["start"], r["end"]) for r in used if (r["node"], r["tile"]) == place]
        assert all(first[1] <= second[0] for first, second in pairwise(times))
    assert project.scores() == pytest.approx(project.expected(), rel=1e-6)
    assert len((project.experiment / "scores.csv").read_text().splitlines()) == 24

    # Partitions and tables were on the nodes' own disks, and nothing is left in the queue.
    recorded = json.loads((project.experiment / "experiment.json").read_text())
    assert not Path(recorded["local"]).exists()
    name = "ge_merged_data.parquet"
    staged = [node for node in project.cluster.nodes.names if find(project, node, name)]
    assert len(staged) >= 3
    assert all(job.state == "F" for job in project.cluster.server.jobs.values())
    assert pl.read_parquet(project.experiment / "scores.parquet").height == 24


def find(project: Project, node: str, name: str) -> list[Path]:
    """Return the files of a name on a node's own disk."""
    return list(project.cluster.disk(node).rglob(name))
