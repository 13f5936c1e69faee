"""The order in which an epoch takes the rows: a function of only the seed and the epoch."""

import numpy as np
import numpy.typing as npt

from hed.data.dataset import Rows

Integers = npt.NDArray[np.int64]


def order(seed: int, epoch: int, rows: Rows, *, group: int = 1) -> npt.NDArray[np.int32]:
    """Return a permutation of n row numbers for an epoch, counted from 0.

    With a `group` above 1 the cells are dealt into groups of that size, and so are the drugs. The
    rows of one group of cells with one group of drugs stay together, in random order, and these
    blocks of rows follow one another in random order. A batch then has far fewer distinct cells and
    drugs, whose towers are all that sharing computes, than one of as many independent rows.
    """
    random = np.random.Generator(np.random.PCG64([seed, epoch]))
    shuffled = random.permutation(len(rows))
    if group > 1:
        block = _blocks(rows.cell[shuffled], rows.drug[shuffled], group, random)
        shuffled = shuffled[np.argsort(block, kind="stable")]
    return shuffled.astype(np.int32)


def _blocks(
    cell: npt.NDArray[np.int32],
    drug: npt.NDArray[np.int32],
    group: int,
    random: np.random.Generator,
) -> Integers:
    """Return the place of each row's block among all blocks."""
    of_cell, of_drug = (_deal(entity, group, random) for entity in (cell, drug))
    _, block = np.unique(of_cell * (of_drug.max() + 1) + of_drug, return_inverse=True)
    place: Integers = random.permutation(block.max() + 1)[block]
    return place


def _deal(entity: npt.NDArray[np.int32], size: int, random: np.random.Generator) -> Integers:
    """Return the group of each row's entity, all entities being dealt into groups of `size`."""
    group: Integers = random.permutation(int(entity.max()) + 1)[entity] // size
    return group
