#!/usr/bin/env python3
"""Steps and epochs of the published size, beside two tables joined for each batch of 32.

Both use oneDNN, which TensorFlow turns on by itself only where it finds AVX-512: without it the
reference is several times slower on older processors, as a variant of its own shows. Alternates
the reference (reference.py) and settings of hed, each in a process of its own; prints medians with
min and max and the ratios of each repetition to its own reference; writes a file to
benchmarks/results/ for each processor, of which `make docs` makes the tables and the figure of
docs/performance.md. With `--python .venv-tf2.15/bin/python` it measures Aurora's TensorFlow and
Intel's extension, on the processor, and writes a file of its own.

Targets: fast settings 30 x per epoch, batch 32 not slower, with bfloat16 1.8 x, 2.5 GB of memory.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from timing import spread

from hed.config import hyperparameters
from hed.data import generate, partition, preprocess
from hed.files import write_json

HERE = Path(__file__).parent
CONFIG = HERE.parent / "config"
FAST, LARGE = (
    hyperparameters.read_dflts(CONFIG / f"dflts-e20-{name}.json") | {"precision": "float32"}
    for name in ("fast", "large")
)
REFERENCE = "reference, batch 32"

# Name to who trains, its hyperparameters, and how many steps are measured.
Variant = tuple[str, dict[str, Any], int]
BFLOAT16 = {"precision": "bfloat16"}
VARIANTS: dict[str, Variant] = {
    REFERENCE: ("reference", {}, 60),
    "reference, TensorFlow's defaults": ("reference", {"onednn": False}, 60),
    "hed, batch 32": ("hed", {}, 60),
    "hed, fast settings": ("hed", FAST, 60),
    "hed, large settings": ("hed", LARGE, 10),
}
# Older processors emulate bfloat16, which is slower than float32.
VARIANTS_BFLOAT16: dict[str, Variant] = {
    "hed, batch 32, bfloat16": ("hed", BFLOAT16, 60),
    "hed, fast settings, bfloat16": ("hed", FAST | BFLOAT16, 60),
    "hed, large settings, bfloat16": ("hed", LARGE | BFLOAT16, 10),
}

Results = dict[str, list[dict[str, float]]]


def main() -> None:
    """Generate the data, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument(
        "--python",
        default=sys.executable,
        help="of another environment to measure, as .venv-tf2.15/bin/python (the reference needs "
        "pandas there)",
    )
    args = parser.parse_args()
    measured = partial(measure, args.python)
    flags = processor("flags").split()
    variants = VARIANTS | (VARIANTS_BFLOAT16 if "avx512_bf16" in flags else {})
    results: Results = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as name:
        data, parts = Path(name) / "data", Path(name) / "partition"
        tables = generate.generate(**generate.PUBLISHED, seed=0)
        preprocess.write(tables, data)
        partition.write(partition.split(tables.response, 5, partition.Split()), parts)
        adam = measured("adam", {}, 30, data=data, parts=parts)
        for _ in range(args.repetitions):
            for variant, settings in variants.items():
                results[variant].append(measured(*settings, data=data, parts=parts))
    report(results, adam)
    summary = {
        "machine": machine(args.python),
        "adam": adam,
        "ratios": ratios(results),
        "measured": results,
    }
    write(summary)


SOFTWARE = """
import importlib.metadata as m
names = {"tensorflow": "TensorFlow", "intel-extension-for-tensorflow": "Intel's extension"}
known = {d.metadata["Name"].lower(): d.version for d in m.distributions()}
print(" and ".join(f"{name} {known[key]}" for key, name in names.items() if key in known))
"""


def machine(python: str) -> dict[str, Any]:
    """Return what the figures depend on: processor, its widest instructions, cores, software."""
    flags = processor("flags").split()
    kinds = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512 and bfloat16", "avx512f": "AVX-512"}
    return {
        "processor": processor("model name"),
        "instructions": next((name for flag, name in kinds.items() if flag in flags), "AVX2"),
        "cores": os.cpu_count(),
        "software": subprocess.check_output([python, "-c", SOFTWARE], text=True).strip(),
    }


def write(summary: dict[str, Any]) -> None:
    """Write the results of this machine where `make docs` finds them."""
    of = summary["machine"]
    name = f"{of['processor']} {of['instructions']}"
    if "extension" in of["software"]:
        name += " intel extension"
    words = re.findall(r"[a-z0-9]+", name.lower())
    place = HERE / "results" / f"{'-'.join(words)}.json"
    place.parent.mkdir(exist_ok=True)
    write_json(place, summary)


def processor(key: str) -> str:
    """Return what Linux says of the first processor, or nothing."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.split(": ", 1)[1] for line in lines if line.startswith(key)), "")


def measure(
    python: str,
    who: str,
    parameters: dict[str, Any],
    steps: int,
    *,
    data: Path,
    parts: Path,
) -> dict[str, float]:
    """Measure one variant in a process of its own."""
    command = [python, HERE / "worker.py", who, "--data", data, "--partition", parts]
    options = ["--parameters", json.dumps(parameters), "--steps", str(steps)]
    done = subprocess.run([*command, *options], check=True, stdout=subprocess.PIPE, text=True)
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def ratios(results: Results) -> dict[str, list[float]]:
    """Return how many times faster an epoch is than the reference's of the same repetition."""
    reference = [run["epoch_s"] for run in results[REFERENCE]]
    return {
        variant: [theirs / run["epoch_s"] for theirs, run in zip(reference, runs, strict=True)]
        for variant, runs in results.items()
        if variant != REFERENCE
    }


def report(results: Results, adam: dict[str, float]) -> None:
    """Print each figure of each variant, and how many times faster than the reference it is."""
    faster = ratios(results)
    for variant, runs in results.items():
        print(variant)
        for key in runs[0]:
            print(f"    {key:<22} {spread([run[key] for run in runs])}")
        if variant in faster:
            print(f"    {'times faster':<22} {spread(faster[variant])}")
    step = statistics.median(run["ms_per_step"] for run in results["hed, batch 32"])
    print(
        f"Adam's update of {adam['weights']:,.0f} weights: {adam['update_ms']:.1f} ms, "
        f"{adam['update_ms'] / step:.0%} of a step at batch 32, at {adam['update_gb_per_s']:.1f} "
        f"GB/s (a copy: {adam['copy_gb_per_s']:.1f} GB/s)"
    )


if __name__ == "__main__":
    main()
