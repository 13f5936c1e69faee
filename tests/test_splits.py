"""Files of row numbers prescribe the split, as in IMPROVE's benchmark."""

import random
import re
from pathlib import Path

import polars as pl
import pytest
import typed
from experiments import assert_is_refused, run_script
from test_layout import run_of, write_benchmark

from hed.data import preprocess, raw, responses, row_lists, splits
from hed.data.responses import Responses
from hed.data.tables import AUC, CELL, DRUG, NUMBER
from hed.errors import InputError

NAME = "CCLE_split_{index}_{stage}.txt"
ROWS = 24


def write_splits(folder: Path, rows: int, *, count: int = 2, of: str = "CCLE") -> None:
    """Write splits of a study as IMPROVE does: 8 to 1 to 1, each row in one part."""
    folder.mkdir(exist_ok=True)
    for index in range(count):
        order = random.Random(index).sample(range(rows), rows)
        parts = {"train": order[: -rows // 5], "val": order[-rows // 5 : -rows // 10]}
        for stage, numbers in {**parts, "test": order[-rows // 10 :]}.items():
            path = folder / f"{of}_split_{index}_{stage}.txt"
            path.write_text("".join(f"{number}\n" for number in numbers))


def numbers(folder: Path, index: int, stage: str) -> list[int]:
    """Return the rows of a file, in order."""
    return sorted(map(int, (folder / f"CCLE_split_{index}_{stage}.txt").read_text().split()))


@pytest.fixture
def found() -> Responses:
    """Return a table of 24 rows, of which those of one cell have no features."""
    response = pl.DataFrame(
        {
            CELL: [f"c{i % 4}" for i in range(ROWS)],
            DRUG: [f"d{i // 4}" for i in range(ROWS)],
            AUC: [i / ROWS for i in range(ROWS)],
        }
    )
    known = {CELL: response[CELL].filter(response[CELL] != "c3"), DRUG: response[DRUG]}
    return responses.select(response, known)


def test_each_part_has_the_rows_of_its_file_that_have_features(
    tmp_path: Path, found: Responses
) -> None:
    folder = tmp_path / "splits"
    write_splits(folder, ROWS)
    for index in (0, 1):
        files = splits.find(NAME, "", tmp_path, tmp_path).files(index)
        parts = row_lists.split(found, files)
        for stage, part in parts.items():
            kept = [n for n in numbers(folder, index, stage) if n % 4 != 3]
            assert part[AUC].to_list() == [n / ROWS for n in kept]
        assert row_lists.unused(found, files) == ROWS // 4


def test_splits_are_found_in_the_data_set_or_by_their_path(tmp_path: Path) -> None:
    write_splits(tmp_path / "splits", ROWS, count=12)
    (tmp_path / "splits/CCLE_split_x_train.txt").write_text("1\n")
    inside = splits.find(NAME, "", tmp_path, Path("/"))
    assert inside.indices() == [*range(12)]
    by_path = splits.find(f"splits/{NAME}", "", Path("/elsewhere"), tmp_path)
    assert by_path == inside
    once = splits.find("CCLE_split_7_{stage}.txt", "", tmp_path, Path("/"))
    assert once.indices() == [0]
    assert once.files(0)["val"] == tmp_path / "splits/CCLE_split_7_val.txt"


def test_another_study_may_be_tested_on(tmp_path: Path) -> None:
    write_splits(tmp_path / "splits", ROWS)
    (tmp_path / "splits/gCSI_all.txt").write_text("1\n")
    files = splits.find(NAME, "gCSI_all.txt", tmp_path, Path("/")).files(1)
    assert [path.name for path in files.values()] == [
        "CCLE_split_1_train.txt",
        "CCLE_split_1_val.txt",
        "gCSI_all.txt",
    ]


@pytest.mark.parametrize(
    ("stage", "text", "sentence"),
    [
        ("test", "1\n2\nthree\n", "line 3 of .* is not a row number but 'three'"),
        ("test", "1\n\nthree\n", "line 3 of .* is not a row number but 'three'"),
        ("test", "1 2\n", "line 1 of .* is not a row number but '1 2'"),
        ("test", "-1\n", "line 1 of .* is not a row number but '-1'"),
        ("test", "1\n1", "has row 1 twice"),
        ("test", "24\n", r"has row 24, and the response table has 24 rows \(from 0\)"),
        ("val", "0\n1\n2\n", "row . is both in .*train.txt and in .*val.txt"),
        ("val", "", "no row of .*val.txt can be used"),
    ],
)
def test_files_that_are_no_split_are_refused(
    tmp_path: Path, found: Responses, stage: str, text: str, sentence: str
) -> None:
    folder = tmp_path / "splits"
    write_splits(folder, ROWS)
    (folder / f"CCLE_split_0_{stage}.txt").write_text(text)
    with pytest.raises(InputError, match=sentence):
        row_lists.split(found, splits.find(NAME, "", tmp_path, tmp_path).files(0))


def test_names_without_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape("such as CCLE_split_{index}_{stage}.txt, not")):
        splits.find("CCLE_split_{index}.txt", "", tmp_path, tmp_path)
    with pytest.raises(InputError, match="no such file: .*CCLE_split_{index}_train.txt"):
        splits.find(NAME, "", tmp_path, tmp_path)


def test_rows_keep_their_numbers_when_some_are_chosen(tmp_path: Path) -> None:
    data, out = write_benchmark(tmp_path), tmp_path / "out"
    whole = raw.read(data).response
    preprocess.preprocess(
        data, out, ge_scaling="none", md_scaling="none", choice=raw.Choice(sources=("GDSCv2",))
    )
    chosen = responses.read(out)
    assert chosen.numbers.to_list() == [*range(1, len(whole), 2)]
    assert chosen.rows[AUC].to_list() == whole[AUC][1::2].to_list()
    assert NUMBER not in whole.columns
    assert chosen.file_rows is None
    # At the start of an experiment, splits of other data are refused whatever was chosen.
    found = responses.of_raw(raw.read(data, raw.Choice(sources=("GDSCv2",))))
    assert found.file_rows == len(whole)
    write_splits(tmp_path / "splits", len(whole) + 9)
    files = splits.find(NAME, "", tmp_path, tmp_path).files(0)
    with pytest.raises(InputError, match="these are splits of other data"):
        row_lists.unused(found, files)


def test_the_command_splits_as_files_prescribe(tmp_path: Path) -> None:
    data, out = write_benchmark(tmp_path), tmp_path / "out"
    preprocess.preprocess(data, out, ge_scaling="none", md_scaling="none")
    write_splits(tmp_path / "splits", 3600)
    files = [tmp_path / f"splits/CCLE_split_1_{stage}.txt" for stage in splits.STAGES]
    place = tmp_path / "partition"
    command = ("partition.py", out / "rsp_merged.parquet", place, "--index", 1, "--mode", "file")
    assert_is_refused(run_script(*command), "mode file needs --splits TRAIN VAL TEST")
    assert (
        run_script(*command, "--splits", *files).stdout == "2,880 train, 360 val, 360 test rows\n"
    )
    tested = pl.read_parquet(place / "rsp_test_data.parquet")
    whole = pl.read_parquet(out / "rsp_merged.parquet")
    assert tested.equals(whole[numbers(tmp_path / "splits", 1, "test")])


@pytest.mark.xdist_group("workflow")
def test_an_experiment_is_split_as_the_benchmark_prescribes(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path) / "csa_data/raw_data/splits"
    write_splits(folder, 3600)
    run = run_of(tmp_path)
    (tmp_path / "upf.json").unlink()
    mode = f"partition={{mode: file, splits: '{NAME}'}}"
    scaling = "preprocess={scale_on: training}"
    source = f"data_source={tmp_path}"
    assert "no such file" in typed.refused(
        tmp_path, source, "partition={mode: file, splits: 'gCSI_{index}_{stage}.txt'}"
    )
    said = typed.told(tmp_path, source, mode, scaling, options=["--until=aggregate"])
    assert "2 sources" in said
    runs = run.parent
    assert sorted(path.name for path in runs.iterdir()) == ["RUN000", "RUN001"]
    whole = pl.read_csv(folder.parent / "y_data/response.tsv", separator="\t", infer_schema=False)
    for index in (0, 1):
        predicted = pl.read_csv(runs / f"RUN{index:03d}/test_y_data_predicted.csv")
        tested = whole[numbers(folder, index, "test")]
        assert predicted["labels"].to_list() == tested[CELL].to_list()
        given = tested[AUC].cast(float)
        assert (predicted["auc_true"] - given).abs().max() < 1e-4
    # Files that were touched are the same splits, those that changed are others.
    for path in folder.iterdir():
        path.touch()
    assert "Job stats" not in typed.told(
        tmp_path, source, mode, scaling, options=["-n", "--until=aggregate"]
    )
    (folder / "CCLE_split_0_val.txt").write_text("3599\n")
    changed = typed.refused(tmp_path, source, mode, scaling, "experiment=EXP000")
    assert "both in" in changed
    (folder / "CCLE_split_0_val.txt").write_text(f"{numbers(folder, 0, 'test')[0]}\n")
    (folder / "CCLE_split_0_test.txt").write_text(f"{numbers(folder, 0, 'test')[1]}\n")
    changed = typed.refused(tmp_path, source, mode, scaling, "experiment=EXP000")
    assert "EXP000 was made with another splits" in changed
