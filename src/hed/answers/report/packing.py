"""Many predictions in few characters, as the page's script unpacks them (`templates/page.js`)."""

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

Numbers = npt.NDArray[np.int64]

# AUC has four decimals in an experiment's files; with many rows, three keep the page small.
STEP, COARSE_STEP = 1e-4, 1e-3
MANY_ROWS = 700_000


@dataclass(frozen=True)
class Packed:
    """The predictions of all runs.

    Attributes:
        runs: where each run's rows are: run to (first row, number of rows).
        cells: names of the cells, sorted.
        low, step: an AUC is low + step x number.
        columns: base64 of gzip of three columns of 32 bit numbers: cell, true and predicted AUC.
            A cell is a position in `cells`, less that of the row before it of the same run. Of
            each column the lowest bytes of all rows come first, then the next, as compresses best.
    """

    runs: dict[str, tuple[int, int]]
    cells: list[str]
    low: float
    step: float
    columns: str


def pack(rows: pl.DataFrame) -> Packed:
    """Pack the rows of `HeldOut`; within a run they are sorted by cell."""
    step = STEP if len(rows) <= MANY_ROWS else COARSE_STEP
    cells = rows["cell"].unique().sort()
    place = pl.col("cell").cast(pl.Enum(cells)).to_physical().cast(pl.Int64)
    order = pl.col("run").rank("dense")
    ordered = rows.with_columns(place=place).sort(order, "place", maintain_order=True)
    moved = (pl.col("place") - pl.col("place").shift(1).over("run")).fill_null(pl.col("place"))
    least = min(rows[name].to_numpy().min() for name in ("true", "predicted"))
    low = np.floor(least / step) * step
    auc = ((pl.col("true", "predicted") - low) / step).round().cast(pl.Int64)
    table = ordered.select("run", moved, auc)
    columns = [table[name].to_numpy() for name in ("place", "true", "predicted")]
    return Packed(
        runs=_ranges(table["run"]),
        cells=cells.to_list(),
        low=float(low),
        step=step,
        columns=encode(b"".join(map(_planes, columns))),
    )


def encode(content: bytes) -> str:
    """Return compressed bytes as text; the same bytes each time."""
    return base64.b64encode(gzip.compress(content, mtime=0)).decode()


def encode_json(value: Any) -> str:
    """Return a value as compressed JSON in text."""
    return encode(json.dumps(value, separators=(",", ":")).encode())


def _ranges(runs: pl.Series) -> dict[str, tuple[int, int]]:
    """Return the first row and the number of rows of each run."""
    counts = pl.DataFrame({"run": runs}).group_by("run", maintain_order=True).len()
    first = counts["len"].cum_sum() - counts["len"]
    places = zip(counts["run"], first, counts["len"], strict=True)
    return {run: (start, count) for run, start, count in places}


def _planes(values: Numbers) -> bytes:
    """Return the lowest bytes of all values, then the next, up to the fourth."""
    return values.astype("<u4").view(np.uint8).reshape(-1, 4).T.tobytes()
