#!/usr/bin/env python3
"""What r2 a random split of a data set reaches, and how fast.

Target: r2 above 0.6 on the held-out rows of GDSC2 within a few epochs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]

DFLTS = {
    "epochs": 5,
    "batch_size": 512,
    "tower_sharing": "on",
    "learning_rate": 3e-6,
    "learning_rate_scaling": "none",
    "warmup_type": "none",
    "ckpt_keep_limit": 1,
}


def main() -> None:
    """Preprocess, split, train, score; print the history and the scores."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", help="raw IMPROVE tables, such as GDSC2's")
    parser.add_argument("--dflts", type=json.loads, default=DFLTS, help="hyperparameters, as JSON")
    parser.add_argument("--threads", default="2")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "dflts.json").write_text(json.dumps(args.dflts))
        (work / "upf.json").write_text('{"id": "RUN000", "index": 0}\n')
        data, parts, run = str(work / "data"), str(work / "partition"), work / "run" / "RUN000"
        command("preprocess", args.data, data)
        command("partition", f"{data}/rsp_merged.parquet", parts, "--index=0", "--mode=random")
        places = [str(run), "--partition", parts, "--data", data, "--threads", args.threads]
        files = ["--upf", str(work / "upf.json"), "--dflts", str(work / "dflts.json")]
        begun = time.monotonic()
        command("train", *places, *files)
        print(f"trained in {time.monotonic() - begun:.0f} s")
        command("score", *places)


def command(name: str, *arguments: str) -> None:
    """Run a command of the project and show what it prints."""
    subprocess.run([sys.executable, ROOT / "scripts" / f"{name}.py", *arguments], check=True)


if __name__ == "__main__":
    main()
