"""What a user of the stand-in cluster does: call a command, submit a job, wait for its state."""

import json
import subprocess
from pathlib import Path
from typing import Any

from waiting import wait_for

from .cluster import Cluster


def call(cluster: Cluster, line: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command line in the directory of the cluster's directory and return all it gave."""
    place = cluster.root.parent
    return subprocess.run(
        ["sh", "-c", line],
        env=cluster.environment(),
        cwd=place,
        capture_output=True,
        text=True,
        **options,
    )


def submit(cluster: Cluster, script: str, options: str) -> str:
    """Submit a script under the name `job` and return the job's identifier."""
    answer = call(cluster, f"qsub -N job {options}", input=script)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def look(cluster: Cluster, job: str) -> dict[str, Any]:
    """Return a job's attributes."""
    answer = call(cluster, f"qstat -x -f -F json {job}")
    assert answer.returncode == 0, answer.stderr
    attributes: dict[str, Any] = json.loads(answer.stdout)["Jobs"][job]
    return attributes


def reach(cluster: Cluster, job: str, state: str) -> dict[str, Any]:
    """Wait for a state of a job and return its attributes."""
    number = int(job.split(".")[0])
    wait_for(lambda: cluster.server.jobs[number].state == state)
    return look(cluster, job)


def output(cluster: Cluster, job: str) -> str:
    """Return the standard output of a job."""
    return (cluster.root.parent / f"job.o{job.split('.')[0]}").read_text()


def file(cluster: Cluster, node: str, name: str) -> Path:
    """Wait for a file on a node's disk."""
    path = cluster.disk(node) / name
    wait_for(path.exists)
    return path
