"""Tables that a spreadsheet or a broken copy made: read where that is safe, else refused."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from experiments import call_script, run_script
from polars.testing import assert_frame_equal

from hed.data import layout, preprocess, raw, text
from hed.data.tables import AUC, CELL, DRUG
from hed.errors import InputError

RESPONSE = """
improve_sample_id improve_chem_id auc study
c1 d1 0.5 X
c2 d2 0.25 Y
c1 d2 0.75 X
"""
EXPRESSION = """
improve_sample_id TP53 EGFR
c1 1.5 -2
c2 0.25 3
"""
DESCRIPTORS = """
improve_chem_id ABC nAcid
d1 1.25 2
d2 3.5 4
"""
TEXTS = dict(zip(layout.FILES, (RESPONSE, EXPRESSION, DESCRIPTORS), strict=True))
Write = Callable[..., Path]


def tabbed(given: str) -> str:
    return given.lstrip().replace(" ", "\t")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes the raw tables, those of `others` as they are."""

    def write(**others: str | bytes) -> Path:
        for name, given in TEXTS.items():
            content = others.get(name.partition(".")[0], tabbed(given))
            content = content if isinstance(content, bytes) else content.encode()
            (tmp_path / name).write_bytes(content)
        return tmp_path

    return write


def in_form(separator: str, *, decimal_comma: bool = False) -> dict[str, str]:
    """Return all tables with another separator, perhaps with decimal commas."""
    changed = {}
    for name, given in TEXTS.items():
        points = given.replace(".", ",") if decimal_comma else given
        changed[name.partition(".")[0]] = points.lstrip().replace(" ", separator)
    return changed


def assert_same(left: raw.Tables, right: raw.Tables) -> None:
    assert_frame_equal(left.response, right.response)
    assert_frame_equal(left.expression, right.expression)
    assert_frame_equal(left.descriptors, right.descriptors)


@pytest.mark.parametrize(
    ("separator", "decimal_comma", "said"),
    [
        (",", False, "has commas where"),
        (";", False, "has semicolons where"),
        (";", True, "has decimal commas"),
        ("\t", True, "has decimal commas"),
    ],
)
def test_other_separators_and_decimal_commas_are_read_with_a_note(
    write: Write, separator: str, decimal_comma: bool, said: str
) -> None:
    plain = raw.read(write())
    assert plain.notes == ()
    found = raw.read(write(**in_form(separator, decimal_comma=decimal_comma)))
    assert_same(found, plain)
    assert sum(said in note for note in found.notes) == 3


def test_a_comma_that_may_stand_between_thousands_is_refused_with_its_line(write: Write) -> None:
    descriptors = "improve_chem_id\tMW\nd1\t1,234\nd2\t2,345\n"
    with pytest.raises(
        InputError, match=r"'MW' of .*drug_mordred.tsv is not numeric, line 2 holds '1,234'"
    ):
        raw.read(write(drug_mordred=descriptors))


def test_commas_beside_points_are_refused(write: Write) -> None:
    response = tabbed(RESPONSE).replace("0.25", "0,25")
    with pytest.raises(InputError, match=r"'auc' of .* is not numeric, line 3 holds '0,25'"):
        raw.read(write(response=response))


def test_latin_1_is_read_with_a_note_and_other_bytes_are_refused(write: Write) -> None:
    response = tabbed(RESPONSE).replace("X", "Universit\xe9")
    utf_8 = raw.read(write(response=response))
    latin_1 = raw.read(write(response=response.encode("latin-1")))
    assert_frame_equal(latin_1.response, utf_8.response)
    assert (utf_8.notes, len(latin_1.notes)) == ((), 1)
    assert "read as Latin-1" in latin_1.notes[0]
    with pytest.raises(InputError, match=r"is not text in UTF-8 \(it is UTF-16\): save"):
        raw.read(write(response=response.encode("utf-16")))
    with pytest.raises(InputError, match=r"is not text in UTF-8 \(line 3 has the byte 0x80\)"):
        raw.read(write(response=tabbed(RESPONSE).replace("Y", "\u20ac").encode("cp1252")))


def test_a_latin_1_file_whose_last_byte_could_begin_a_character_is_latin_1(write: Write) -> None:
    response = tabbed(RESPONSE).removesuffix("X\n") + "Universit\xe9"
    found = raw.read(write(response=response.encode("latin-1")))
    assert found.response["study"][-1] == "Universit\xe9"


