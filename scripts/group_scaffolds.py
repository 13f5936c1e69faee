#!/usr/bin/env python3
"""For everyone: group drugs by their scaffolds, as a table for `partition: mode: by_group`.

Murcko scaffolds (rings and what links them) are computed from the SMILES of a table (tab- or
comma-separated, columns improve_chem_id and smiles). Similar scaffolds form one group, named after
its centre (Butina's clusters of Morgan fingerprints). Needs rdkit (pip install rdkit).
"""

import argparse
from pathlib import Path

from hed import command, files, output
from hed.data import smiles
from hed.data.groups import GROUP
from hed.data.tables import DRUG
from hed.words import listed


def main() -> None:
    """Parse the arguments, read the SMILES and write the table of groups."""
    args = parse()
    given = smiles.read(args.smiles)
    table = smiles.cluster(given, args.similarity)
    files.write_text(args.output, table.write_csv(separator="\t"))
    unread = sorted(given.keys() - set(table[DRUG]))
    if unread:
        output.say(f"{len(unread)} SMILES cannot be read, in no group: {listed(unread)}")
    sizes = table[GROUP].value_counts()["count"]
    output.say(
        f"{len(table)} drugs in {len(sizes)} groups, the largest of {sizes.max()}, "
        f"{(sizes == 1).sum()} of a single drug: {args.output}"
    )


def parse() -> argparse.Namespace:
    """Parse the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog="example: group_scaffolds.py drug_smiles.tsv scaffolds.tsv; then\n"
        "in config.yaml, partition: {mode: by_group, groups: scaffolds.tsv}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("smiles", metavar="SMILES", type=Path, help="table of drugs and SMILES")
    parser.add_argument("output", metavar="OUT.tsv", type=Path, help="table of groups to write")
    parser.add_argument(
        "--similarity",
        type=float,
        default=0.4,
        help="least Tanimoto similarity to the centre; 1: only the same scaffold "
        "(default: %(default)s)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main)
