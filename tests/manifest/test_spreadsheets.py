"""Files as spreadsheets save them: what is wrong is named as their user knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.console.diagnostics.marked_lines import SourceFiles
from runner.console.diagnostics.problem_text import render_problems
from tests.manifest.builders import write
from tests.manifest.rendering import load_rows

ROWS = "interaction_id,destination_uri\ncall-1,genesys://queue/a\n"


def problems(folder: Path, content: bytes, entry: str = ""):
    path = write(folder, f"  - {{from: r.csv{entry}}}\n")
    (folder / "r.csv").write_bytes(content)
    return load_rows(path)[0].problems


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe" + ROWS.encode("utf-16-le"), "the file is UTF-16, as spreadsheets save"),
        (b"\xfe\xff" + ROWS.encode("utf-16-be"), "the file is UTF-16, as spreadsheets save"),
        (ROWS.encode("utf-16-le"), "the file is UTF-16 without a mark"),
        (b"PK\x03\x04\x14\x00\x00\x00\xff", "the file is a workbook or an archive, not text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "the file is a workbook, not text"),
    ],
    ids=["utf-16-le", "utf-16-be", "no-mark", "xlsx", "xls"],
)
def test_a_file_of_another_kind_is_named_once(tmp_path: Path, content: bytes, said: str):
    (problem,) = problems(tmp_path, content)
    assert problem.message.startswith(said)
    assert "`CSV UTF-8`" in problem.help


@pytest.mark.parametrize("entry", ["", ", encoding: windows-1252"])
def test_an_excerpt_shows_what_the_file_says_in_windows_1252(tmp_path: Path, entry: str):
    content = "interaction_id,destination_uri\ncall-1,genesys://queue/Müller\n".encode("cp1252")
    found = problems(tmp_path, content, entry)
    assert "call-1,genesys://queue/Müller\n" in render_problems(found, SourceFiles())


def test_an_excerpt_of_a_utf_16_file_is_legible(tmp_path: Path):
    found = problems(tmp_path, b"\xff\xfe" + ROWS.encode("utf-16-le"))
    assert "1 | interaction_id,destination_uri\n" in render_problems(found, SourceFiles())


def test_rows_that_say_the_same_are_shown_once(tmp_path: Path):
    rows = [f"call-{n},genesys://queue/{'Müller' if n % 2 else 'Größe A'}\n" for n in range(40)]
    found = problems(tmp_path, ("interaction_id,destination_uri\n" + "".join(rows)).encode())
    assert len(found) == 40, "programs get every one"
    text = render_problems(found, SourceFiles())
    assert text.count("error[R006]") == 2
    assert (
        "= also: 19 more such problems, in lines 4, 6, 8, 10, 12, 14, 16, 18 and 11 more lines"
        in text
    )
    assert "write `genesys://queue/M%C3%BCller`" in text
    assert "write `genesys://queue/Gr%C3%B6%C3%9Fe%20A`" in text
    assert "40 errors in " in text


def test_a_typing_error_in_windows_is_no_from_entry(tmp_path: Path):
    head = "policy: {windows: [{from: 'Mon-Fri 22:00-04:00', zone: UTC}]}\n"
    path = write(tmp_path, "  - {interaction_id: a, destination_uri: 'tel:+44'}\n")
    path.write_text(path.read_text("utf-8").replace("transfers:", f"{head}transfers:"), "utf-8")
    found = [each.message for each in load_rows(path)[0].problems]
    assert "item 1 of `windows` has no field `from`" in found


@pytest.mark.parametrize("name", ["r.txt", "r.TSV"])
def test_tabs_separate_the_columns_of_text_files(tmp_path: Path, name: str):
    path = write(tmp_path, f"  - {{from: {name}}}\n")
    (tmp_path / name).write_text(ROWS.replace(",", "\t"))
    loaded, rows = load_rows(path)
    assert not loaded.problems
    assert [row.interaction_id for row in rows] == ["call-1"]
    (tmp_path / name).write_text(ROWS)
    (problem,) = load_rows(path)[0].problems
    assert problem.message == "the columns are separated by commas, not by tabs"
    assert problem.help == 'add `delimiter: ","` to the `from` entry'
    path = write(tmp_path, f"  - {{from: {name}, delimiter: ','}}\n")
    assert not load_rows(path)[0].problems


def test_the_line_above_the_header_that_names_the_delimiter_is_to_be_deleted(tmp_path: Path):
    (problem,) = problems(tmp_path, b"sep=;\n" + ROWS.replace(",", ";").encode())
    assert problem.help.startswith("delete this line, ")
    assert 'add `delimiter: ";"`' in problem.help


def test_a_column_whose_name_ends_with_a_space_is_offered_in_quotes(tmp_path: Path):
    found = problems(tmp_path, b"interaction_id ,destination_uri\ncall-1,genesys://queue/a\n")
    assert '`columns: {interaction_id: "interaction_id "}`' in found[0].help