def test_a_field_that_no_table_has_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match="is not a table: field larger than"):
        raw.read(write(response=tabbed(RESPONSE) + "c" * 200_000))


def test_studies_may_be_named_by_numbers(write: Write) -> None:
    response = tabbed(RESPONSE).replace("study", "source").replace("X", "1").replace("Y", "2")
    data = write(response=response)
    assert raw.sources(raw.read(data).response) == ["1", "2"]
    assert len(raw.read(data, raw.Choice(sources=("1",))).response) == 2


@pytest.mark.parametrize("name", ["response", "cancer_gene_expression", "drug_mordred"])
def test_a_last_line_that_was_cut_off_is_named(write: Write, name: str) -> None:
    whole = tabbed(TEXTS[f"{name}.tsv"])
    cut = whole[: whole.rindex("\t")]
    with pytest.raises(InputError, match=rf"line \d of .*{name}.tsv, its last, has \d fields"):
        raw.read(write(**{name: cut}))
    (note,) = raw.read(write(**{name: whole.rstrip("\n")})).notes
    assert "has no end" in note


def test_a_compressed_table_that_was_cut_off_is_named(write: Write) -> None:
    data = write()
    path = data / layout.EXPRESSION_TSV
    packed = gzip.compress(path.read_bytes())
    path.unlink()
    (data / f"{path.name}.gz").write_bytes(packed[:-9])
    with pytest.raises(InputError, match=r"tsv.gz was cut off or is damaged: copy it again"):
        raw.read(data)
    (data / f"{path.name}.gz").write_bytes(b"no gzip")
    with pytest.raises(InputError, match=r"is not compressed: remove .gz from its name"):
        raw.read(data)


def test_a_line_with_too_many_fields_is_named(write: Write) -> None:
    lines = tabbed(RESPONSE).splitlines(keepends=True)
    lines.insert(2, "c1\td1\t0.5\tX\tmore\n")
    with pytest.raises(InputError, match=r"line 3 of .*response.tsv has more fields"):
        raw.read(write(response="".join(lines)))


def test_columns_of_one_name_are_named(write: Write) -> None:
    found = raw.read(write(cancer_gene_expression=tabbed(EXPRESSION).replace("EGFR", "TP53")))
    assert found.expression.columns == [CELL, "ge.TP53", "ge.TP53.1"]
    (note,) = found.notes
    assert note.endswith("has columns with the name of an earlier one, kept: TP53 as ge.TP53.1")


@pytest.mark.parametrize("lines", [1, 2, 5])
@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\n\n"])
def test_the_last_lines_are_found_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, end: str
) -> None:
    monkeypatch.setattr(text, "BLOCK", 3)
    path = tmp_path / "table.tsv"
    path.write_bytes("\n".join(f"a{i}\tb{i}" for i in range(lines)).encode() + end.encode())
    seen = text._look_through(path)
    ends = [line.decode() for line in seen.tail.splitlines() if line]
    assert ends == [f"a{i}\tb{i}" for i in range(lines)][-2:]
    assert seen.lines == path.read_bytes().count(b"\n")


def test_commands_say_what_they_read(write: Write, tmp_path: Path) -> None:
    data = write(**in_form(","))
    done = run_script("preprocess.py", data, tmp_path / "out")
    assert done.returncode == 0
    assert done.stderr.count("has commas where IMPROVE's tables have tabs") == 3
    assert "3" in call_script("stat.py", data / layout.RESPONSE_TSV)
    shown = run_script("stat.py", data)
    assert (shown.returncode, shown.stderr.count("note: ")) == (0, 3)


def test_stat_counts_what_may_be_wrong(write: Write, tmp_path: Path) -> None:
    response = tabbed(RESPONSE) + "c1\td1\t1.5\tX\nc1\td2\t0.75\tX\nc3\td1\t0.5\tX\n"
    data, out = write(response=response), tmp_path / "out"
    preprocess.preprocess(data, out, ge_scaling="none", md_scaling="none")
    for path in (data, out):
        said = run_script("stat.py", path).stderr
        assert "AUC outside 0 to 1, which a sigmoid cannot predict: 1 response" in said
        assert "exactly like an earlier one: 1 response" in said
        assert "1 of 6 responses are not used: there are no features of 1 cell (c3)" in said
    assert raw.read(data).response.columns[:3] == [CELL, DRUG, AUC]
