"""Which run was on which tile when, and how many tiles were idle."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call, no-any-return"

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotnine as p9
import polars as pl

from hed.answers.plots import theme

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("run", "block", "node", "tile"), pl.String),
    **dict.fromkeys(("start", "end"), pl.Float64),
    "state": pl.String,
}
HOUR = 3600.0
POINTS = 72  # of an inch

# Up to this many tiles are named, one to a row.
MAX_NAMED = 48
MARGINS = 1.7  # inches, all that is above and below the panels
BUSY_HEIGHT = 1.1  # inches, of the upper panel
NAMED_ROW, LEAST_HEIGHT, MOST_HEIGHT = 0.15, 0.8, 5.0  # inches, of the lower panel

# Two shades distinguish a run from the next on the same tile.
SHADES = (theme.BLUE, theme.SKY)
FAILED = theme.ORANGE


def tabulate(records: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return a row per run on a tile, in order of the start, from a pilot's records of its tiles.

    Columns: run, block, node, tile, start, end (hours since the first start), state (success or
    failed), row (of the tile, from 0: nodes and their tiles in order).
    """
    table = pl.DataFrame(list(records), schema=SCHEMA, orient="row", strict=False)
    hours = ((pl.col("start", "end") - pl.col("start").min()) / HOUR).name.keep()
    places = sorted(set(table.select("node", "tile").iter_rows()), key=_place)
    rows = {"node": [node for node, _ in places], "tile": [tile for _, tile in places]}
    numbered = pl.DataFrame(rows, schema={"node": pl.String, "tile": pl.String}).with_row_index(
        "row"
    )
    joined = table.with_columns(hours).join(numbered, on=["node", "tile"], maintain_order="left")
    return joined.with_columns(pl.col("row").cast(pl.Int64)).sort("start", maintain_order=True)


def _place(place: tuple[str, str]) -> tuple[str, list[float], str]:
    """Return the key that sorts tile 2 before tile 10."""
    node, tile = place
    numbers = [float(part) for part in tile.split(".") if part.isdigit()]
    return node, numbers, tile


def idle_share(table: pl.DataFrame) -> float:
    """Return the share of tile time without a run, 0 to 1.

    The time of a block's tile is from the first start to the last end on any tile of the block.
    ASSUME: a tile that never had a run is not known, and does not count.
    """
    blocks = table.group_by("block").agg(
        busy=(pl.col("end") - pl.col("start")).sum(),
        held=pl.struct("node", "tile").n_unique() * (pl.col("end").max() - pl.col("start").min()),
    )
    held = float(blocks["held"].sum())
    return 1 - float(blocks["busy"].sum()) / held if held > 0 else 0.0


def count_busy(table: pl.DataFrame) -> pl.DataFrame:
    """Return how many tiles had a run from each time on: hours, busy."""
    starts = table.select(hours="start", change=pl.lit(1, pl.Int64))
    ends = table.select(hours="end", change=pl.lit(-1, pl.Int64))
    changes = pl.concat([starts, ends]).group_by("hours").agg(pl.col("change").sum()).sort("hours")
    return changes.select("hours", busy=pl.col("change").cum_sum())


def plot(table: pl.DataFrame, *, title: str) -> p9.ggplot:
    """Return the figure of `tabulate`, which must have at least one row."""
    tiles = table["row"].n_unique()
    height = min(max(NAMED_ROW * tiles, LEAST_HEIGHT), MOST_HEIGHT)
    upper, lower = "busy", f"{tiles:,} tile{'s' if tiles > 1 else ''}"
    panels = pl.Enum([upper, lower])
    busy = count_busy(table).with_columns(panel=pl.lit(upper, panels))
    # Below zero, so that the axis can tell tiles from counts.
    runs = table.with_columns(panel=pl.lit(lower, panels), y=-1 - pl.col("row"))
    names = name_rows(table)
    return (
        p9.ggplot()
        + p9.facet_grid("panel", scales="free_y", space={"x": [1], "y": [BUSY_HEIGHT, height]})
        + _busy(busy, tiles)
        + _bars(runs, thickness=POINTS * height / tiles)
        + p9.scale_colour_identity()
        + p9.scale_y_continuous(
            expand=(0, 0.6),
            breaks=lambda limits: _ticks(limits, names),
            labels=lambda ticks: [names.get(-1 - round(tick), f"{tick:.0f}") for tick in ticks],
        )
        + _labels(title, table)
        + theme.look(
            MARGINS + BUSY_HEIGHT + height,
            axis_text_y=p9.element_text(size=6.5, colour="black"),
            panel_grid_major_y=p9.element_blank(),
            panel_spacing_y=0.03,
            legend_position="none",
        )
    )


