#!/usr/bin/env python3
"""How long a quiet dry run takes, beside a bare graph of three rules per run.

Target: at most twice the bare graph at 770 runs, and linear growth to 7,700.
"""

import sys
import tempfile
from pathlib import Path

from timing import alternate, spread

from hed.data import generate, preprocess

ROOT = Path(__file__).parents[1]

BARE = """
RUNS = [f"RUN{i:03d}" for i in range(config["runs"])]
rule all:
    input: expand("markers/{run}.done", run=RUNS)
rule partition:
    output: "partition/{run}.txt"
    shell: "touch {output}"
rule train:
    input: "partition/{run}.txt"
    output: "train/{run}.txt"
    shell: "touch {output}"
rule score:
    input: "train/{run}.txt"
    output: "markers/{run}.done"
    shell: "touch {output}"
"""


def main() -> None:
    """Measure 770 and 7,700 runs."""
    snakemake = str(Path(sys.executable).parent / "snakemake")
    with tempfile.TemporaryDirectory() as name:
        bare = Path(name) / "bare"
        bare.mkdir()
        (bare / "Snakefile").write_text(BARE)
        for runs, repetitions in ((770, 7), (7700, 1)):
            data = Path(name) / f"data{runs}"
            preprocess.write(
                generate.generate(
                    drugs=runs, cells=100, rows=30 * runs, genes=50, descriptors=50, seed=0
                ),
                data,
            )
            dry = [snakemake, "--dry-run", "--quiet", "--cores=1", "--config"]
            ours = [*dry, f"data_source={data}", f"output={name}/output"]
            commands = {"bare": ([*dry, f"runs={runs}"], bare), "hed": (ours, ROOT)}
            results = alternate(commands, repetitions)
            for key, values in results.items():
                print(f"{runs:>5} runs  {key:<5} {spread([s for s, _ in values])} CPU s")
            pairs = zip(results["hed"], results["bare"], strict=True)
            print(f"{runs:>5} runs  ratio {spread([h[0] / b[0] for h, b in pairs])}")


if __name__ == "__main__":
    main()
