#!/usr/bin/env python3
"""Uno, its controls and the baselines on the same held-out drugs of a data set (docs/answers.md).

Every ninth drug is held out by itself. Uno is small, so that a laptop trains it: layers of 256, 128
and 128 in the towers and of 256, 128 and 64 above. Prints means over drugs and ranks, and draws the
critical difference diagram; on two cores it takes one to two hours, and goes on where it stopped.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from hed.config import hyperparameters
from hed.config.hyperparameters import UpfLine
from hed.data import raw, tables

ROOT = Path(__file__).parents[1]
FIRST, STEP = 4, 9
SMALL = {
    "hyperparam_space": "block",
    "canc_arch": [256, 128, 128],
    "drug_arch": [256, 128, 128],
    "interaction_arch": [256, 128, 64],
    "ckpt_keep_limit": 1,
}
BASELINES = ("mean_effects", "nearest_drugs", "ridge", "trees")
CONTROLS = ("drugs", "responses")


def main() -> None:
    """Run one experiment for each model, then compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="raw tables, such as those of GDSC2")
    parser.add_argument("output", type=Path, help="directory for the experiments")
    args = parser.parse_args()
    data, output = args.data.resolve(), args.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    upf = write_upf(data, output / "upf.json")
    for name, dflts in models().items():
        path = output / f"{name}.json"
        path.write_text(json.dumps(dflts))
        settings = (f"output={output}", f"experiment={name}", f"dflts={path}", f"upf={upf}")
        call("snakemake", "--config", *settings, f"data_source={data}")
    compare(output)


def write_upf(data: Path, path: Path) -> Path:
    """Write a UPF with every ninth drug of a data set."""
    drugs = raw.read(data).response[tables.DRUG].n_unique()
    runs = [UpfLine(f"RUN{i:03d}", i, {}) for i in range(FIRST, drugs, STEP)]
    path.write_text(hyperparameters.format_upf(runs))
    return path


def models() -> dict[str, dict[str, Any]]:
    """Return the hyperparameters of each experiment by its name."""
    uno = json.loads((ROOT / "config" / "dflts-e20-fast.json").read_text()) | SMALL
    controls = {f"uno-{name}": {**uno, "randomise": name} for name in CONTROLS}
    baselines = {name: {"model": f"hed.baselines.{name}"} for name in BASELINES}
    return {**baselines, "uno": uno, **controls}


def compare(output: Path) -> None:
    """Print what the experiments say beside each other, and draw the diagram."""
    every = [output / name for name in ("uno", *BASELINES)]
    for metric in ("rmse", "pcc"):
        script("compare.py", *every, "--ranks", "--metric", metric)
        controls = (output / f"uno-{name}" for name in CONTROLS)
        script("compare.py", output / "uno", *controls, "--metric", metric)
    script("plot.py", "contest", *every, output / "contest.png")


def script(name: str, *arguments: object) -> None:
    """Run a command of the project."""
    call(sys.executable, str(ROOT / "scripts" / name), *map(str, arguments))


def call(*command: str) -> None:
    """Run a command; raise if it fails."""
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
