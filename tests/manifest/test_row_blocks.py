"""Rows that are read in whole blocks are the rows, and the problems, of line by line reading."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.diagnostics.problem import Place, Problem
from runner.manifest.problem_collector import Collector
from runner.manifest.rows.columns import Columns
from runner.manifest.rows.csv_rows import CsvRows
from runner.manifest.rows.jsonl_rows import JsonRows
from runner.manifest.rows.row_file import Lines, open_row_file
from runner.manifest.rows.row_sources import FIELDS, Block, refuse_blocks
from tests.manifest.builders import write
from tests.manifest.rendering import load_rows

Read = tuple[list[tuple[int, tuple[object, ...]]], list[Problem]]
PLAIN = 400
"""Rows that fill more than a file's first block."""

CSV_LINES = (
    "%s,genesys://queue/a", '"%s","genesys://queue/a"', "%s", "%s,a,b", ",", "", '"%s', '%s"x,a',
    '"%s\nx",a', "%s,\xe4", "%s,\u2028", "%s\r,a", "%s\x0b,a", "%s,a\udcff",
)  # fmt: skip
JSON_LINES = (
    '{"interaction_id": "%s"}', '{"interaction_id": "%s", "key": "k%s"}',
    '{"interaction_id": "%s", "interaction_id": "%s"}', '{"interaction_id": "%s", "x": "y"}',
    '{"interaction_id": "%s", "key": null}', '{"interaction_id": "\\u0041%s"}', "[]", "", "%s",
    '{"interaction_id": "%s"}, {"interaction_id": "%s"}', '{"interaction_id": "},{"}',
    '{"key": "%s"}', '{"interaction_id": "%s", "media": {"a": NaN}}', '{"interaction_id": "%s\xe4"}',
    '{"interaction_id": "%s", "callbacks": []}', '{"interaction_id": "%s", "callbacks": "a"}',
)  # fmt: skip


def read(path: Path, form: str, *, in_blocks: bool) -> tuple[Read, int]:
    """Return rows and problems of a file, and how many rows came in blocks."""
    problems = Collector()
    file = open_row_file(path.name, str(path.parent / "m.yaml"), Place("m.yaml", 1, 1))
    assert not isinstance(file, Problem)
    columns = Columns({"destination_uri": "destination_uri"} if form == "csv" else {}, {})
    kind: Callable[..., CsvRows | JsonRows] = CsvRows if form == "csv" else JsonRows
    source = kind(path.name, file, columns, {}, problems)
    found: list[tuple[int, tuple[object, ...]]] = []
    together = 0

    def take(block: Block) -> bool:
        nonlocal together
        if "" in block.columns["interaction_id"]:
            return False  # as the builder of rows does
        empty = [("" if form == "csv" else None)] * len(block.lines)
        columns = [block.columns.get(field, empty) for field in FIELDS]
        found.extend(zip(block.lines, zip(*columns, strict=True), strict=True))
        together += len(block.lines)
        return True

    for _, line, values in source.rows(take if in_blocks else refuse_blocks):
        found.append((line, values))
    return (found, list(problems.sorted(""))), together


def lines_of(form: str, drawn: list[int]) -> str:
    lines = CSV_LINES if form == "csv" else JSON_LINES
    plain = [lines[0].replace("%s", f"i{n:020}") for n in range(PLAIN)]
    odd = [lines[at % len(lines)].replace("%s", f"o{n}") for n, at in enumerate(drawn)]
    header = ["interaction_id,destination_uri"] if form == "csv" else []
    return "\n".join([*header, *plain, *odd, *(plain if drawn[0] % 2 else [])])


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@settings(max_examples=150)
@given(
    drawn=st.lists(st.integers(0, 15), min_size=1, max_size=4),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    begin=st.sampled_from(["", "\ufeff"]),
    last=st.booleans(),
)
def test_blocks_hold_what_line_by_line_reading_gives(
    tmp_path_factory: pytest.TempPathFactory,
    form: str, drawn: list[int], end: str, begin: str, *, last: bool,
):  # fmt: skip
    path = tmp_path_factory.mktemp("rows") / f"r.{form}"
    text = begin + lines_of(form, drawn).replace("\n", end) + (end if last else "")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    one_by_one, _ = read(path, form, in_blocks=False)
    together, _ = read(path, form, in_blocks=True)
    assert together == one_by_one


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_plain_rows_come_in_blocks(tmp_path: Path, form: str):
    path = tmp_path / f"r.{form}"
    path.write_text(lines_of(form, [0, 1]) + "\n")
    assert read(path, form, in_blocks=True)[1] > PLAIN / 4


def test_a_fault_far_inside_a_block_has_its_place(tmp_path: Path):
    rows = [json.dumps({"interaction_id": f"i{n}"}) for n in range(5000)]
    rows[4321] = '{"interaction_id": " i"}'
    item = "  - {from: r.jsonl, destination_uri: 'genesys://queue/a'}\n"
    loaded, _ = load_rows(write(tmp_path, item, r__jsonl="\n".join(rows) + "\n"))
    (problem,) = loaded.problems
    assert (problem.code, problem.place.line, problem.place.column) == ("R006", 4322, 20)


def test_a_block_is_offered_once_and_its_lines_are_counted(tmp_path: Path):
    (tmp_path / "r.csv").write_text("\n".join(map(str, range(50_000))) + "\n")
    file = open_row_file("r.csv", str(tmp_path / "m.yaml"), Place("m.yaml", 1, 1))
    assert not isinstance(file, Problem)
    with file.lines(Collector()) as lines:
        assert isinstance(lines, Lines)
        assert lines.block() is None, "nothing is read yet"
        while (block := lines.block()) is None:
            next(lines)
        assert lines.block() is None
        first = lines.number
        assert block[0] == str(first)
        lines.skip(len(block))
        assert next(lines) == f"{first + len(block)}\n"
