#!/usr/bin/env python3
"""How soon the fast settings reach the validation mse of the faithful ones, on real data.

Trains with config/dflts-e20.json for some epochs and with config/dflts-e20-fast.json to its end,
one after the other on all cores, with the first drug held out. The reference (reference.py) would
pass through the epochs of the faithful settings, at its own speed, which a few steps tell: before,
between and after the trainings, since a shared machine is not equally fast all the time. Writes
benchmarks/quality.json and benchmarks/quality.png. Takes half an hour on two cores.

Target: 10 x sooner than the reference.
"""

import argparse
import itertools
import json
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import figure
import pyarrow.parquet as pq
from accuracy import ROOT, command
from timing import spread
from training import measure

HERE = Path(__file__).parent
Curve = list[tuple[float, float]]  # (seconds since the begin, validation mse), epoch by epoch


def main() -> None:
    """Preprocess, split, train twice, measure the reference, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="raw IMPROVE tables, such as GDSC2's")
    parser.add_argument(
        "--epochs", type=int, default=8, help="of the faithful settings (default 8)"
    )
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()
    faithful, fast = (
        json.loads((ROOT / "config" / name).read_text())
        for name in ("dflts-e20.json", "dflts-e20-fast.json")
    )
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        data, parts = work / "data", work / "partition"
        command("preprocess", args.data, str(data))
        command("partition", f"{data}/rsp_merged.parquet", str(parts), "--index=0")
        look = partial(epoch_of_reference, data, parts)
        looks, curves = [look()], {}
        faithful["epochs"] = args.epochs
        for name, settings in {"faithful settings": faithful, "fast settings": fast}.items():
            curves[name] = train(work, settings, args.threads)
            looks.append(look())
    print(f"epoch of the reference, s: {spread(looks)}")
    epoch = statistics.median(looks)
    losses = [loss for _, loss in curves["faithful settings"]]
    reference = list(zip(itertools.count(epoch, epoch), losses, strict=False))
    report({"reference": reference, **curves})


def epoch_of_reference(data: Path, parts: Path) -> float:
    """Return the seconds of an epoch of the reference with its validation, from some steps."""
    measured = measure("reference", {}, 60, data=data, parts=parts)
    rows = pq.read_metadata(parts / "rsp_val_data.parquet").num_rows
    return measured["epoch_s"] + rows / measured["validation_rows_per_s"]


def train(work: Path, dflts: dict[str, Any], threads: str) -> Curve:
    """Train one run in a process of its own and return its curve."""
    run = Path(tempfile.mkdtemp(dir=work)) / "RUN000"
    run.parent.joinpath("dflts.json").write_text(json.dumps({**dflts, "ckpt_keep_limit": 1}))
    run.parent.joinpath("upf.json").write_text('{"id": "RUN000", "index": 0}\n')
    files = ["--upf", f"{run.parent}/upf.json", "--dflts", f"{run.parent}/dflts.json"]
    places = ["--partition", f"{work}/partition", "--data", f"{work}/data", "--threads", threads]
    command("train", str(run), *files, *places)
    losses = json.loads((run / "history.txt").read_text())["val_loss"]
    seconds = json.loads((run / "timings.json").read_text())["epoch_seconds"]
    return list(zip(itertools.accumulate(seconds), losses, strict=True))


def report(curves: dict[str, Curve]) -> None:
    """Print when each curve reaches the best mse of the faithful settings, and how much sooner."""
    target = min(loss for _, loss in curves["faithful settings"])
    print(f"validation mse to reach: {target:.5f}")
    reached = {name: first(curve, target) for name, curve in curves.items()}
    for name, (seconds, epoch) in reached.items():
        print(f"    {name:<18} {seconds:7.0f} s, epoch {epoch}")
    for name in ("reference", "faithful settings"):
        ratio = reached[name][0] / reached["fast settings"][0]
        print(f"fast settings: {ratio:.1f} x sooner than the {name}")
    (HERE / "quality.json").write_text(json.dumps(curves, indent=2) + "\n")
    figure.draw_curves(curves, target, HERE / "quality.png")


def first(curve: Curve, target: float) -> tuple[float, int]:
    """Return the seconds and the epoch at which a curve is at a target or below; inf if never."""
    for epoch, (seconds, loss) in enumerate(curve, start=1):
        if loss <= target:
            return seconds, epoch
    return float("inf"), 0


if __name__ == "__main__":
    main()
