"""The files of splits, as IMPROVE's benchmark has them: lists of rows of response.tsv.

A file such as `CCLE_split_0_train.txt` has one row number per line, from 0, and no header; see
`row_lists` for their rows. The rules read this, so nothing here imports what reads tables.
"""

import glob
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hed.data import layout
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


def digests(splits: Splits, indices: Iterable[int]) -> dict[str, str]:
    """Return digests of the rows of some splits, by their index as text."""
    return {str(index): _digest(splits.files(index).values()) for index in indices}


def _digest(paths: Iterable[Path]) -> str:
    """Return a digest of some files."""
    found = hashlib.blake2b(digest_size=16)
    for path in paths:
        found.update(path.read_bytes())
    return found.hexdigest()
