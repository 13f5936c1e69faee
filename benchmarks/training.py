#!/usr/bin/env python3
"""Steps and epochs of the published size, beside two tables joined for each batch of 32.

Alternates the reference (reference.py) and settings of hed, each in a process of its own, and
prints medians with min and max; writes benchmarks/results.json.
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from timing import spread

from hed import generate, partition, preprocess

HERE = Path(__file__).parent
REPETITIONS = 3

# Name to who trains, its hyperparameters, and how many steps are measured.
VARIANTS: dict[str, tuple[str, dict[str, Any], int]] = {
    "reference, batch 32": ("reference", {}, 60),
    "hed, batch 32": ("hed", {}, 60),
    "hed, batch 512, shared towers": ("hed", {"batch_size": 512, "tower_sharing": "on"}, 20),
    "hed, batch 4096, shared towers": ("hed", {"batch_size": 4096, "tower_sharing": "on"}, 5),
}


def main() -> None:
    """Generate the data, measure, print, write."""
    with tempfile.TemporaryDirectory() as name:
        data, parts = Path(name) / "data", Path(name) / "partition"
        tables = generate.generate(**generate.PUBLISHED, seed=0)
        preprocess.write(tables, data)
        partition.write(partition.split(tables.response, 5, partition.Split()), parts)
        results: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
        for _ in range(REPETITIONS):
            for variant, settings in VARIANTS.items():
                results[variant].append(measure(*settings, data=data, parts=parts))
    report(results)
    (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")


def measure(
    who: str, parameters: dict[str, Any], steps: int, *, data: Path, parts: Path
) -> dict[str, float]:
    """Measure one variant in a process of its own."""
    command = [sys.executable, HERE / "worker.py", who, "--data", data, "--partition", parts]
    options = ["--parameters", json.dumps(parameters), "--steps", str(steps)]
    done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def report(results: dict[str, list[dict[str, float]]]) -> None:
    """Print each figure of each variant, and how many times faster than the reference it is."""
    reference = results["reference, batch 32"]
    for variant, runs in results.items():
        print(variant)
        for key in runs[0]:
            print(f"    {key:<22} {spread([run[key] for run in runs])}")
        ratios = [r["epoch_s"] / run["epoch_s"] for r, run in zip(reference, runs, strict=True)]
        print(f"    {'times faster':<22} {spread(ratios)}")
    print(f"epoch of the reference: {statistics.median(r['epoch_s'] for r in reference):.0f} s")


if __name__ == "__main__":
    main()
