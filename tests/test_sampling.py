"""In which order an epoch takes the rows."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hed.data.dataset import Rows
from hed.training import sampling


def rows(cell: np.ndarray, drug: np.ndarray) -> Rows:
    auc = np.zeros(len(cell), np.float32)
    labels = pl.Series(cell).cast(pl.String)
    return Rows(cell.astype(np.int32), drug.astype(np.int32), auc, labels)


def some(count: int) -> Rows:
    random = np.random.default_rng(count)
    return rows(random.integers(0, 60, count), random.integers(0, 40, count))


def every_pair(cells: int, drugs: int) -> Rows:
    return rows(np.repeat(np.arange(cells), drugs), np.tile(np.arange(drugs), cells))


@given(st.integers(1, 400), st.integers(1, 70), st.integers(0, 9), st.integers(0, 9))
def test_every_row_is_taken_once(count: int, group: int, seed: int, epoch: int) -> None:
    order = sampling.order(seed, epoch, some(count), group=group)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order), np.arange(count))


@pytest.mark.parametrize("group", [1, 8])
def test_the_order_is_a_function_of_seed_and_epoch(group: int) -> None:
    order = sampling.order(3, 5, some(1000), group=group)
    assert np.array_equal(order, sampling.order(3, 5, some(1000), group=group))
    for seed, epoch in ((3, 6), (4, 5)):
        assert np.mean(order == sampling.order(seed, epoch, some(1000), group=group)) < 0.02


def test_independent_rows_come_in_the_order_of_earlier_versions() -> None:
    random = np.random.Generator(np.random.PCG64([3, 5]))
    assert np.array_equal(sampling.order(3, 5, some(1000)), random.permutation(1000))


def test_a_block_has_the_rows_of_one_group_of_cells_with_one_of_drugs() -> None:
    table = every_pair(32, 24)
    blocks = sampling.order(0, 0, table, group=4).reshape(-1, 16)
    for block in blocks:
        assert len(np.unique(table.cell[block])) == len(np.unique(table.drug[block])) == 4
        assert not np.array_equal(block, np.sort(block))
    assert not np.array_equal(np.argsort(blocks[:, 0]), np.arange(len(blocks)))


def test_the_groups_are_others_in_each_epoch() -> None:
    table = every_pair(32, 24)
    together = [
        {frozenset(table.cell[block].tolist()) for block in order.reshape(-1, 16)}
        for order in (sampling.order(0, epoch, table, group=4) for epoch in (0, 1))
    ]
    assert [len(groups) for groups in together] == [8, 8]
    assert together[0] != together[1]
