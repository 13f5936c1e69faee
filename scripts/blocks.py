#!/usr/bin/env python3
"""For operators: say what a submission will do: nodes, tiles, waves, fill, node-hours, time.

Nothing is written or submitted. What exceeds the limits of the queue is refused here, with what to
do instead. The runs are those of the configuration, unless others are given.
"""

import argparse
import os
from pathlib import Path

from hed import command
from hed.errors import InputError
from hed.experiment import outstanding
from hed.site import capacity, outlook, site

ROOT = Path(__file__).parents[1]
# More than a year.
MOST_HOURS = 10_000


def main() -> None:
    """Parse the arguments, count the runs, refuse or print what will happen."""
    args = _parse()
    path = args.profile / "site.yaml" if args.profile.is_dir() else args.profile
    found = site.read(path)
    count = args.runs or sum(outstanding.count(each, ROOT) for each in args.source or [None])
    if not count:
        print("no run is left to do")
    elif args.suggest:
        print(outlook.render_suggestions(found, count, hours_per_run=args.hours_per_run), end="")
    else:
        capacity.refuse(found, count)
        text = outlook.render(found, count, source=_source(path), hours_per_run=args.hours_per_run)
        print(text, end="")


def _source(path: Path) -> str:
    """Return the path of the settings, and the environment variables that took precedence."""
    taken = (f"{name}={value}" for name, value in site.variables(os.environ).items())
    return " ".join([os.path.relpath(path), *taken])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "source",
        metavar="EXPERIMENT|UPF|DATA_DIR",
        type=Path,
        nargs="*",
        help="whose runs (default: those of config/config.yaml); several are added up",
    )
    parser.add_argument(
        "--profile",
        type=Path,
        default=ROOT / "profiles" / "aurora",
        help="directory with site.yaml (default: profiles/aurora)",
    )
    parser.add_argument("--runs", type=int, metavar="N", help="this many runs")
    parser.add_argument(
        "--hours-per-run", type=float, metavar="H", help="estimate the time, at H hours a run"
    )
    parser.add_argument(
        "--suggest", action="store_true", help="list the nodes per block with the best fill"
    )
    args = parser.parse_args()
    _check(args)
    return args


def _check(args: argparse.Namespace) -> None:
    hours = args.hours_per_run
    if hours is not None and not 0 < hours <= MOST_HOURS:
        raise InputError(f"--hours-per-run must be above 0 and at most {MOST_HOURS}, not {hours}")
    if args.runs is not None and args.runs < 1:
        raise InputError(f"--runs must be at least 1, not {args.runs}")
    if args.runs is not None and args.source:
        raise InputError("give either --runs or experiments, UPFs and data, not both")


if __name__ == "__main__":
    command.run(main)
