"""Every row of the catalogue behaves as it says; docs/bad_inputs.md is the same table in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalogue.page import PAGE, page
from tests.catalogue.row import Row
from tests.catalogue.table import ROWS


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.number}: {row.name}" for row in ROWS])
def test_bad_input_meets_the_wanted_behaviour(row: Row, tmp_path: Path) -> None:
    row.check(tmp_path)


def test_every_number_of_the_catalogue_has_a_row() -> None:
    assert sorted({row.number for row in ROWS}) == list(range(1, 118))


def test_no_two_rows_of_a_number_are_called_the_same() -> None:
    names = [(row.number, row.name) for row in ROWS]
    assert len(names) == len(set(names))


def test_the_page_shows_every_row() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "Run: python -m tests.catalogue.page"
