#!/usr/bin/env python3
"""What a run costs beside its epochs, with warm servers and without, through the whole chain.

Runs of the embedded data (or of the published size) on the tiles of profiles/workstation. In turns,
warm and cold; of each run the time on its tile, the seconds of its epochs, and the gap to the next
run of the tile. The first run of each tile, which starts its server, is apart from the others.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import yaml

from hed.config import hyperparameters
from hed.data import generate, preprocess
from hed.experiment import usage

ROOT = Path(__file__).parents[1]
SITE = {
    "scheduler": "local",
    "walltime": "1000:00:00",
    "check_device": False,
    "device_variable": "ZE_AFFINITY_MASK",
    "device_hierarchy": "FLAT",
}


@dataclass(frozen=True)
class Run:
    """Seconds of one run: on its tile, in its epochs, and from the last run of its tile on."""

    tile: float
    epochs: float
    gap: float

    @property
    def fixed(self) -> float:
        """All that is not its epochs."""
        return self.tile - self.epochs + self.gap


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--tiles", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=1)
    parser.add_argument("--published", action="store_true", help="data of the published size")
    args = parser.parse_args()
    measured: dict[str, list[Run]] = {"warm": [], "warm, first": [], "cold": []}
    with tempfile.TemporaryDirectory() as directory:
        place = prepare(Path(directory), args.runs, args.tiles, published=args.published)
        for number in range(args.repetitions):
            for is_warm in (True, False):
                first, others = read(run(place, f"{number}-{is_warm}", is_warm=is_warm))
                measured["warm" if is_warm else "cold"] += others
                measured["warm, first"] += first if is_warm else []
    print("| | on the tile, s | epochs, s | to the next run, s | fixed, s |\n|---|---|---|---|---|")
    for kind, runs in measured.items():
        columns = [shown(runs, name) for name in ("tile", "epochs", "gap", "fixed")]
        print("|", " | ".join([kind, *columns]), "|")


def prepare(place: Path, runs: int, tiles: int, *, published: bool) -> Path:
    """Write a profile, the runs and their hyperparameters; return where."""
    shutil.copytree(ROOT / "profiles" / "workstation", place / "profile")
    site = {**SITE, "tiles_per_node": tiles, "local_dir": str(place)}
    (place / "profile" / "site.yaml").write_text(yaml.safe_dump(site))
    lines = [json.dumps({"id": f"RUN{i:03d}", "index": i}) for i in range(runs)]
    (place / "upf.json").write_text("\n".join(lines))
    name = "dflts-e20-fast.json" if published else "dflts-demo.json"
    dflts = hyperparameters.read_dflts(ROOT / "config" / name)
    (place / "dflts.json").write_text(json.dumps({**dflts, "epochs": 1}))
    if published:
        preprocess.write(generate.generate(**generate.PUBLISHED, seed=0), place / "data")
    return place


def run(place: Path, name: str, *, is_warm: bool) -> Path:
    """Run an experiment; return its directory."""
    data = place / "data" if (place / "data").exists() else ROOT / "data" / "gdsc2-demo"
    settings = {
        **{"data_source": data, "upf": place / "upf.json", "dflts": place / "dflts.json"},
        **{"output": place / "output", "experiment": name, "warm": is_warm},
    }
    words = [f"{key}={value}" for key, value in settings.items()]
    snakemake = Path(sys.executable).parent / "snakemake"
    command = [snakemake, "--profile", place / "profile", "--until", "mark", "--config", *words]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PATH": path}, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout.decode() + done.stderr.decode())
    return place / "output" / name


def read(experiment: Path) -> tuple[list[Run], list[Run]]:
    """Return the first run of each tile of an experiment, and the others."""
    tiles: dict[str, list[dict[str, float]]] = {}
    for record in usage.read(experiment / usage.PILOT):
        tiles.setdefault(record["tile"], []).append(record)
    first = [timed(experiment, records[0], gap=0.0) for records in tiles.values()]
    others = [
        timed(experiment, this, gap=this["start"] - last["end"])
        for records in tiles.values()
        for last, this in pairwise(records)
    ]
    return first, others


def timed(experiment: Path, record: dict[str, float], *, gap: float) -> Run:
    """Return the seconds of a run."""
    timings = experiment / "run" / str(record["run"]) / "timings.json"
    epochs = sum(json.loads(timings.read_text())["epoch_seconds"])
    return Run(record["end"] - record["start"], epochs, gap)


def shown(runs: list[Run], name: str) -> str:
    """Return the median of a number, and its extremes."""
    values = [getattr(run, name) for run in runs]
    return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


if __name__ == "__main__":
    main()
