"""Wide tables on a terminal: whole columns, as many as fit, instead of all of them cut."""

import shutil
import sys

import polars as pl
from rich.cells import cell_len

from hed import output

# Blanks between columns.
GAP = 2


def show(frame: pl.DataFrame, form: output.Form) -> None:
    """Show a table as `output.show` does; on a terminal its first columns, and what is left out."""
    if form != "table" or not sys.stdout.isatty():
        output.show(frame, form)
        return
    shown = fit(frame, shutil.get_terminal_size().columns)
    output.show(shown, form)
    if rest := frame.columns[shown.width :]:
        output.say(f"too wide for the terminal: {', '.join(rest)}; --format csv has all columns")


def fit(frame: pl.DataFrame, width: int) -> pl.DataFrame:
    """Return the first columns that fit into `width` characters, one at least."""
    used, count = -GAP, 0
    for column in frame:
        texts = [column.name, *map(output.render_value, column)]
        used += GAP + max(map(cell_len, texts))
        if used > width and count:
            break
        count += 1
    return frame[:, :count]


def upright(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table of one row as texts, a line per column."""
    texts = [output.render_value(value) for value in frame.row(0)]
    return pl.DataFrame({"name": frame.columns, "value": texts})