def name_rows(table: pl.DataFrame) -> dict[int, str]:
    """Return the names of rows that have room for one: each tile, or each node at its middle."""
    rows = table.group_by("row").agg(pl.col("node", "tile").first()).sort("row")
    if len(rows) <= MAX_NAMED:
        return {row: f"{node} tile {tile}" for row, node, tile in rows.iter_rows()}
    nodes = rows.group_by("node").agg(pl.col("row").median().cast(pl.Int64))
    return dict(nodes.select("row", "node").iter_rows()) if len(nodes) <= MAX_NAMED else {}


def _ticks(limits: tuple[float, float], names: Mapping[int, str]) -> list[float]:
    """Return the ticks of a panel: the named rows, or zero and the most tiles busy."""
    low, high = limits
    return [-1.0 - row for row in names] if low < -0.8 else [0.0, float(math.floor(high))]


def _busy(busy: pl.DataFrame, tiles: int) -> list[Any]:
    """Return the number of busy tiles as an area under steps, and the line of all tiles."""
    steps = busy.with_columns(until=pl.col("hours").shift(-1), none=0).drop_nulls("until")
    area = p9.aes(xmin="hours", xmax="until", ymin="none", ymax="busy")
    return [
        p9.geom_rect(area, steps, fill=theme.BLUE, alpha=0.6),
        p9.geom_hline(p9.aes(yintercept="all"), busy.head(1).with_columns(all=tiles), size=0.4),
    ]


def _bars(runs: pl.DataFrame, thickness: float) -> list[Any]:
    """Return a bar per run, and a cross at the end of one that failed, `thickness` in points."""
    bar = p9.aes(x="start", xend="end", y="y", yend="y", colour="colour")
    even = pl.int_range(pl.len()).over("row") % 2 == 0
    shade = pl.when(even).then(pl.lit(SHADES[0])).otherwise(pl.lit(SHADES[1]))
    failed = runs.filter(state="failed")
    is_failed = pl.col("state") == "failed"
    coloured = runs.with_columns(colour=pl.when(is_failed).then(pl.lit(FAILED)).otherwise(shade))
    cross: dict[str, Any] = {"shape": "x", "size": 1.6, "colour": "black", "show_legend": False}
    marks = [p9.geom_point(p9.aes("end", "y"), failed, **cross)] if len(failed) else []
    # plotnine's size of a line is 1.07 points.
    size = max(0.75 * thickness, 0.3) / 1.07
    return [p9.geom_segment(bar, coloured, size=size, lineend="butt"), *marks]


def _labels(title: str, table: pl.DataFrame) -> p9.labs:
    """Return title, axis and what the marks are."""
    failed = int((table["state"] == "failed").sum())
    explained = (
        f"tiles were idle for {100 * idle_share(table):.1f} % of the time between the first start "
        "and the last end of their block (tiles that never had a run are not counted); a bar: a "
        "run, in two shades to tell it from the next"
    )
    if failed:
        explained += f"; orange with a cross: {failed} runs that failed"
    return p9.labs(
        title="Runs on tiles",
        subtitle=title,
        x="hours since the first start",
        y="",
        caption=theme.wrap(explained),
    )
