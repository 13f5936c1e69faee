"""Each run trains on, validates on and is tested on its own rows, the same on every machine."""

import hashlib
from collections import Counter

import polars as pl
import pytest
from experiments import assert_is_refused, run_script
from hypothesis import assume, given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hed.data import partition, tables
from hed.data.partition import Split
from hed.errors import InputError

MODES = ("by_drug", "by_cell", "random")
ROW = "row"
# Digests of the row numbers of one split of each mode: they may never change.
SPLITS = {"by_drug": "22f48efa", "by_cell": "1bf374ac", "random": "f60c14d7"}


def table(pairs):
    """Return a response table of (cell, drug) pairs, whose AUC repeats and whose rows are told."""
    return pl.DataFrame(
        {
            tables.CELL: [f"C{cell}" for cell, _ in pairs],
            tables.DRUG: [f"D{drug}" for _, drug in pairs],
            tables.AUC: [0.5 + 0.25 * (cell % 2) for cell, _ in pairs],
            ROW: range(len(pairs)),
        },
        schema_overrides={tables.CELL: pl.String, tables.DRUG: pl.String, ROW: pl.Int64},
    )


def grid(drugs=6, cells=20, replicates=1):
    """Return a full response table: every drug on every cell, replicates beside each other."""
    return table([(c, d) for c in range(cells) for d in range(drugs) for _ in range(replicates)])


pairs = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=4, max_size=80)
splits = st.builds(
    Split,
    mode=st.sampled_from(MODES),
    validation=st.floats(0.05, 0.95),
    test=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**40),
)


def try_split(response, index, how):
    """Return the parts, or discard an example in which one would be empty."""
    try:
        return partition.split(response, index, how)
    except InputError:
        assume(False)


def rows(parts, stage):
    """Return the row numbers of a part."""
    return parts[stage][ROW].to_list()


@given(pairs=pairs, index=st.integers(0, 3), how=splits)
def test_no_row_is_lost_or_doubled_and_order_is_kept(pairs, index, how):
    response = table(pairs)
    parts = try_split(response, index, how)
    assert list(parts) == ["train", "val", "test"]
    for stage in parts:
        assert rows(parts, stage) == sorted(rows(parts, stage))
    assert_frame_equal(pl.concat(parts.values()).sort(ROW), response)


@given(pairs=pairs, index=st.integers(0, 3), how=splits)
def test_what_is_held_out_is_seen_only_in_the_test_rows_and_all_of_it_is_there(pairs, index, how):
    assume(how.mode != "random")
    response = table(pairs)
    parts = try_split(response, index, how)
    column = tables.COUNTED[how.mode]
    held_out = tables.distinct(response[column])[index]
    assert parts["test"][column].unique().to_list() == [held_out]
    assert held_out not in parts["train"][column]
    assert held_out not in parts["val"][column]


@given(pairs=pairs, index=st.integers(0, 3), how=splits)
def test_the_shares_are_those_asked_for_to_the_nearest_row_or_pair(pairs, index, how):
    response = table(pairs)
    parts = try_split(response, index, how)
    most = max(Counter(pairs).values()) / 2
    others = len(response) - len(parts["test"])
    assert abs(len(parts["val"]) - round(others * how.validation)) <= most // 1
    if how.mode == "random":
        assert abs(len(parts["test"]) - round(len(response) * how.test)) <= most // 1


@given(pairs=pairs, index=st.integers(0, 3), how=splits)
def test_rows_of_one_cell_and_drug_are_in_one_part(pairs, index, how):
    parts = try_split(table(pairs), index, how)
    found = pl.concat([part.with_columns(stage=pl.lit(name)) for name, part in parts.items()])
    by_pair = found.group_by(tables.CELL, tables.DRUG).agg(pl.col("stage").n_unique())
    assert by_pair["stage"].max() == 1


@given(pairs=pairs, index=st.integers(0, 3), how=splits)
def test_the_same_seed_and_index_give_the_same_split_whatever_the_other_columns(pairs, index, how):
    response = table(pairs)
    parts = try_split(response, index, how)
    other = response.with_columns(pl.lit(0.125).alias(tables.AUC), more=pl.lit("x"))
    again = partition.split(other, index, how)
    assert {s: rows(again, s) for s in again} == {s: rows(parts, s) for s in parts}


@pytest.mark.parametrize("mode", MODES)
def test_the_split_is_the_same_on_every_machine_and_in_every_version(mode):
    parts = partition.split(grid(), 2, Split(mode, seed=7))
    numbers = str([rows(parts, stage) for stage in parts])
    digest = hashlib.sha256(numbers.encode()).hexdigest()[:8]
    assert digest == SPLITS[mode]


