"""The figure of the training benchmark."""

# plotnine's own functions are mostly without types.
# mypy: disable-error-code="no-untyped-call"

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import plotnine as p9
import polars as pl


def draw(ratios: Mapping[str, Sequence[float]], machine: str, output: Path) -> None:
    """Draw how many times faster each variant's epoch is on a machine: median, min and max."""
    table = pl.DataFrame(
        [
            {"variant": name, "median": statistics.median(of), "low": min(of), "high": max(of)}
            for name, of in ratios.items()
        ]
    ).with_columns(label=pl.col("median").map_elements("{:.1f} x".format, return_dtype=pl.String))
    plot = (
        p9.ggplot(table, p9.aes("variant", "median"))
        + p9.geom_col(fill="#0072B2", width=0.6)
        + p9.geom_errorbar(p9.aes(ymin="low", ymax="high"), width=0.2)
        + p9.geom_text(p9.aes(label="label", y="high"), ha="left", nudge_y=0.4, size=9)
        + p9.scale_x_discrete(limits=list(reversed(ratios)))
        + p9.scale_y_continuous(expand=(0, 0, 0.15, 0))
        + p9.coord_flip()
        + p9.labs(
            title="An epoch of the published size",
            subtitle=machine.replace("(R)", ""),
            x="",
            y="times faster than with tables joined for each batch\n(median; bars: min to max)",
        )
        + p9.theme_minimal(base_size=10)
        + p9.theme(panel_grid_major_y=p9.element_blank(), panel_grid_minor=p9.element_blank())
    )
    plot.save(output, width=6.5, height=0.8 + 0.4 * len(table), dpi=200, verbose=False)


def draw_curves(
    curves: Mapping[str, Sequence[tuple[float, float]]], target: float, output: Path
) -> None:
    """Draw validation mse over the seconds of training, on a log scale, and the mse to reach."""
    table = pl.DataFrame(
        [
            {"settings": name, "seconds": seconds, "mse": mse}
            for name, curve in curves.items()
            for seconds, mse in curve
        ]
    ).with_columns(pl.col("settings").cast(pl.Enum(list(curves))))
    plot = (
        p9.ggplot(table, p9.aes("seconds", "mse", colour="settings", shape="settings"))
        + p9.geom_hline(yintercept=target, linetype="dashed", colour="#666666")
        + p9.geom_line()
        + p9.geom_point(size=2)
        + p9.scale_x_log10()
        # Okabe and Ito's colours, which the colour-blind can tell apart.
        + p9.scale_colour_manual(["#666666", "#D55E00", "#0072B2"])
        + p9.labs(
            title="Validation mse on GDSC2, one drug held out",
            x="seconds of training (log scale)",
            y="validation mse",
            colour="",
            shape="",
        )
        + p9.theme_minimal(base_size=10)
        + p9.theme(legend_position="top", panel_grid_minor=p9.element_blank())
    )
    plot.save(output, width=6.5, height=4, dpi=200, verbose=False)
