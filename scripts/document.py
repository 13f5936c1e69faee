#!/usr/bin/env python3
"""Write docs/configuration.md from the schemas of the configuration and the hyperparameters."""

import argparse
from pathlib import Path

import yaml

from hed import command, hyperparameters, reference
from hed.files import write_text

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Read the two schemas, write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("docs", type=Path, nargs="?", default=ROOT / "docs")
    args = parser.parse_args()

    configuration = yaml.safe_load((ROOT / "config" / "schema.yaml").read_text())
    page = reference.page(configuration, hyperparameters.definition())
    write_text(args.docs / "configuration.md", page)


if __name__ == "__main__":
    command.run(main)
