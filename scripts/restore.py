#!/usr/bin/env python3
"""Copy a finished run of an earlier experiment, which is not modified."""

import argparse
import shutil
from pathlib import Path

from hed import command
from hed.files import replacing, write_json
from hed.training import checkpoint


def main() -> None:
    """Copy the best and the last checkpoint and every file, the scores last."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="directory of the finished run")
    parser.add_argument("run", type=Path, help="directory to copy it to")
    args = parser.parse_args()

    checkpoint.adopt(args.source / "ckpts", args.run / "ckpts")
    if not (args.source / "baseline_scores.json").exists():
        # The original has no baselines; the row of the score table shows that they are unknown.
        write_json(args.run / "baseline_scores.json", {})
    files = [path for path in args.source.iterdir() if path.is_file() and path.name[0] != "."]
    for path in sorted(files, key=lambda path: path.name == "test_scores.json"):
        with replacing(args.run / path.name) as copy:
            shutil.copyfile(path, copy)
    print(f"copied {len(files)} files from {args.source}")


if __name__ == "__main__":
    command.run(main)
