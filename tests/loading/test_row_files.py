"""Rows that stand twice, and files that end in what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loading.rendering import load_rows
from tests.loading.test_load import write

ITEM = "  - {from: r.%s, destination_uri: 'genesys://queue/a'}\n"


def told(path: Path) -> list[tuple[str, int]]:
    return [(problem.code, problem.place.line) for problem in load_rows(path)[0].problems]


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("csv", 'interaction_id\na\na\n"open\n'),
        ("jsonl", '{"interaction_id": "a"}\n{"interaction_id": "a"}\n"\udcff"\n'),
    ],
)
def test_rows_that_stand_twice_are_told_beside_a_file_that_breaks_off(
    tmp_path: Path, form: str, rows: str
):
    path = write(tmp_path, ITEM % form)
    (tmp_path / f"r.{form}").write_bytes(rows.encode("utf-8", "surrogateescape"))
    assert told(path) == [("R005", 3 if form == "csv" else 2), ("R009", 4 if form == "csv" else 3)]


def test_what_cannot_be_read_is_counted_once_where_rows_stand_twice(tmp_path: Path):
    rows = '{"interaction_id": "a"}\n' + "[]\n" * 1100 + '{"interaction_id": "a"}\n'
    loaded, _ = load_rows(write(tmp_path, ITEM % "jsonl", r__jsonl=rows))
    assert loaded.omitted == {"R009": 100, "R005": 1}
