#!/usr/bin/env python3
"""How long the partition command takes at the published size, and its memory.

Target: at most 1.5 s and 600 MB at 591,563 rows.
"""

import sys
import tempfile
from pathlib import Path

from timing import alternate, spread

from hed.data import generate, preprocess

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Measure five repetitions."""
    with tempfile.TemporaryDirectory() as name:
        preprocess.write(generate.generate(**generate.PUBLISHED, seed=0), Path(name))
        command = [
            sys.executable,
            str(ROOT / "scripts" / "partition.py"),
            f"{name}/rsp_merged.parquet",
            f"{name}/partition",
            "--index=5",
        ]
        values = alternate({"partition": (command, ROOT)}, 5)["partition"]
        seconds, megabytes = zip(*values, strict=True)
        print(f"partition {spread(seconds)} CPU s, {max(megabytes):.0f} MB")


if __name__ == "__main__":
    main()
