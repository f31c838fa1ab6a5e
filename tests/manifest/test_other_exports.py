"""Row files as other programs export them: delimiters, encodings, fixed beginnings of values."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import write
from tests.manifest.rendering import load_rows, rendered


def test_the_example_means_what_it_says():
    loaded, rows = load_rows(Path("tests/manifests/valid/other-exports.yaml"))
    assert rendered(loaded.problems) == ""
    assert [(row.key, row.interaction_id, row.destination_uri) for row in rows] == [
        ("ams-1", "call-1", "genesys://queue/billing"),
        ("ams-2", "call-2", "genesys://queue/sales"),
        ("call-3", "call-3", "tel:+441234567890"),
    ]


@pytest.mark.parametrize(
    ("form", "row", "column"),
    [
        ("csv", "interaction_id;to\na;b c\n", 3),
        ("jsonl", '{"interaction_id": "a", "to": "b c"}\n', 31),
    ],
)
def test_a_faulty_value_is_shown_whole_and_found_in_its_cell(
    tmp_path: Path, form: str, row: str, column: int
):
    delimiter = ", delimiter: ';'" if form == "csv" else ""
    columns = "columns: {destination_uri: 'genesys://queue/{to}'}"
    path = write(tmp_path, f"  - {{from: r.{form}, {columns}{delimiter}}}\n", **{f"r__{form}": row})
    (problem,) = load_rows(path)[0].problems
    assert problem.message == "`genesys://queue/b c` is not a valid destination"
    assert problem.place.column == column


@pytest.mark.parametrize(
    ("form", "row", "place"),
    [
        ("csv", "interaction_id,to\na,desk@example.net\nb,SIP:b@example.net\n", "r.csv:3:3"),
        ("jsonl", '{"interaction_id": "b", "to": "sip:b@example.net"}\n', "r.jsonl:1:31"),
    ],
)
def test_a_value_that_has_its_beginning_already_is_refused(
    tmp_path: Path, form: str, row: str, place: str
):
    """It would be a user `sip` with a password."""
    path = write(
        tmp_path,
        f"  - {{from: r.{form}, columns: {{destination_uri: 'sip:{{to}}'}}}}\n",
        **{f"r__{form}": row},
    )
    (problem,) = load_rows(path)[0].problems
    assert str(problem.place).endswith(place)
    assert problem.message.endswith("b@example.net` has a scheme twice")
    assert "delete the beginning in `columns`" in problem.help


def test_an_empty_cell_has_no_beginning(tmp_path: Path):
    columns = "columns: {destination_uri: 'genesys://queue/{to}'}"
    rows = "interaction_id,to\na,\n"
    path = write(tmp_path, f"  - {{from: r.csv, {columns}}}\n", r__csv=rows)
    assert "the row has no `destination_uri`" in rendered(load_rows(path)[0].problems)


def test_a_missing_column_is_named_without_the_beginning(tmp_path: Path):
    columns = "columns: {destination_uri: 'genesys://queue/{target}'}"
    path = write(tmp_path, f"  - {{from: r.csv, {columns}}}\n", r__csv="interaction_id,to\na,b\n")
    assert "the file has no column `target`" in rendered(load_rows(path)[0].problems)


def test_a_byte_that_the_named_encoding_does_not_have_is_refused(tmp_path: Path):
    path = write(
        tmp_path, "  - {from: r.csv, encoding: windows-1252, destination_uri: 'tel:+44'}\n"
    )
    (tmp_path / "r.csv").write_bytes(b"interaction_id\na\x81\n")
    (problem,) = load_rows(path)[0].problems
    assert problem.message == "the byte 0x81 is not WINDOWS-1252"


def test_a_delimiter_has_no_effect_with_json_lines(tmp_path: Path):
    rows = '{"interaction_id": "a", "destination_uri": "tel:+44"}\n'
    path = write(tmp_path, "  - {from: r.jsonl, delimiter: ';'}\n", r__jsonl=rows)
    assert [problem.code for problem in load_rows(path)[0].problems] == ["S012"]


def test_the_columns_of_the_next_row_are_found_by_its_delimiter(tmp_path: Path):
    rows = 'interaction_id;destination_uri\n"a;b";tel:44\n"c"x;tel:+44\n'
    path = write(tmp_path, "  - {from: r.csv, delimiter: ';'}\n", r__csv=rows)
    assert [(p.place.line, p.place.column) for p in load_rows(path)[0].problems] == [(2, 7), (3, 4)]
