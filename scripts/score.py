#!/usr/bin/env python3
"""For the graph: predict a run's test rows; write predictions, scores and baselines."""

import argparse
from pathlib import Path

from hed import command, science
from hed.data import copies


def main() -> None:
    """Parse the arguments and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="directory of a trained run")
    parser.add_argument("--partition", type=Path, required=True, help="rsp_*_data.parquet")
    parser.add_argument("--data", type=Path, required=True, help="preprocessed data set")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--name-drugs", action="store_true", help="write the drug of each row, too")
    args = parser.parse_args()

    places = args.run.resolve(), args.partition.resolve(), copies.nearest(args.data)
    place = science.Place(*places, threads=args.threads)
    print(science.score(place, name_drugs=args.name_drugs))


if __name__ == "__main__":
    command.run(main)
