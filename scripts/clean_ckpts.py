#!/usr/bin/env python3
"""For operators: remove the older checkpoints of all runs, which take most of the space.

What best or last points to always stays, and a run that is being trained is left alone.
"""

import argparse
from pathlib import Path

from hed import command, output
from hed.watching import cleaning


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: clean_ckpts.py output/EXP000 3 --dry-run",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("experiment", metavar="DIR", type=Path, help="an experiment, as EXP011")
    parser.add_argument("keep", metavar="N", type=int, help="how many of each run to keep")
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be removed, and remove nothing"
    )
    output.add_format(parser)
    return parser.parse_args()


def main() -> None:
    """Parse the arguments, remove the checkpoints and show which."""
    args = parse()
    plan = cleaning.plan(args.experiment, keep=args.keep)
    for refusal in plan.refused:
        output.say(refusal)
    if args.dry_run:
        removed = list(plan.old)
    else:
        bar = output.track(cleaning.remove(plan.old), "removing", total=len(plan.old))
        removed = list(bar)
    output.show(cleaning.table(removed), args.format)
    total = sum(item.bytes for item in removed)
    verb = "would be removed" if args.dry_run else "removed"
    output.say(f"{len(removed):,} checkpoints {verb}, {output.render_bytes(total)}")


if __name__ == "__main__":
    command.run(main)
