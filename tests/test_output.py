"""Data go to stdout in the form asked for, talk goes to stderr, and nothing is cut in a pipe."""

import argparse
import errno
import json
import os
import pty
import subprocess
import sys

import polars as pl
import pytest

from hed import output

LONG = "a very long name of a drug, which a terminal of 80 columns would have to cut " * 3


@pytest.fixture
def frame():
    return pl.DataFrame(
        {
            "drug": ["[bold]odd[/bold]", ":smile:", None],
            "rows": [1, 20, 300],
            "rmse": [0.125, float("nan"), 1e-7],
        }
    )


def run_in_terminal(code):
    """Run Python code with a terminal as its stdout; return what it writes there."""
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "60"}
    env.pop("NO_COLOR", None)
    subprocess.run([sys.executable, "-c", code], stdout=slave, stderr=slave, env=env, check=True)
    os.close(slave)
    with os.fdopen(master, "rb") as stream:
        written = b""
        try:
            while part := stream.read1():
                written += part
        except OSError as error:  # how Linux tells the end of a terminal
            assert error.errno == errno.EIO
    return written.decode()


def test_a_table_aligns_numbers_to_the_right_and_names_to_the_left(frame, capsys):
    output.show(frame, "table")
    assert capsys.readouterr().out.splitlines() == [
        "drug              rows     rmse",
        "[bold]odd[/bold]     1   0.1250",
        ":smile:             20        -",
        "-                  300  1.0e-07",
    ]


def test_a_table_in_a_pipe_is_neither_cut_nor_coloured(capsys):
    output.show(pl.DataFrame({"drug": [LONG], "cell": ["ACH-000956"]}), "table")
    printed = capsys.readouterr().out
    assert f"{LONG.strip()}" in printed and printed.endswith("ACH-000956\n")
    assert "\x1b" not in printed and "…" not in printed


def test_a_table_on_a_terminal_has_colour_and_its_width():
    code = (
        "import polars as pl; from hed import output; "
        f"output.show(pl.DataFrame(dict(d=[{LONG!r}])), 'table')"
    )
    printed = run_in_terminal(code)
    assert "\x1b[1;36m" in printed
    assert all(len(line) < 80 for line in printed.splitlines())


def test_a_progress_bar_is_shown_on_a_terminal_only():
    code = "from hed import output; print(sum(output.track([1, 2], 'adding')))"
    assert "adding" in run_in_terminal(code)
    piped = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (piped.stdout, piped.stderr) == ("3\n", "")


def test_csv_and_json_have_all_digits_and_nothing_for_what_is_missing(frame, capsys):
    output.show(frame, "csv")
    rows = capsys.readouterr().out
    assert rows == "drug,rows,rmse\n[bold]odd[/bold],1,0.125\n:smile:,20,\n,300,1e-7\n"
    output.show(frame, "json")
    values = json.loads(capsys.readouterr().out)
    assert values[1] == {"drug": ":smile:", "rows": 20, "rmse": None}
    assert values[2] == {"drug": None, "rows": 300, "rmse": 1e-7}


@pytest.mark.parametrize(("form", "text"), [("table", "a"), ("csv", "a"), ("json", "[]")])
def test_a_table_without_rows_is_shown_too(form, text, capsys):
    output.show(pl.DataFrame(schema={"a": pl.Int64}), form)
    assert capsys.readouterr().out == f"{text}\n"


def test_the_form_is_table_unless_another_is_asked_for_or_the_original_has_one():
    plain, original = argparse.ArgumentParser(), argparse.ArgumentParser()
    output.add_format(plain)
    output.add_format(original, original=True)
    assert plain.parse_args([]).format == "table"
    assert original.parse_args([]).format == "text"
    assert plain.parse_args(["--format", "json"]).format == "json"


def test_an_unknown_form_is_refused(capsys):
    parser = argparse.ArgumentParser()
    output.add_format(parser)
    with pytest.raises(SystemExit, match="2"):
        parser.parse_args(["--format", "text"])
    assert "invalid choice: 'text'" in capsys.readouterr().err


def test_talk_goes_to_stderr(capsys):
    output.say("one run is missing")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "one run is missing\n")


def test_a_directory_of_another_user_is_told_and_no_error(capsys):
    with output.where_permitted():
        raise PermissionError(errno.EACCES, "Permission denied", "EXP011/scores.csv")
    assert capsys.readouterr().err == "not written: Permission denied: EXP011/scores.csv\n"
    with pytest.raises(OSError, match="No space"), output.where_permitted():
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (65e6, "65.0 MB"), (5e15, "5000.0 TB")],
)
def test_bytes_are_told_in_decimal_units(count, text):
    assert output.render_bytes(count) == text
