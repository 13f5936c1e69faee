#!/usr/bin/env python3
"""List the drugs of a data set with their indices, `INDEX NAME` a line.

The index of a drug is its position among the distinct drugs in order of first appearance.
"""

import argparse
from pathlib import Path

from hed import command, raw, tables
from hed.errors import InputError


def list_drugs(path: Path) -> list[str]:
    """Return the drugs of a response table, or of the one in a data directory, in index order.

    In a directory of raw tables those are the drugs that have features.

    Raises:
        InputError: if there is no table, it has no drug column, or a row has no drug.
    """
    if raw.is_raw(path):
        return tables.distinct(raw.read(path).response[tables.DRUG])
    table = path / tables.RESPONSE_FILE if path.is_dir() else path
    ids = tables.scan(table, [tables.DRUG]).select(tables.DRUG).collect()[tables.DRUG]
    if ids.null_count():
        raise InputError(f"{ids.null_count():,} rows of {table} have no {tables.DRUG}")
    return tables.distinct(ids)


def main() -> None:
    """Parse the arguments, read the table and print the drugs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "path",
        metavar="RSP_PARQUET|DATA_DIR",
        type=Path,
        help=f"a response table, or a directory with {tables.RESPONSE_FILE} or raw tables",
    )
    parser.add_argument(
        "indices", metavar="INDEX", type=int, nargs="*", help="list only these (default: all)"
    )
    args = parser.parse_args()
    drugs = list_drugs(args.path)
    for index in args.indices:
        tables.check_index(index, len(drugs), "drug")
    chosen = set(args.indices) or range(len(drugs))
    print("".join(f"{index:03d} {drugs[index]}\n" for index in sorted(chosen)), end="")


if __name__ == "__main__":
    command.run(main)
