"""A cell that was left empty must not move somebody to the shared destination of `defaults`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import HEAD, write
from tests.manifest.rendering import load_rows

SHARED = HEAD.replace("{media: voice}", "{media: voice, destination_uri: 'genesys://queue/shared'}")
MAPPED = "columns: {destination_uri: 'genesys://queue/{to}'}"


def loaded(folder: Path, entry: str, rows: str, *, form: str = "csv"):
    path = write(folder, f"  - {{from: r.{form}{entry}}}\n", head=SHARED, **{f"r__{form}": rows})
    return load_rows(path)


@pytest.mark.parametrize(
    ("entry", "column"), [("", "destination_uri"), (f", {MAPPED}", "to")], ids=["own", "mapped"]
)
def test_each_row_whose_cell_is_empty_is_refused(tmp_path: Path, entry: str, column: str):
    rows = f"interaction_id,{column}\na,\nb,genesys://queue/b\nc,\n"
    problems = loaded(tmp_path, entry, rows)[0].problems
    empty = [each for each in problems if "destination: its" in each.message]
    assert [(each.code, each.place.line, each.place.column) for each in empty] == [
        ("R009", 2, 3),
        ("R009", 4, 3),
    ]
    assert empty[0].message == f"the row has no destination: its `{column}` is empty"
    assert "`destination_uri: genesys://queue/shared` in the `from` entry" in empty[0].help


def test_a_column_whose_cells_are_all_empty_is_refused(tmp_path: Path):
    rows = "interaction_id,destination_uri\na,\nb,\n"
    assert len(loaded(tmp_path, "", rows)[0].problems) == 2


def test_empty_cells_far_inside_a_file_are_found(tmp_path: Path):
    lines = [f"call-{n},genesys://queue/a\n" for n in range(3_000)]
    lines[2_900] = "call-2900,\n"
    (problem,) = loaded(tmp_path, "", "interaction_id,destination_uri\n" + "".join(lines))[
        0
    ].problems
    assert problem.place.line == 2_902


def test_a_field_that_columns_names_is_not_to_be_absent_in_json_lines(tmp_path: Path):
    rows = '{"interaction_id": "a", "to": "b"}\n{"interaction_id": "c"}\n'
    (problem,) = loaded(tmp_path, f", {MAPPED}", rows, form="jsonl")[0].problems
    assert problem.place.line == 2


@pytest.mark.parametrize(
    ("entry", "rows", "form"),
    [
        (", destination_uri: 'genesys://queue/own'", "interaction_id,destination_uri\na,\n", "csv"),
        (f", {MAPPED}, destination_uri: 'genesys://queue/own'", "interaction_id,to\na,\n", "csv"),
        ("", "interaction_id\na\n", "csv"),
        ("", "interaction_id,key\na,\n", "csv"),
        ("", '{"interaction_id": "a"}\n', "jsonl"),
    ],
    ids=["own-of-entry", "own-of-entry-mapped", "no-column", "another-column", "json-lines"],
)
def test_a_destination_for_rows_without_a_column_or_of_the_entry_holds(
    tmp_path: Path, entry: str, rows: str, form: str
):
    found, (row,) = loaded(tmp_path, entry, rows, form=form)
    assert not found.problems
    assert row.destination_uri == f"genesys://queue/{'own' if 'own' in entry else 'shared'}"
