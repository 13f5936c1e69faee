"""profiles/aurora as users type it, on stand-in nodes behind a stand-in PBS: 24 real drugs."""

import json
import sys
import tarfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from pbs.cluster import Cluster
from projects import MODELS, Project
from waiting import wait_for

from hed.data import partition, responses

MASKS = ("0", "1", "2")

pytestmark = [pytest.mark.xdist_group("faults"), pytest.mark.flaky(reruns=1)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with at most 2 blocks at once, whose runs last as long as their environments."""
    blocks = {"init_blocks": 2, "max_blocks": 2}
    with Cluster(tmp_path / "pbs", nodes=5, tiles=len(MASKS)) as cluster:
        made = Project(tmp_path, cluster, dflts={"model": "cell_means"}, **blocks)
        made.prepare("sleep 4")
        yield made
        made.close()


def test_24_drugs_on_two_blocks_of_which_a_node_is_lost(project: Project) -> None:
    project.start()
    project.reach(lambda: len({record["node"] for record in project.tiles()}) == 4)
    project.cluster.lose(project.tiles()[0]["node"])
    project.finish()

    used = project.tiles()
    assert {record["run"] for record in used} == set(scores(project))
    assert {record["tile"] for record in used} == set(MASKS)
    for place in {(record["node"], record["tile"]) for record in used}:
        times = [(r["start"], r["end"]) for r in used if (r["node"], r["tile"]) == place]
        assert all(first[1] <= second[0] for first, second in pairwise(times))
    assert scores(project) == pytest.approx(expected(project), rel=1e-6)
    assert len(project.read("scores.csv").splitlines()) == 24

    # Partitions and tables were on the nodes' own disks, and nothing is left in the queue.
    recorded = json.loads(project.read("experiment.json"))
    assert not Path(recorded["local"]).exists()
    name = "ge_merged_data.parquet"
    staged = [node for node in project.cluster.nodes.names if find(project, node, name)]
    assert len(staged) >= 3
    wait_for(lambda: all(job.state == "F" for job in project.cluster.server.jobs.values()))
    assert pl.read_parquet(project.experiment / "scores.parquet").height == 24
    assert_has_logs_of_blocks(project)


def assert_has_logs_of_blocks(project: Project) -> None:
    """Check that the tarball has what the pilot said and each block that had a run."""
    with tarfile.open(project.experiment / "EXP000.tgz") as tar:
        sizes = {Path(member.name).name: member.size for member in tar if "/out/" in member.name}
    used = {record["block"] for record in project.tiles()}
    jobs = [job for job in project.cluster.server.jobs.values() if job.id in used]
    assert len(jobs) == len(used)
    assert sizes["pilot.log"]
    assert all(sizes[f"{job.request.name}.stdout"] for job in jobs)
    assert all(f"{job.request.name}.stderr" in sizes for job in jobs)


def expected(project: Project) -> dict[str, float]:
    """Return the mse of each held-out drug by the model of cell means, in this process."""
    sys.path.insert(0, str(MODELS))
    import cell_means

    response = responses.read_checked(project.root / "DATA_SOURCE").rows
    place, scores = project.root / "expected", {}
    for index in range(24):
        partition.write(partition.split(response, index, partition.Split()), place)
        params = {"input_dir": place, "output_dir": place}
        params |= cell_means.initialize_parameters()
        cell_means.run(params)
        test = cell_means.read(params, "test")
        scores[f"RUN{index:03d}"] = ((test["auc"] - cell_means.predict(params, test)) ** 2).mean()
    return scores


def scores(project: Project) -> dict[str, float]:
    """Return the mse of each run."""
    paths = sorted(project.experiment.glob("run/*/test_scores.json"))
    return {path.parent.name: json.loads(path.read_text())["mse"] for path in paths}


def find(project: Project, node: str, name: str) -> list[Path]:
    """Return the files of a name on a node's own disk."""
    return list(project.cluster.disk(node).rglob(name))
