"""Copy data and software to every node's own disk, reading each byte once.

    mpiexec -n NODES -ppn 1 python -m hed.staging --to /tmp/hed data/ --unpack env.tar.gz

copies `data/` to /tmp/hed/data and unpacks the content of the tarball into /tmp/hed/env, on all
nodes of a block; without MPI, on this machine. What is there and complete is skipped; what has
that name but is from another or a changed source is replaced.

Exit status: 0 all is there and complete; 3 a node has too little space; 1 any other error.
"""

import argparse
import json
import sys
from pathlib import Path

from hed import command
from hed.staging import stage
from hed.staging.clock import Report
from hed.staging.nodes import Nodes, StageError


def main() -> None:
    """Parse the arguments, stage, and print the report on the first node."""
    args = parse()
    try:
        with stage.connected(mpi=args.mpi, ranks_are_nodes=args.ranks_are_nodes) as nodes:
            if nodes:
                show(run(nodes, args), nodes, args.json)
    except StageError as error:
        sys.exit(error.status)


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    args = parser.parse_args()
    if not args.sources and not args.unpack:
        parser.error("name a file or directory to copy, or a tarball to --unpack")
    return args


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("sources", metavar="FILE|DIRECTORY", nargs="*", type=Path, help="what to copy")
    add("--to", metavar="DIR", required=True, help="a directory of the node; it is made")
    tars = "tarballs to unpack on the way, each into DIR/NAME without its suffix"
    add("--unpack", metavar="TAR", nargs="+", action="extend", type=Path, default=[], help=tars)
    size = "MiB exchanged at a time, at least 1 for each node (default: 64)"
    add("--chunk", metavar="MB", type=megabytes, default=stage.CHUNK, help=size)
    add("--json", action="store_true", help="print the report as JSON")
    launched = "default: if a launcher of MPI programs has started this process"
    add("--mpi", action=flag, help=launched)
    tests = "for tests on one machine: each rank is a node, and {rank} in DIR its number"
    add("--ranks-are-nodes", action="store_true", help=tests)


def megabytes(text: str) -> int:
    """Return the bytes of a number of MiB."""
    if int(text) < 1:
        raise ValueError
    return int(text) * 2**20


def run(nodes: Nodes, args: argparse.Namespace) -> Report:
    """Stage; if it fails, the first node says why."""
    to = args.to.replace("{rank}", str(nodes.rank)) if args.ranks_are_nodes else args.to
    try:
        return stage.stage(nodes, args.sources, unpack=args.unpack, to=Path(to), chunk=args.chunk)
    except StageError as error:
        if nodes.rank == 0:
            print(f"error: {error}", file=sys.stderr)
        raise


def show(report: Report, nodes: Nodes, as_json: bool) -> None:
    """Print the report on the first node."""
    if nodes.rank == 0:
        print(json.dumps(report.as_json()) if as_json else report.as_table())


if __name__ == "__main__":
    command.run(main)
