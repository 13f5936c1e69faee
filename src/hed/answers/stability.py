"""How far two experiments agree on which drugs are high error drugs."""

import math
from collections.abc import Iterator
from fractions import Fraction

import polars as pl

from hed.answers import order, pairing
from hed.answers.rule import Rule

SIDES = ("first", "second")

SCHEMA: dict[str, type[pl.DataType]] = {
    **dict.fromkeys(("drugs", "listed_first", "listed_second", "listed_both"), pl.Int64),
    **dict.fromkeys(
        ("expected", "jaccard", "overlap", "p_value", "spearman", "kendall"), pl.Float64
    ),
}


def join(tables: dict[str, pl.DataFrame], rule: Rule, noun: str = "drug") -> pl.DataFrame:
    """Return a row per drug that either of two experiments has, the worst in the first on top.

    Args:
        tables: those of `high_error.tabulate` with the same rule, by the experiments' names.
        rule: which of them are listed.
        noun: what is held out, for messages.

    Columns:
        drug, index; first, second: the rule's metric in each experiment; high_first, high_second
        (bool); probability_first, probability_second; listed: `both`, `first`, `second`,
        `neither`. What an experiment lacks is null.

    Raises:
        InputError: if several runs hold out the same drug.
    """
    by = pairing.key(list(tables.values()))
    pairing.check(tables, by, noun)
    sides = [_side(t, rule, by, s) for t, s in zip(tables.values(), SIDES, strict=True)]
    joined = sides[0].join(sides[1], on=by, how="full", coalesce=True, maintain_order="left_right")
    other = "drug" if by == "index" else "index"
    return joined.with_columns(pl.coalesce(other, f"{other}_right").alias(other)).select(
        *("drug", "index", *SIDES, *(f"high_{side}" for side in SIDES)),
        *(f"probability_{side}" for side in SIDES),
        listed=_listed(),
    )


def _listed() -> pl.Expr:
    """Return which of the lists a drug is in."""
    first, second = (pl.col(f"high_{side}").fill_null(False) for side in SIDES)
    one = pl.when(first).then(pl.lit("first")).when(second).then(pl.lit("second"))
    return pl.when(first & second).then(pl.lit("both")).otherwise(one.otherwise(pl.lit("neither")))


def agree(joined: pl.DataFrame) -> pl.DataFrame:
    """Return one row on the agreement over the drugs that both experiments have (see `join`).

    Columns:
        drugs, listed_first, listed_second, listed_both: counts; expected: listed in both if the
        lists were drawn at random; jaccard: listed in both / in either; overlap: listed in both /
        in the shorter list; p_value: that random lists share at least as many (hypergeometric);
        spearman, kendall: of the metric in both experiments. Undefined is null.
    """
    both = joined.drop_nulls(SIDES)
    size = len(both)
    first, second = (int(both[f"high_{side}"].sum()) for side in SIDES)
    shared = int((both["high_first"] & both["high_second"]).sum())
    either = first + second - shared
    orders = [order.arrange(both[side].to_numpy()[None]) for side in SIDES]
    row = {
        "drugs": size,
        "listed_first": first,
        "listed_second": second,
        "listed_both": shared,
        "expected": first * second / size if size else None,
        "jaccard": shared / either if either else None,
        "overlap": shared / min(first, second) if first and second else None,
        "p_value": share_at_least(shared, size=size, first=first, second=second),
        "spearman": order.spearman(orders[0], orders[1]).item(),
        "kendall": order.kendall(orders[0], orders[1]).item(),
    }
    return pl.DataFrame([row], schema=SCHEMA).with_columns(pl.selectors.float().fill_nan(None))


def unmatched(joined: pl.DataFrame, names: tuple[str, str], noun: str = "drug") -> Iterator[str]:
    """Yield sentences on drugs (or what `noun` says) that one of two lacks or cannot judge."""
    for side, name in zip(SIDES, names, strict=True):
        count = joined[side].null_count()
        if count:
            yield f"{count} of {len(joined)} {noun}s are not in {name}, or undefined there"


def share_at_least(shared: int, *, size: int, first: int, second: int) -> float:
    """Return the probability that two random lists out of `size` share at least `shared`."""
    ways = sum(
        math.comb(first, i) * math.comb(size - first, second - i)
        for i in range(shared, min(first, second) + 1)
    )
    return float(Fraction(ways, math.comb(size, second)))


def _side(table: pl.DataFrame, rule: Rule, by: str, side: str) -> pl.DataFrame:
    """Return the columns of one experiment under the names of its side."""
    other = "drug" if by == "index" else "index"
    return table.select(
        by,
        other,
        pl.col(rule.metric).alias(side),
        pl.col("high").alias(f"high_{side}"),
        pl.col("probability").alias(f"probability_{side}"),
    )
