"""The preprocessed data set: scaled features and response, as the three parquet tables."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hed import files
from hed.data import raw, tables
from hed.data.options import ALL
from hed.data.scaling import scale
from hed.errors import InputError

# Of all features, unless the settings say otherwise.
USUAL_SCALING = "std"


def choice(settings: Mapping[str, Any]) -> raw.Choice:
    """Return which part of the raw tables the settings of `preprocess` select."""
    names = ("y_column", "genes", "drop_repeated", "min_r2fit")
    return raw.Choice(tuple(settings["sources"]), **{name: settings[name] for name in names})


def decisive(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of `preprocess` that must not change when an experiment continues.

    Those that were added later are left out if they select all, as earlier experiments did.
    """
    usual = {**asdict(raw.ALL), "sources": [], "scale_on": ALL}
    return {n: value for n, value in settings.items() if n not in usual or usual[n] != value}


def without_effect(settings: Mapping[str, Any], source: Path) -> list[str]:
    """Return sentences on scalings that tables which are preprocessed already do not get.

    Raises:
        InputError: if a part of them is to be selected, which would not happen either.
    """
    for name, usual in {**asdict(raw.ALL), "sources": []}.items():
        if settings[name] != usual:
            raise InputError(
                f"preprocess: {name} selects from raw tables, and {source} has preprocessed ones: "
                "leave it out, or give the raw tables as data_source"
            )
    scalings = [n for n in ("ge_scaling", "md_scaling") if settings[n] != USUAL_SCALING]
    if not scalings or settings["scale_on"] != ALL:
        return []
    return [
        f"preprocess: {' and '.join(scalings)} would scale raw tables: {source} is used as it is"
    ]


def preprocess(
    raw_data: Path, out: Path, *, ge_scaling: str, md_scaling: str, choice: raw.Choice = raw.ALL
) -> raw.Tables:
    """Write the preprocessed tables of the raw data set `raw_data` into `out` and return them.

    The scalers are fitted on the cells and drugs that have responses, each counted once.

    Raises:
        InputError: if the raw tables are malformed or a scaling is unknown.
    """
    given = raw.read(raw_data, choice)
    scaled = replace(
        given,
        expression=scale(given.expression, tables.CELL, ge_scaling),
        descriptors=scale(given.descriptors, tables.DRUG, md_scaling),
    )
    write(scaled, out)
    return scaled


def write(data: raw.Tables, out: Path) -> None:
    """Write three parquet tables into `out`; the response last, to mark that all are there."""
    for frame, name in (
        (data.expression, tables.EXPRESSION_FILE),
        (data.descriptors, tables.DESCRIPTOR_FILE),
        (data.response, tables.RESPONSE_FILE),
    ):
        with files.replacing(out / name) as temporary:
            frame.write_parquet(temporary)
