"""Rows that stand twice, and files that end in what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.diagnostics.problem import Severity
from tests.manifest.builders import write
from tests.manifest.rendering import load_rows

ITEM = "  - {from: r.%s, destination_uri: 'genesys://queue/a'}\n"


def result(path: Path) -> list[tuple[str, int]]:
    return [(problem.code, problem.place.line) for problem in load_rows(path)[0].problems]


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("csv", 'interaction_id\na\na\n"open\n'),
        ("jsonl", '{"interaction_id": "a"}\n{"interaction_id": "a"}\n"\udcff"\n'),
    ],
)
def test_rows_that_stand_twice_are_reported_beside_a_file_that_breaks_off(
    tmp_path: Path, form: str, rows: str
):
    path = write(tmp_path, ITEM % form)
    (tmp_path / f"r.{form}").write_bytes(rows.encode("utf-8", "surrogateescape"))
    assert result(path) == [
        ("R005", 3 if form == "csv" else 2),
        ("R009", 4 if form == "csv" else 3),
    ]


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


def test_a_faulty_row_is_distinguished_from_a_valid_one(tmp_path: Path):
    """A sink takes it for its names alone: it has no media, and the manifest is refused."""
    path = write(tmp_path, "  - {interaction_id: a, destination_uri: nowhere}\n")
    loaded, rows = load_rows(path)
    assert loaded.manifest is None
    assert [(row.key, row.interaction_id, row.media) for row in rows] == [("a", "a", ())]


@pytest.mark.parametrize(
    ("form", "header"), [("csv", "interaction_id\n"), ("csv", ""), ("jsonl", "\n")]
)
def test_a_file_without_rows_is_refused_unless_it_may_be_empty(
    tmp_path: Path, form: str, header: str
):
    path = write(tmp_path, ITEM % form, **{f"r__{form}": header})
    (problem,) = load_rows(path)[0].problems
    assert (problem.code, problem.message) == ("R009", f"`r.{form}` has no rows")
    assert problem.place.file == str(path)
    path = write(tmp_path, ITEM.replace("}", ", allow_empty: true}") % form)
    loaded, rows = load_rows(path)
    assert (loaded.problems, rows) == ((), [])
    assert loaded.manifest is not None


def test_a_faulty_file_is_not_called_empty(tmp_path: Path):
    loaded, _ = load_rows(write(tmp_path, ITEM % "jsonl", r__jsonl="[]\n"))
    assert [problem.message for problem in loaded.problems] == ["the row is not an object"]


def test_two_stray_quotes_in_an_unread_column_do_not_swallow_the_rows_between(tmp_path: Path):
    rows = 'interaction_id,note\na,"x\nb,y\nc,z"\nd,\n'
    (problem,) = load_rows(write(tmp_path, ITEM % "csv", r__csv=rows))[0].problems
    assert (problem.place.line, problem.place.column) == (2, 3)
    assert (
        problem.message == "this cell of the column `note` has a line break: it goes on to line 4"
    )


def test_two_stray_quotes_in_the_header_do_not_swallow_rows(tmp_path: Path):
    rows = 'interaction_id,"note\na,x\nb,y"\nc,z\n'
    (problem,) = load_rows(write(tmp_path, ITEM % "csv", r__csv=rows))[0].problems
    assert (problem.place.line, problem.place.column, problem.code) == (1, 16, "R009")


@pytest.mark.parametrize(
    ("form", "rows", "end"),
    [
        ("csv", "interaction_id,destination_uri\na,genesys://queue/bil", "a,genesys://queue/bil"),
        ("jsonl", '\n{"interaction_id": "a"}', '{"interaction_id": "a"}'),
    ],
)
def test_a_last_line_without_an_end_is_a_warning_with_its_text(
    tmp_path: Path, form: str, rows: str, end: str
):
    loaded, found = load_rows(write(tmp_path, ITEM % form, **{f"r__{form}": rows}))
    (problem,) = loaded.problems
    assert problem.severity is Severity.WARNING
    assert problem.message.endswith(f"may be cut off: `{end}`")
    assert problem.place.line == 2
    assert loaded.manifest is not None
    assert len(found) == 1


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        ("csv", "interaction_id,note\na,K\xf6ln\n,x\nb,K\xe4ln\n"),
        (
            "jsonl",
            '{"interaction_id": "K\xf6ln"}\n{"interaction_id": ""}\n{"interaction_id": "K\xe4ln"}\n',
        ),
    ],
)
def test_what_else_is_wrong_is_shown_beside_a_byte_that_is_not_utf_8(
    tmp_path: Path, form: str, rows: str
):
    path = write(tmp_path, ITEM % form)
    (tmp_path / f"r.{form}").write_bytes(rows.encode("latin-1"))
    loaded, found = load_rows(path)
    assert [problem.message for problem in loaded.problems] == [
        "the byte 0xf6 is not UTF-8",
        "`interaction_id` is empty",
    ]
    assert found == []


@pytest.mark.parametrize("empty", [",,\n", ",,,,\n", '"","",""\n'])
def test_a_row_of_empty_cells_is_not_a_row(tmp_path: Path, empty: str):
    """Spreadsheets write them below the last row, and between rows that were cleared."""
    rows = f"key,interaction_id,note\nk1,a,x\n{empty}k2,b,\n{empty}"
    loaded, staged = load_rows(write(tmp_path, ITEM % "csv", r__csv=rows))
    assert loaded.problems == ()
    assert [row.key for row in staged] == ["k1", "k2"]


def test_a_file_of_empty_rows_has_none(tmp_path: Path):
    path = write(tmp_path, ITEM % "csv", r__csv="interaction_id,note\n,\n,\n")
    assert [code for code, _ in result(path)] == ["R009"]


def test_a_row_with_a_note_alone_has_no_interaction(tmp_path: Path):
    path = write(tmp_path, ITEM % "csv", r__csv="interaction_id,note\na,\n,total 1\n")
    assert result(path) == [("R006", 3)]


@pytest.mark.parametrize(
    ("name", "content", "message", "fix"),
    [
        ("p.csv", b"id\nx\n", "has no column", "call the column `id` `interaction_id`"),
        ("p.csv", b"number\nx\n", "has no column", "ids `interaction_id`; the file has: `number`"),
        ("p.csv", b"interaction_id;why\nx;y\n", "separated by `;`", "save the file with commas"),
        ("p.csv", b"\nx\n", "does not begin with a header", "such as `interaction_id`"),
        ("p.csv", b"interaction_id\n\xe9\n", "is not UTF-8", "save the file as UTF-8"),
        ("p.jsonl", b"x\n", "not JSON", 'one object a line: {"interaction_id": "…"}'),
        ("p.jsonl", b'{"id": "x"}\n', "no row has the field", "the first row has: `id`"),
        ("/p.csv", None, "`exclude_from` must be a relative path", "beside the manifest"),
    ],
)
def test_the_help_for_a_list_of_protected_ones_is_not_that_for_transfers(
    tmp_path: Path, name: str, content: bytes | None, message: str, fix: str
):
    """It has ids alone, and no entry in which one could say how it is read."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    rows = "  - {interaction_id: a, destination_uri: 'genesys://queue/a'}\n"
    path = write(tmp_path, f"{rows}exclude_from: {name}\n")
    problems = [p for p in load_rows(path)[0].problems if p.code == "R009"]
    assert any(message in p.message and fix in p.help for p in problems), problems
    assert not any(
        word in p.help
        for p in problems
        for word in ("columns:", "`from`", "destination_uri", "encoding")
    )