@pytest.mark.parametrize("mode", MODES)
def test_another_seed_gives_another_split(mode):
    first, second = (partition.split(grid(), 2, Split(mode, seed=seed)) for seed in (0, 1))
    assert rows(first, "val") != rows(second, "val")


def test_another_index_gives_another_validation_set_among_the_rows_that_both_could_use():
    response = grid(drugs=8, cells=30)
    first, second = (partition.split(response, index, Split()) for index in (0, 1))
    common = set(response.filter(~pl.col(tables.DRUG).is_in(["D0", "D1"]))[ROW])
    assert set(rows(first, "val")) & common != set(rows(second, "val")) & common


def test_another_index_gives_another_random_test_set():
    first, second = (partition.split(grid(), i, Split("random")) for i in (0, 1))
    assert rows(first, "test") != rows(second, "test")


def test_seed_and_index_are_not_interchangeable():
    first = partition.split(grid(), 1, Split("random", seed=2))
    second = partition.split(grid(), 2, Split("random", seed=1))
    assert rows(first, "test") != rows(second, "test")


def test_replicates_are_kept_each_as_a_row_of_its_own():
    response = grid(replicates=3).drop(ROW)
    parts = partition.split(response, 0, Split())
    assert len(parts["test"]) == 60
    assert sum(map(len, parts.values())) == len(response) == 360


def test_validation_rows_come_from_the_whole_table():
    parts = partition.split(grid(drugs=6, cells=100), 0, Split())
    assert parts["val"][tables.DRUG].n_unique() == 5
    assert parts["val"][tables.CELL].n_unique() > 50


def test_drugs_are_counted_in_order_of_first_appearance():
    response = table([(0, 9), (0, 2), (1, 9), (1, 5)])
    held_out = [partition.held_out(response, index, tables.DRUG) for index in range(3)]
    assert held_out == ["D9", "D2", "D5"]


@pytest.mark.parametrize("index", [6, 7, 10**6])
def test_an_index_out_of_range_is_refused_with_the_range(index):
    sentence = rf"^no drug at index {index}: the response table has 6 drugs \(0 to 5\)$"
    with pytest.raises(InputError, match=sentence):
        partition.split(grid(), index, Split())
    with pytest.raises(InputError, match=r"^no cell at index 20: .* has 20 cells \(0 to 19\)$"):
        partition.split(grid(), 20, Split("by_cell"))


def test_large_numbers_are_readable():
    with pytest.raises(InputError, match=r"has 1,770 drugs \(0 to 1,769\)"):
        tables.check_index(1770, 1770, "drug")


@pytest.mark.parametrize("mode", MODES)
def test_a_negative_index_or_seed_is_refused(mode):
    with pytest.raises(InputError, match="^the index must be at least 0, not -1$"):
        partition.split(grid(), -1, Split(mode))
    with pytest.raises(InputError, match="^the seed must be at least 0, not -1$"):
        Split(mode, seed=-1)


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match="^the validation share must be between 0 and 1, not"):
        Split(validation=share)
    with pytest.raises(InputError, match="^the test share must be between 0 and 1, not"):
        Split(test=share)


@pytest.mark.parametrize(
    ("response", "how", "counts"),
    [
        (grid(drugs=1), Split(), "0 rows to train on, 0 to validate on and 20 to test on"),
        (grid(drugs=2, cells=2), Split(), "2 rows to train on, 0 to validate on and 2 to test"),
        (grid(2, 2), Split(validation=0.9), "0 rows to train on, 2 to validate on and 2 to test"),
        (grid(2, 2), Split("random"), "3 rows to train on, 1 to validate on and 0 to test on"),
        (grid(2, 2), Split("random", test=0.9), "0 rows to train on, 0 to validate on and 4 to"),
    ],
)
def test_a_split_with_an_empty_part_is_refused_with_the_counts(response, how, counts):
    with pytest.raises(InputError, match=f"^index 0 leaves {counts}.*each part needs one at least"):
        partition.split(response, 0, how)


@pytest.fixture
def parquet(tmp_path):
    """Return a response table on disk whose ids are digits."""
    path = tmp_path / "rsp_merged.parquet"
    response = grid().with_columns(pl.col(tables.DRUG).str.strip_prefix("D").cast(pl.Int64))
    response.write_parquet(path)
    return path


