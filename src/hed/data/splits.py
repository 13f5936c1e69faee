"""Splits that files prescribe, as IMPROVE's benchmark has them: lists of rows of response.tsv.

A file such as `CCLE_split_0_train.txt` has one row number per line, from 0, and no header. Rows
whose cell or drug has no features, or that were not selected, are left out, as IMPROVE's models do.
"""

import glob
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import polars as pl

from hed.data import layout
from hed.data.responses import Responses
from hed.errors import InputError

STAGES = ("train", "val", "test")
INDEX, STAGE = "{index}", "{stage}"


@dataclass(frozen=True)
class Splits:
    """The files with the rows of each part.

    Attributes:
        names: for `train`, `val` and `test`, an absolute path, perhaps with `{index}` in it.
    """

    names: Mapping[str, str]

    def files(self, index: int) -> dict[str, Path]:
        """Return the files of one split."""
        return {stage: Path(name.replace(INDEX, str(index))) for stage, name in self.names.items()}

    def indices(self) -> list[int]:
        """Return the indices for which there are files to train on, in order."""
        name = self.names["train"]
        if INDEX not in name:
            return [0]
        first, _, rest = name.partition(INDEX)
        again = re.escape(rest).replace(re.escape(INDEX), r"\1")
        form = re.compile(rf"{re.escape(first)}(\d+){again}")
        there = Path(name).parent.glob(_pattern(Path(name).name))
        return sorted(int(found[1]) for path in there if (found := form.fullmatch(str(path))))


def find(name: str, test_rows: str, source: Path, root: Path) -> Splits:
    """Return the splits that the settings name.

    Args:
        name: of the files, with `{stage}` and perhaps `{index}` in it; in the data set's `splits`
            or a path, relative to `root`.
        test_rows: name of the files of rows to test on, such as those of another study; empty for
            those of `name`.
        source: the data set.

    Raises:
        InputError: if a name is not as it should be, or there is no such file.
    """
    if STAGE not in name:
        raise InputError(
            "partition: mode file needs the name of its files as partition: splits, such as "
            f"CCLE_split_{INDEX}_{STAGE}.txt, not {name!r}"
        )
    names = {stage: name.replace(STAGE, stage) for stage in STAGES}
    if test_rows:
        names["test"] = test_rows.replace(STAGE, "test")
    splits = Splits({stage: _located(each, source, root) for stage, each in names.items()})
    if not splits.indices():
        raise InputError(f"partition: splits: no such file: {splits.names['train']}")
    return splits


def _located(name: str, source: Path, root: Path) -> str:
    """Return a name as an absolute path: in the splits of a data set if something there matches."""
    folders = [source / below / "splits" for below in layout.ROOTS]
    for folder in folders:
        if "/" not in name and any(folder.glob(_pattern(name))):
            return str(folder / name)
    return str(root / Path(name).expanduser())


def _pattern(name: str) -> str:
    """Return the pattern of the files' names."""
    return glob.escape(name).replace(INDEX, "*")


def digest(splits: Splits, indices: list[int]) -> str:
    """Return a digest of the rows of some splits."""
    found = hashlib.blake2b(digest_size=16)
    for index in indices:
        for path in splits.files(index).values():
            found.update(path.read_bytes())
    return found.hexdigest()


def split(responses: Responses, files: Mapping[str, Path]) -> dict[str, pl.DataFrame]:
    """Return the responses of each part, in the order of the response table.

    Raises:
        InputError: if a file is missing or no list of rows, a row is in two parts or in none of
            the table, or a part has no row that can be used.
    """
    return _parts(responses, files, _listed(responses, files))


def unused(responses: Responses, files: Mapping[str, Path]) -> int:
    """Return how many rows of a split do not count.

    Raises:
        InputError: as `split` does.
    """
    listed = _listed(responses, files)
    parts = _parts(responses, files, listed)
    return sum(map(len, listed.values())) - sum(map(len, parts.values()))


def _parts(
    responses: Responses, files: Mapping[str, Path], listed: Mapping[str, pl.Series]
) -> dict[str, pl.DataFrame]:
    """Return the responses that are listed for each part."""
    parts = {
        stage: responses.rows.filter(responses.numbers.is_in(rows.implode()))
        for stage, rows in listed.items()
    }
    for stage, part in parts.items():
        if part.is_empty():
            raise InputError(
                f"no row of {files[stage]} can be used: they have no features, or were not chosen"
            )
    return parts


def _listed(responses: Responses, files: Mapping[str, Path]) -> dict[str, pl.Series]:
    """Return the row numbers of each part."""
    listed = {stage: _rows(path) for stage, path in files.items()}
    _check(listed, files, responses)
    return listed


def _rows(path: Path) -> pl.Series:
    """Return the row numbers of a file."""
    if not path.is_file():
        raise InputError(f"partition: splits: no such file: {path}")
    # Other lines would be a mistake that nobody would notice later.
    lines = pl.Series(path.read_text(errors="replace").split(), dtype=pl.String)
    rows = lines.cast(pl.Int64, strict=False)
    if rows.null_count() or (rows < 0).any():
        wrong = (rows.is_null() | (rows < 0)).arg_true()[0]
        raise InputError(
            f"line {wrong + 1:,} of {path} is not a row number but {lines[wrong]!r}: "
            "give one per line"
        )
    if rows.is_duplicated().any():
        raise InputError(f"{path} has row {rows.filter(rows.is_duplicated())[0]:,} twice")
    return rows


def _check(
    listed: Mapping[str, pl.Series], files: Mapping[str, Path], responses: Responses
) -> None:
    """Refuse rows that the table does not have, and those of two parts."""
    for stage, rows in listed.items():
        most = responses.file_rows
        if most is not None and (rows >= most).any():
            raise InputError(
                f"{files[stage]} has row {rows.filter(rows >= most)[0]:,}, and the response table "
                f"has {most:,} rows (from 0): these are splits of other data"
            )
    for one, other in combinations(listed, 2):
        both = listed[one].filter(listed[one].is_in(listed[other].implode()))
        if len(both):
            raise InputError(
                f"row {both[0]:,} is both in {files[one]} and in {files[other]}: "
                "a row can be in one part only"
            )
