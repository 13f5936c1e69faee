#!/usr/bin/env python3
"""What faster settings cost on drugs that a training has never seen (docs/performance.md).

Every ninth drug of a data set is held out, all together in one run (`partition: mode: by_group`),
which is trained with each of the settings, some times with other seeds. Prints the validation mse,
the error on the held-out drugs, and the paired difference from the first settings over drugs. Goes
on where it stopped. On two cores with AVX2 and GDSC2, a training with the fast settings takes 10
minutes, one with the faithful ones 25.
"""

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from models import FIRST, ROOT, STEP
from scipy import stats

from hed import results
from hed.config import hyperparameters
from hed.data import raw, tables
from hed.data.groups import GROUP

FAITHFUL, FAST, LARGE = "dflts-e20.json", "dflts-e20-fast.json", "dflts-e20-large.json"
# Epochs of the faithful settings, whose mse the fast ones reach after 8 (docs/performance.md).
EPOCHS = 8
BATCH_2048 = {"batch_size": 2048, "epochs": 10, "learning_rate": 2.5e-5, "warmup_epochs": 1}
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "faithful": (FAITHFUL, {"epochs": EPOCHS}),
    "fast": (FAST, {"precision": "float32"}),
    "fast-bfloat16": (FAST, {"precision": "bfloat16"}),
    "large": (LARGE, {"precision": "float32"}),
    "large-bfloat16": (LARGE, {"precision": "bfloat16"}),
    "batch-2048": (LARGE, {"precision": "float32"} | BATCH_2048),
}


def main() -> None:
    """Run an experiment for each of the settings, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="raw tables, such as those of GDSC2")
    parser.add_argument("output", type=Path, help="directory for the experiments")
    parser.add_argument("--settings", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--repeats", type=int, default=3, help="seeds of each (default 3)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    output = args.output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    common = {
        "data_source": str(args.data.resolve()),
        "output": str(output),
        "repeats": args.repeats,
        "threads": args.threads,
        "partition": {"mode": "by_group", "groups": str(write_groups(args.data, output))},
    }
    for name in args.settings:
        run(name, output, common)
    print(compare({name: output / name for name in args.settings}))


def write_groups(data: Path, output: Path) -> Path:
    """Write a table with every ninth drug of a data set in one group."""
    drugs = raw.read(data).response[tables.DRUG].unique(maintain_order=True)[FIRST::STEP]
    path = output / "groups.tsv"
    held = pl.DataFrame({tables.DRUG: drugs}).with_columns(pl.lit("held out").alias(GROUP))
    held.write_csv(path, separator="\t")
    return path


def run(name: str, output: Path, common: dict[str, Any]) -> None:
    """Train with one of the settings, as often as it is to be repeated."""
    file, changes = SETTINGS[name]
    dflts = {**hyperparameters.read_dflts(ROOT / "config" / file), "ckpt_keep_limit": 1, **changes}
    (output / f"{name}.json").write_text(json.dumps(dflts))
    config = output / f"{name}.yaml"
    own = {"experiment": name, "dflts": str(output / f"{name}.json")}
    config.write_text(yaml.safe_dump(common | own))
    subprocess.run(["snakemake", "--until", "mark", "--configfile", config], cwd=ROOT, check=True)


def compare(experiments: dict[str, Path]) -> str:
    """Return the table: a row for each of the settings."""
    lines = [HEADER, "|---" * HEADER.count(" | ") + "|---|"]
    found = {name: per_drug(directory) for name, directory in experiments.items()}
    first = next(iter(found.values()))
    for name, directory in experiments.items():
        own = found[name].join(first, on="drug", suffix="_first", maintain_order="left")
        cells = [name, *trained(directory)]
        for metric in ("rmse", "r"):
            cells.append(f"{own[metric].mean():.4f}")
            cells.append("" if found[name] is first else lost(own, metric))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


HEADER = (
    "| settings | trainings | s an epoch | validation mse | rmse on held-out drugs "
    "| more (95 %) | r within a drug | more (95 %) |"
)


def trained(directory: Path) -> list[str]:
    """Return the number of trainings, the seconds of their epochs, and the best validation mse."""
    epochs = results.load(directory).epochs
    best = epochs.group_by("run").agg(pl.col("val_loss").min())["val_loss"]
    seconds = epochs["seconds"].median()
    return [
        str(len(best)),
        f"{seconds:.1f}",
        f"{best.mean():.5f} ({best.min():.5f} to {best.max():.5f})",
    ]


def per_drug(directory: Path) -> pl.DataFrame:
    """Return rmse and Pearson's r of each held-out drug, means over the trainings."""
    rows = results.load(directory).predictions
    error = pl.col("predicted") - pl.col("true")
    each = rows.group_by("run", "drug").agg(
        rmse=error.pow(2).mean().sqrt(), r=pl.corr("true", "predicted")
    )
    return each.group_by("drug").agg(pl.col("rmse", "r").mean()).sort("drug")


def lost(own: pl.DataFrame, metric: str) -> str:
    """Return the mean difference from the first settings over drugs, with its t interval."""
    pair = own[metric].to_numpy(), own[f"{metric}_first"].to_numpy()
    interval = stats.ttest_rel(*pair).confidence_interval()
    return f"{(pair[0] - pair[1]).mean():+.4f} ({interval.low:+.4f} to {interval.high:+.4f})"


if __name__ == "__main__":
    main()
