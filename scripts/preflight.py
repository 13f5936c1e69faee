#!/usr/bin/env python3
"""For operators: check whether this node has what runs need: software, device, disks, network.

On a compute node, such as one from `qsub -I`, or first in a block; also on a login node or a
workstation. Exit status 1 if any check fails; one that fails or hangs does not stop the others.
"""

import argparse
import sys
from pathlib import Path

import polars as pl
import yaml
from rich.console import Console

from hed import command, output
from hed.preflight.checks import Result
from hed.preflight.disks import Places
from hed.preflight.inspection import inspect
from hed.site import profile, site

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Parse the arguments, check, print the table."""
    args = parse()
    found = site.read(args.profile / profile.SITE if args.profile.is_dir() else args.profile)
    directory = args.output or ROOT / default_output()
    places = Places(local=found.local_dir, output=directory.absolute(), data=args.data)
    checks = inspect(found, places, tools=profile.PILOT, mask=args.mask)
    results = list(output.track(checks, "checking"))
    show(results, args.format)
    if failed := [result.check for result in results if not result.ok]:
        output.say(f"{len(failed)} of {len(results)} checks failed: {', '.join(failed)}")
        sys.exit(1)


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--profile",
        type=Path,
        default=ROOT / "profiles" / "aurora",
        help="directory with site.yaml (default: profiles/aurora)",
    )
    add("--output", metavar="DIR", type=Path, help="where experiments are kept")
    add("--data", metavar="DIR", type=Path, help="data set that must fit on the node-local disk")
    add("--mask", help="device mask of the tile to try, such as 3 (default: the first)")
    output.add_format(parser)
    return parser.parse_args()


def default_output() -> str:
    """Return the configured directory of experiments."""
    config = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    return str(config["output"])


def show(results: list[Result], form: output.Form) -> None:
    """Print the results; long texts are wrapped on a terminal."""
    frame = pl.DataFrame([result.as_row() for result in results])
    if form != "table" or not sys.stdout.isatty():
        output.show(frame, form)
        return
    table = output.make_table(frame)
    for column in table.columns:
        column.no_wrap, column.overflow = column.header in ("check", "result"), "fold"
    Console(highlight=False, markup=False, emoji=False).print(table)


if __name__ == "__main__":
    command.run(main)
