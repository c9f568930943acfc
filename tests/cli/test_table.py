"""Tables: cells are text, and a row is a line where a program reads it."""

from __future__ import annotations

import pytest

from rung.cli.table import columns_that_fit, print_table


def test_a_cell_is_text_and_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["task", "why"], [("fix the [/nope] thing", "[bold]:bug: \x1b[31mred")])
    assert "fix the [/nope] thing  [bold]:bug: red" in capsys.readouterr().out


def test_a_row_is_one_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(["id>", "task"], [("1", "word " * 100 + "end"), ("2", "two\nlines")])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].endswith("word end")
    assert "two lines" in lines[2]


def test_a_column_that_folds_costs_no_other_column_its_place() -> None:
    columns = ["name", "version", "can"]
    rows = [("engine", "1.2.3", "word " * 20)]
    spare = ("version", "can")
    assert columns_that_fit(columns, rows, 45, spare) == [0]
    assert columns_that_fit(columns, rows, 45, spare, folds=("can",)) == [0, 1, 2]
    assert columns_that_fit(columns, rows, 35, spare, folds=("can",)) == [0, 2]
