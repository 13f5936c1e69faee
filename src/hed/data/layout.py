"""Where the raw tables of a data set are: in one directory, or as IMPROVE's benchmark has them."""

import gzip
from pathlib import Path
from typing import IO

RESPONSE_TSV = "response.tsv"
EXPRESSION_TSV = "cancer_gene_expression.tsv"
DESCRIPTOR_TSV = "drug_mordred.tsv"
FILES = (RESPONSE_TSV, EXPRESSION_TSV, DESCRIPTOR_TSV)

# The benchmark's directory is called raw_data; what is downloaded is it, or csa_data around it.
ROOTS = ("", "raw_data", "csa_data/raw_data")
PARTS = {RESPONSE_TSV: "y_data", EXPRESSION_TSV: "x_data", DESCRIPTOR_TSV: "x_data"}
COMPRESSED = ".gz"


def find(directory: Path, name: str) -> Path:
    """Return the table of that name in `directory`; where it would be in it if there is none."""
    candidates = (
        directory / root / part / f"{name}{end}"
        for root in ROOTS
        for part in ("", PARTS[name])
        for end in ("", COMPRESSED)
    )
    return next((path for path in candidates if path.is_file()), directory / name)


def is_raw(directory: Path) -> bool:
    """Tell whether `directory` holds raw IMPROVE tables."""
    return find(directory, RESPONSE_TSV).is_file()


def open_text(path: Path) -> IO[str]:
    """Open a table, compressed or not, as text whose line ends stay."""
    if path.suffix == COMPRESSED:
        return gzip.open(path, "rt", newline="", encoding="utf-8-sig")
    return path.open(newline="", encoding="utf-8-sig")
