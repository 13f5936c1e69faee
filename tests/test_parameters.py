"""`parameters.txt` is read in both of its forms."""

from pathlib import Path

import originals
import pytest

from hed.experiment import parameters


def test_the_original_s_sections_are_read_with_the_types_that_were_written(tmp_path: Path) -> None:
    text = originals.parameters_text("RUN005", 5, note="it's 'mine'", framework="keras")
    found = parameters.parse(text)
    assert found["id"] == "RUN005" and found["index"] == 5
    assert (found["canc_arch"], found["learning_rate"]) == ([16, 16, 16], 1e-5)
    assert (found["calc_infer_scores"], found["ckpt_metadata"]) == (True, None)
    assert (found["timeout"], found["note"]) == (-1.0, "it's 'mine'")
    assert found["y_data_files"] == [["response.tsv"]]


def test_what_is_no_value_of_python_is_text() -> None:
    assert parameters.parse("[Global Params]\ndtype=<dtype: 'float32'>\n") == {
        "dtype": "<dtype: 'float32'>"
    }


@pytest.mark.parametrize("text", ["", '{"epochs"', "[]", "3", "\x00"])
def test_what_is_not_whole_says_nothing(text: str) -> None:
    assert parameters.parse(text) == {}


def test_a_run_that_was_not_begun_has_none(tmp_path: Path) -> None:
    assert parameters.read(tmp_path) is None
    (tmp_path / "parameters.txt").write_text('{"epochs": 3}')
    assert parameters.read(tmp_path) == {"epochs": 3}
