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


@pytest.mark.parametrize("own_key", [False, True])
def test_every_row_that_stands_twice_is_counted(tmp_path: Path, *, own_key: bool):
    key = '"key": "k%d", ' if own_key else ""
    row = f'{{{key}"interaction_id": "i%d"}}\n'
    rows = "".join(row % ((n,) * row.count("%d")) for n in range(3000)) * 2
    loaded, _ = load_rows(write(tmp_path, ITEM % "jsonl", r__jsonl=rows))
    assert {problem.code for problem in loaded.problems} == {"R005"}
    assert len(loaded.problems) == 1000
    assert loaded.omitted == {"R005": 5000 if own_key else 2000}


def test_a_faulty_row_is_told_apart_from_a_sound_one(tmp_path: Path):
    """A sink takes it for its names alone: it has no media, and the manifest is refused."""
    path = write(tmp_path, "  - {interaction_id: a, destination_uri: nowhere}\n")
    loaded, rows = load_rows(path)
    assert loaded.manifest is None
    assert [(row.key, row.interaction_id, row.media) for row in rows] == [("a", "a", ())]
