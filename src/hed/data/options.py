"""The settings of `preprocess` as options of the commands that obey them.

The rules read them, so nothing here imports what reads tables.
"""

import argparse
import shlex
from collections.abc import Mapping
from typing import Any

# What scales: one command for the data set, or the partition of each run.
ALL, TRAINING = "all", "training"


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Give a command the options that select responses of raw tables."""
    parser.add_argument(
        "--sources", nargs="+", default=[], help="rows to take, by the column source (default: all)"
    )
    parser.add_argument("--y-column", default="auc", help="taken as the AUC (default: %(default)s)")
    parser.add_argument(
        "--drop-repeated", action="store_true", help="drop rows that repeat another one exactly"
    )
    parser.add_argument("--min-r2fit", type=float, help="least r2fit of a response (default: all)")


def of_scaling(settings: Mapping[str, Any], *, on: str) -> str:
    """Return the scalings as options of the command that scales on all cells, or on a run's.

    Args:
        on: `ALL` for preprocess, `TRAINING` for the partition of a run.
    """
    if settings["scale_on"] == on:
        chosen = settings["ge_scaling"], settings["md_scaling"]
    elif on == TRAINING:
        return ""
    else:
        chosen = "none", "none"  # each run does its own scaling
    return shlex.join(["--ge-scaling", chosen[0], "--md-scaling", chosen[1]])


def of_preprocess(settings: Mapping[str, Any]) -> str:
    """Return the settings of `preprocess` as options of the command, quoted for the shell."""
    words = ["--y-column", settings["y_column"], "--genes", settings["genes"]]
    words += ["--sources", *settings["sources"]] if settings["sources"] else []
    words += ["--drop-repeated"] if settings["drop_repeated"] else []
    least = settings["min_r2fit"]
    words += [] if least is None else ["--min-r2fit", str(least)]
    return f"{of_scaling(settings, on=ALL)} {shlex.join(words)}"
