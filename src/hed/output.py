"""What commands print: data on stdout in one of three forms, notes and progress bars on stderr."""

import argparse
import errno
import math
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeVar

import polars as pl
from rich.cells import cell_len
from rich.console import Console
from rich.progress import track as rich_track
from rich.table import Table

Form = Literal["table", "csv", "json"]
FORMS: tuple[Form, ...] = ("table", "csv", "json")
# The form of the original's script, if a command has one.
ORIGINAL = "text"

MISSING = "-"
# A pipe has no width: nothing is cut or wrapped there.
UNLIMITED = 1_000_000
# Below this, four decimals would hide a p-value.
SMALL = 5e-4

# Blanks between columns.
GAP = 2

UNITS = ("bytes", "kB", "MB", "GB", "TB")

T = TypeVar("T")


def add_format(parser: argparse.ArgumentParser, *, original: bool = False) -> None:
    """Give a command the option `--format`: table (the default), csv or json.

    Args:
        original: the command also has the form of the original's script, `text`, as its default.
    """
    forms = (ORIGINAL, *FORMS) if original else FORMS
    meaning = f"{ORIGINAL} is the original's form; " if original else ""
    parser.add_argument(
        "--format",
        choices=forms,
        default=forms[0],
        metavar="|".join(forms),
        help=f"how to print the data ({meaning}default: %(default)s)",
    )


def show(frame: pl.DataFrame, form: Form) -> None:
    """Write a table to stdout; what is missing or not a number is `-`, empty, or null.

    A table for people has colour only on a terminal. Only there it has no more columns than fit,
    none of them cut, and those left out are named on stderr.
    """
    if form == "table":
        shown = fit(frame, shutil.get_terminal_size().columns) if sys.stdout.isatty() else frame
        _show_table(shown)
        if rest := frame.columns[shown.width :]:
            say(f"too wide for the terminal: {', '.join(rest)}; --format csv has all columns")
    elif form == "csv":
        sys.stdout.write(_without_nan(frame).write_csv())
    else:
        sys.stdout.write(render_json(frame))


def fit(frame: pl.DataFrame, width: int) -> pl.DataFrame:
    """Return the first columns that fit into `width` characters, at least one."""
    used, count = -GAP, 0
    for column in frame:
        texts = [column.name, *map(render_value, column)]
        used += GAP + max(map(cell_len, texts))
        if used > width and count:
            break
        count += 1
    return frame[:, :count]


def upright(frame: pl.DataFrame, titles: Sequence[str]) -> pl.DataFrame:
    """Return a transposed table as texts: a line for each column, a titled column for each row."""
    rows = zip(titles, frame.iter_rows(), strict=True)
    columns = {title: [render_value(value) for value in row] for title, row in rows}
    return pl.DataFrame({"": frame.columns, **columns})


def render_json(frame: pl.DataFrame) -> str:
    """Return a table as a JSON list with one object per row, a row a line."""
    rows = _without_nan(frame).write_ndjson().splitlines()
    return "[\n" + ",\n".join(rows) + "\n]\n" if rows else "[]\n"


def say(text: str) -> None:
    """Print a note about the data on stderr, where it does not mix with them."""
    print(text, file=sys.stderr, flush=True)


def track(items: Iterable[T], description: str, *, total: float | None = None) -> Iterable[T]:
    """Return `items` with a progress bar on stderr while they are used, if it is a terminal."""
    console = Console(stderr=True)
    return rich_track(
        items,
        description,
        total=total,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


@contextmanager
def where_permitted() -> Iterator[None]:
    """Write a file that only repeats what is shown; print a note if the directory is another's."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        say(f"not written: {error.strerror}: {error.filename}")


def make_table(frame: pl.DataFrame) -> Table:
    """Return a table for rich: numbers to the right, ids and names to the left."""
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold cyan")
    for name, dtype in frame.schema.items():
        table.add_column(name, justify="right" if dtype.is_numeric() else "left", no_wrap=True)
    for row in frame.iter_rows():
        table.add_row(*map(render_value, row))
    return table


def render_value(value: Any) -> str:
    """Return a value as people read it: four decimals, two significant ones if it is tiny."""
    if value is None or value != value:  # NaN is the only value that differs from itself
        return MISSING
    if isinstance(value, float):
        return f"{value:.1e}" if 0 < abs(value) < SMALL else f"{value:.4f}"
    return str(value)


def render_bytes(count: float) -> str:
    """Return a number of bytes in decimal units: `546.0 kB`, `65.0 MB`."""
    if count < 1000:
        return f"{count:.0f} bytes"
    power = min(int(math.log10(count) // 3), len(UNITS) - 1)
    return f"{count / 1000**power:.1f} {UNITS[power]}"


def _show_table(frame: pl.DataFrame) -> None:
    """Print a table, without the blanks with which rich fills its lines in a pipe."""
    width = None if sys.stdout.isatty() else UNLIMITED
    # Names may look like rich's markup or emoji codes.
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(make_table(frame))
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def _without_nan(frame: pl.DataFrame) -> pl.DataFrame:
    """Return a table whose undefined numbers are missing: JSON has no NaN."""
    return frame.with_columns(pl.selectors.float().fill_nan(None))
