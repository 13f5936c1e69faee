#!/usr/bin/env python3
"""List the drugs of a response table with their indices, `INDEX NAME` a line.

The index of a drug is its position among the distinct drugs in order of first appearance.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from hed import command, tables
from hed.errors import InputError


def list_drugs(path: Path) -> list[str]:
    """Return the drugs of a response table, or of the one in a data directory, in index order.

    Raises:
        InputError: if there is no table, it has no drug column, or a row has no drug.
    """
    table = path / tables.RESPONSE_FILE if path.is_dir() else path
    ids = tables.scan(table, [tables.DRUG]).select(tables.DRUG).collect()[tables.DRUG]
    if ids.null_count():
        raise InputError(f"{ids.null_count():,} rows of {table} have no {tables.DRUG}")
    return tables.distinct(ids)


def check_index(index: int, drugs: Sequence[str]) -> int:
    """Return `index` if there is such a drug."""
    if not 0 <= index < len(drugs):
        raise InputError(
            f"no drug at index {index}: the response table has {len(drugs)} drugs "
            f"(0 to {len(drugs) - 1})"
        )
    return index


def main() -> None:
    """Parse the arguments, read the table and print the drugs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "path",
        metavar="RSP_PARQUET|DATA_DIR",
        type=Path,
        help=f"a response table, or a directory with {tables.RESPONSE_FILE}",
    )
    parser.add_argument(
        "indices", metavar="INDEX", type=int, nargs="*", help="list only these (default: all)"
    )
    args = parser.parse_args()
    drugs = list_drugs(args.path)
    chosen = {check_index(index, drugs) for index in args.indices} or range(len(drugs))
    print("".join(f"{index:03d} {drugs[index]}\n" for index in sorted(chosen)), end="")


if __name__ == "__main__":
    command.run(main)
