"""How far drugs have moved between two lists, as the original counts it."""

from pathlib import Path

import pytest
from experiments import assert_is_refused, call_script, run_script

from hed.answers import shifts
from hed.errors import InputError

TRUE = "RUN3  0.1000  0.4000  c\nRUN1  0.2000  0.1000  c\nRUN2  0.3000  0.2000  c\n"
PREDICTED = "RUN1  0.2000  0.1000  c\nRUN2  0.3000  0.2000  c\nRUN3  0.1000  0.4000  c\n"


@pytest.fixture
def lists(tmp_path: Path) -> tuple[Path, Path]:
    for name, text in (("true", TRUE), ("pred", PREDICTED)):
        (tmp_path / f"{name}.list").write_text(text)
    return tmp_path / "true.list", tmp_path / "pred.list"


def test_a_shift_counts_the_ranks_by_which_a_run_is_later(lists: tuple[Path, Path]) -> None:
    assert call_script("list_diff.py", *lists) == (
        "   0 RUN3 RUN1    2\n   1 RUN1 RUN2   -1\n   2 RUN2 RUN3   -1\n"
        "\ndiff_sum:         0\ndiff_sum2:        6\n"
    )
    first = call_script("list_diff.py", *lists, "--count", 1, "--format", "csv")
    assert first == "rank,run,there,shift\n0,RUN3,RUN1,2\n"


def test_the_original_s_table_of_both_lists_is_read(tmp_path: Path) -> None:
    rows = ["true,,,pred,", "i,run,auc,i,run", "0,RUN3,0.1,0,RUN1", "1,RUN1,0.2,1,RUN3"]
    (tmp_path / "table.csv").write_text("\n".join(rows))
    printed = call_script("list_diff.py", 1, tmp_path / "table.csv")
    assert printed.splitlines()[0] == "   0 RUN3 RUN1    1"


def test_a_run_that_is_not_in_the_predicted_list_has_no_shift(lists: tuple[Path, Path]) -> None:
    lists[1].write_text(PREDICTED.splitlines(keepends=True)[0])
    result = run_script("list_diff.py", *lists)
    assert result.stderr.startswith("2 of 3 runs are not in the predicted list")
    assert result.stdout.splitlines()[0] == "   0 RUN3 RUN1    -"
    assert shifts.tabulate(["a"], [])["there"].to_list() == [None]


def test_at_least_one_run_is_shown() -> None:
    with pytest.raises(InputError, match="COUNT must be at least 1, not -2"):
        shifts.tabulate(["A"], ["A"], -2)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("a,b\nc,d\n1,2\n")
    assert_is_refused(run_script("list_diff.py", 1, tmp_path / "table.csv"), "is not a table of")
    assert_is_refused(run_script("list_diff.py", 1, tmp_path / "none.csv"), "no such file")
