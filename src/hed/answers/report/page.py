"""The page of a report: its contents, styles and scripts in one HTML file."""

import base64
import re
from collections.abc import Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import jinja2

from hed import __version__, files
from hed.answers.explanation import NO_OTHER, Sources
from hed.answers.report import contents
from hed.answers.report.contents import Contents
from hed.answers.report.packing import encode_json

# In the order in which the page runs them.
VENDOR = ("dataTables.min.js", "chart.umd.min.js")
LICENSES = ("datatables.LICENSE", "chart.js.LICENSE", "kurkle-color.LICENSE")
WORST_CELLS = 20


def write(
    directory: Path, output: Path, sources: Sources = NO_OTHER, others: Sequence[Path] = ()
) -> None:
    """Write the report of an experiment.

    Args:
        directory: the experiment.
        output: the file to write.
        sources: of features and structures, which may explain errors.
        others: experiments to be shown beside it.

    Raises:
        InputError: as `contents.read` does.
    """
    files.write_text(output, render(contents.read(directory, sources, others)))


def render(found: Contents) -> str:
    """Return the page; the same text for the same contents."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("hed.answers.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _read("templates", "page.js")
    environment.filters["fixed"] = fixed
    environment.filters["base64"] = lambda content: base64.b64encode(content).decode()
    page = environment.get_template("page.html")
    return page.render(
        found=found,
        noun=found.kind.noun,
        baseline=found.kind.best,
        meaning=found.kind.baselines[found.kind.best],
        repeated=(found.drugs["repeats"] > 1).any(),
        levels=() if found.levels is None else found.levels.rows(named=True),
        drugs=found.drugs.rows(named=True),
        data=encode_json(_data(found)),
        rows=found.predictions.columns,
        style=_read("templates", "page.css"),
        scripts=[*(_without_map(_read("vendor", name)) for name in VENDOR), script],
        licenses=[_read("vendor", name) for name in LICENSES],
        version=__version__,
    )


def fixed(value: object, digits: int) -> str:
    """Return a number in decimals, a dash where it is missing."""
    return f"{value:.{digits}f}" if isinstance(value, int | float) else "–"


def _data(found: Contents) -> dict[str, Any]:
    """Return what the script needs to open a drug."""
    packed = found.predictions
    drugs = [{**row, "rows": packed.runs[row["run"]]} for row in found.drugs.rows(named=True)]
    return {
        "cells": packed.cells,
        "low": packed.low,
        "step": packed.step,
        "worst": WORST_CELLS,
        "baseline": found.kind.best,
        "unit": found.kind.unit,
        "others": found.others,
        "drugs": drugs,
    }


def _read(folder: str, name: str) -> str:
    """Return a file of this package."""
    return (resources("hed.answers.report") / folder / name).read_text(encoding="utf-8")


def _without_map(script: str) -> str:
    """Return a script without the comment that names a source map, which is not there."""
    return re.sub(r"^//# sourceMappingURL=.*$", "", script, flags=re.MULTILINE)
