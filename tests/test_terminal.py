"""A table on a terminal has whole columns, and says which it has no room for."""

import os

import polars as pl
import pytest

from hed import output

TABLE = pl.DataFrame({"drug": ["A", "Erlotinib"], "rmse": [0.25, None], "a long name": [1, 2]})


@pytest.mark.parametrize(
    ("width", "count"), [(80, 3), (30, 3), (29, 2), (17, 2), (16, 1), (9, 1), (1, 1)]
)
def test_the_first_columns_are_whole_and_no_wider_than_the_terminal(width, count):
    assert output.fit(TABLE, width).equals(TABLE[:, :count])


def show_on_terminal(monkeypatch, capsys, form):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    size = os.terminal_size((20, 30))
    monkeypatch.setattr(output.shutil, "get_terminal_size", lambda fallback=(80, 24): size)
    monkeypatch.setenv("COLUMNS", "20")
    output.show(TABLE, form)
    return capsys.readouterr()


def test_columns_that_are_left_out_are_named(monkeypatch, capsys):
    printed = show_on_terminal(monkeypatch, capsys, "table")
    assert "Erlotinib" in printed.out and "…" not in printed.out
    assert "too wide for the terminal: a long name; --format csv has all" in printed.err


@pytest.mark.parametrize("form", ["csv", "json"])
def test_other_forms_have_all_columns_on_any_terminal(monkeypatch, capsys, form):
    printed = show_on_terminal(monkeypatch, capsys, form)
    assert "a long name" in printed.out and not printed.err


def test_a_pipe_gets_all_columns(capsys):
    output.show(TABLE, "table")
    assert "a long name" in capsys.readouterr().out


def test_a_row_stands_upright_with_a_line_for_each_number():
    upright = output.upright(TABLE.head(1), ["agreement"])
    assert upright.rows() == [("drug", "A"), ("rmse", "0.2500"), ("a long name", "1")]