def test_the_command_writes_the_three_improve_files(parquet, tmp_path):
    result = run_script("partition.py", parquet, tmp_path / "deep" / "RUN001", "--index", 1)
    assert result.stdout == "80 train, 20 val, 20 test rows\n"
    assert sorted(path.name for path in (tmp_path / "deep" / "RUN001").iterdir()) == [
        "rsp_test_data.parquet",
        "rsp_train_data.parquet",
        "rsp_val_data.parquet",
    ]
    expected = partition.split(tables.read_response(parquet), 1, Split())
    for stage, part in expected.items():
        assert_frame_equal(partition.read(tmp_path / "deep" / "RUN001", stage), part)
    assert expected["test"][tables.DRUG].unique().to_list() == ["1"]


def test_the_command_writes_the_same_bytes_each_time(parquet, tmp_path):
    for name in ("first", "second"):
        run_script("partition.py", parquet, tmp_path / name, "--index", 3, "--mode", "random")
    for name in partition.FILES.values():
        first, second = (tmp_path / place / name for place in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--index", 6], "error: no drug at index 6: the response table has 6 drugs (0 to 5)"),
        (["--index", -1], "error: the index must be at least 0, not -1"),
        (["--index", 0, "--seed", -1], "error: the seed must be at least 0, not -1"),
        (["--index", 0, "--validation", 1.5], "error: the validation share must be between 0"),
    ],
)
def test_the_command_refuses_what_cannot_be_split(parquet, tmp_path, options, sentence):
    assert_is_refused(run_script("partition.py", parquet, tmp_path / "out", *options), sentence)
    assert not (tmp_path / "out").exists()


def test_a_missing_part_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^no such file: .*/rsp_val_data.parquet$"):
        partition.read(tmp_path, "val")


def test_features_are_linked_and_tables_that_are_there_stay(tmp_path):
    data, place = tmp_path / "data", tmp_path / "part"
    for directory in (data, place):
        directory.mkdir()
    for kind in tables.KINDS:
        (data / kind.file).write_text(kind.noun)
    (place / tables.EXPRESSION_FILE).symlink_to("gone")
    partition.link_features(place, data)
    partition.link_features(data, data)
    for kind in tables.KINDS:
        assert (place / kind.file).read_text() == kind.noun
        assert not (data / kind.file).is_symlink()


def test_the_original_s_order_of_arguments_gives_the_same(parquet, tmp_path):
    run_script("partition.py", parquet, tmp_path / "ours", "--index", 1)
    result = run_script("partition.py", "by_drug", "--index", 1, parquet, tmp_path / "theirs")
    assert result.returncode == 0, result.stderr
    for name in partition.FILES.values():
        ours, theirs = (tmp_path / place / name for place in ("ours", "theirs"))
        assert ours.read_bytes() == theirs.read_bytes()


# Features of a run's own


def write_data(directory, response):
    """Write feature tables for the cells and drugs of a response table, the last far off."""
    for kind in tables.KINDS:
        ids = tables.distinct(response[kind.id])
        values = [float(i) for i in range(len(ids) - 1)] + [1000.0]
        pl.DataFrame({kind.id: ids, f"{kind.prefix}x": values}).write_parquet(directory / kind.file)


def test_a_run_s_own_features_are_scaled_without_a_look_at_what_is_tested(tmp_path):
    response = grid()
    write_data(tmp_path, response)
    parts = partition.split(response, 5, Split())
    methods = {tables.CELL: "none", tables.DRUG: "std"}
    partition.write_features(parts, tmp_path / "own", tmp_path, methods)
    drugs = pl.read_parquet(tmp_path / "own" / tables.DESCRIPTOR_FILE)["mordred.x"]
    seen = drugs[:5].to_numpy()
    assert abs(seen.mean()) < 1e-6 and abs(seen.std() - 1) < 1e-6
    # Of 0 to 4, the mean is 2 and the standard deviation the root of 2.
    assert drugs[5] == pytest.approx((1000 - 2) / 2**0.5, rel=1e-6)
    cells = pl.read_parquet(tmp_path / "own" / tables.EXPRESSION_FILE)
    assert cells["ge.x"].max() == 1000


def test_a_run_takes_the_features_of_its_partition_if_it_has_its_own(tmp_path):
    response = grid()
    write_data(tmp_path, response)
    place = tmp_path / "partition"
    partition.write(partition.split(response, 5, Split()), place)
    partition.link_features(place, tmp_path)
    assert partition.features(place, tmp_path) == tmp_path
    methods = dict.fromkeys((tables.CELL, tables.DRUG), "std")
    partition.write_features(partition.split(response, 5, Split()), place, tmp_path, methods)
    partition.link_features(place, tmp_path)
    assert partition.features(place, tmp_path) == place
