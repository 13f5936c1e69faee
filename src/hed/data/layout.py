"""Where the tables of a data set are: in one directory, or as IMPROVE's benchmark has raw ones."""

from pathlib import Path

RESPONSE_TSV = "response.tsv"
EXPRESSION_TSV = "cancer_gene_expression.tsv"
DESCRIPTOR_TSV = "drug_mordred.tsv"
FILES = (RESPONSE_TSV, EXPRESSION_TSV, DESCRIPTOR_TSV)
# What the benchmark's documentation calls a table in places.
ALIASES = {DESCRIPTOR_TSV: "drug_mordred_descriptor.tsv"}

# Preprocessed tables are in one directory.
RESPONSE_FILE = "rsp_merged.parquet"
EXPRESSION_FILE = "ge_merged_data.parquet"
DESCRIPTOR_FILE = "md_merged_data.parquet"
FEATURE_FILES = (EXPRESSION_FILE, DESCRIPTOR_FILE)

# The benchmark's directory is raw_data; the download is that, or csa_data around it.
ROOTS = ("", "raw_data", "csa_data/raw_data")
LANDMARK_GENES = "landmark_genes.txt"
PARTS = {
    RESPONSE_TSV: "y_data",
    EXPRESSION_TSV: "x_data",
    DESCRIPTOR_TSV: "x_data",
    LANDMARK_GENES: "x_data",
}
COMPRESSED = ".gz"


def find(directory: Path, name: str) -> Path:
    """Return the table of that name in `directory`; if there is none, where it would be."""
    candidates = (
        directory / root / part / f"{each}{end}"
        for each in (name, *filter(None, [ALIASES.get(name)]))
        for root in ROOTS
        for part in ("", PARTS[name])
        for end in ("", COMPRESSED)
    )
    return next((path for path in candidates if path.is_file()), directory / name)


def is_raw(directory: Path) -> bool:
    """Tell whether `directory` holds raw IMPROVE tables."""
    return find(directory, RESPONSE_TSV).is_file()
