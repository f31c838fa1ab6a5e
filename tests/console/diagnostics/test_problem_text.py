"""Problems as people read them, to the letter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from runner.console.diagnostics.marked_lines import SourceFiles, displayed_line
from runner.console.diagnostics.problem_text import render_problems
from runner.core.diagnostics.problem import Place, Problem, Related, Severity
from tests.manifest.cost import cpu_s


class Texts:
    """Sources held in memory."""

    def __init__(self, **files: str) -> None:
        self._files = files

    def lines(self, file: str, numbers: AbstractSet[int]) -> Mapping[int, str]:
        lines = dict(
            enumerate(self._files[file].split("\n"), start=1) if file in self._files else ()
        )
        return {number: lines[number] for number in numbers if number in lines}


def problem(place: Place, **changes: object) -> Problem:
    fields = {"code": "R001", "message": "no such name", "help": "write `hd-voice`", **changes}
    return Problem(place=place, **fields)  # type: ignore[arg-type]  # literal fields


def text(source: str) -> str:
    return dedent(source).removeprefix("\n")


def test_a_problem_shows_its_line_its_span_and_the_fix():
    sources = Texts(**{"a.yaml": "\n" * 40 + "    media: video"})
    found = problem(
        Place("a.yaml", 41, 12, 17),
        code="R002",
        message="audio and video need 1264 kbps, more than the 1000 kbps of gateway edge-ams",
        help="lower `bandwidth_kbps`",
    )

    assert render_problems([found], sources) == text("""
        error[R002]: audio and video need 1264 kbps, more than the 1000 kbps of gateway edge-ams
          --> a.yaml:41:12
           |
        41 |     media: video
           |            ^^^^^
           |
           = help: lower `bandwidth_kbps`

        1 error in a.yaml
        learn more: runner explain R002
        """)


def test_two_places_in_one_file_are_shown_in_the_files_order():
    sources = Texts(a="- key: x\n- b\n- c\n- key: x")
    found = problem(
        Place("a", 4, 8, 9), related=(Related(Place("a", 1, 8, 9), "first used here"),), help=""
    )

    assert render_problems([found], sources) == text("""
        error[R001]: no such name
         --> a:4:8
          |
        1 | - key: x
          |        - first used here
        ...
        4 | - key: x
          |        ^
          |

        1 error in a
        learn more: runner explain R001
        """)


def test_places_in_two_files_have_a_block_each():
    sources = Texts(a="key: x", b="id\nx")
    found = problem(Place("b", 2, 1), related=(Related(Place("a", 1, 6), "also here"),))

    assert render_problems([found], sources) == text("""
        error[R001]: no such name
         --> b:2:1
          |
        2 | x
          | ^
          |
         ::: a:1:6
          |
        1 | key: x
          |      - also here
          |
          = help: write `hd-voice`

        1 error in b
        learn more: runner explain R001
        """)


def test_two_places_on_one_line_have_a_row_each():
    found = problem(Place("a", 1, 5, 6), related=(Related(Place("a", 1, 2, 3), "first"),), help="")

    assert render_problems([found], Texts(a="{x, x}")) == text("""
        error[R001]: no such name
         --> a:1:5
          |
        1 | {x, x}
          |     ^
          |  - first
          |

        1 error in a
        learn more: runner explain R001
        """)


def test_without_the_source_the_places_are_named():
    found = problem(Place("gone", 2, 1, 4), related=(Related(Place("gone", 1, 6), "also here"),))

    assert render_problems([found], Texts()) == text("""
        error[R001]: no such name
         --> gone:2:1
          = note: gone:1:6: also here
          = help: write `hd-voice`

        1 error in gone
        learn more: runner explain R001
        """)


def test_a_long_help_goes_on_beneath_itself():
    found = problem(Place("gone", 2, 1), help="write\n  id: 'x'")

    assert "  = help: write\n            id: 'x'\n" in render_problems([found], Texts())


def test_errors_come_before_warnings_and_the_rest_is_counted_by_code():
    places = [Place("gone", n, 1) for n in range(1, 8)]
    found = [
        problem(places[0], code="R010", severity=Severity.WARNING),
        *(problem(place, code="R002", message=f"line {place.line}") for place in places[1:5]),
        *(problem(place, code="R006", message=f"line {place.line}") for place in places[5:]),
    ]

    shown = render_problems(found, Texts(), max_problems=2)

    assert shown.count("error[R002]") == 2
    assert "warning[R010]" not in shown
    assert shown.endswith(
        "\n\n… and 5 more: 2 R002, 2 R006, 1 R010\n\n6 errors, 1 warning in gone\n"
        "learn more: runner explain R002\n"
    )


def test_no_problems_have_no_text():
    assert render_problems([], Texts()) == ""


def test_a_span_that_may_be_a_secret_is_masked_to_the_lines_end():
    hidden = problem(Place("a", 1, 9, 16), hide=True, help="")
    beside = problem(Place("a", 1, 1, 7), help="")

    shown = render_problems([beside, hidden], Texts(a="secret: hunter2 # my cat"))

    assert "hunter2" not in shown
    assert "cat" not in shown
    assert shown.count("1 | secret: ••••\n") == 2
    assert "  |         ^^^^\n" in shown


def test_what_one_unshown_problem_hides_no_other_shows():
    hidden = problem(Place("a", 1, 9, 16), hide=True, severity=Severity.WARNING)
    beside = problem(Place("a", 1, 1, 7))

    shown = render_problems([beside, hidden], Texts(a="secret: hunter2"), max_problems=1)

    assert "hunter2" not in shown


def test_tabs_and_wide_characters_keep_the_span_aligned():
    sources = Texts(a="\tname: 漢字 x")

    shown = render_problems([problem(Place("a", 1, 8, 10), help="")], sources)

    assert "1 |     name: 漢字 x\n  |           ^^^^\n" in shown


def test_control_and_bidi_characters_are_escaped_everywhere():
    evil = "\x1b[31m\u202ex\r\n::error::"
    found = problem(
        Place("a", 1, 1, 2), message=evil, related=(Related(Place("a", 1, 2), evil),), code=evil
    )

    shown = render_problems([found], Texts(a="a\x1bb\u202ec\x9b"))

    assert "1 | a\\x1bb\\u{202e}c\\x9b\n" in shown
    assert shown.startswith(
        "error[\\x1b[31m\\u{202e}x\\r\\n::error::]: \\x1b[31m\\u{202e}x\\r\\n::error::\n"
    )
    assert all(character.isprintable() or character == "\n" for character in shown)


def test_colour_is_there_only_when_asked_for():
    found, sources = problem(Place("a", 1, 1, 2)), Texts(a="x")

    plain, coloured = (render_problems([found], sources, color=c) for c in (False, True))

    assert "\x1b" not in plain
    assert coloured.startswith("\x1b[1;31merror[R001]\x1b[0m\x1b[1m: no such name\x1b[0m\n")
    assert "\x1b[1;31m^\x1b[0m" in coloured


def test_a_long_line_is_cut_around_the_span():
    line = "- key: x # " + "long " * 60 + "END" + " more" * 60
    column = line.index("END") + 1

    shown = displayed_line(line, width=60, focus=column)

    assert shown.text == "…ong long long long long END more more more more more more …"
    assert shown.marker(column, column + 3, "^") == (" " * 25, "^^^")


def test_a_line_of_millions_of_characters_is_cut_as_any_other_and_at_once():
    line = "long " * 4_000_000 + "END" + " more" * 4_000_000
    column = line.index("END") + 1

    spent_s = cpu_s(lambda: displayed_line(line, width=60, focus=column))
    shown = displayed_line(line, width=60, focus=column)

    assert shown.text == "…ong long long long long END more more more more more more …"
    assert shown.marker(column, column + 3, "^") == (" " * 25, "^^^")
    assert displayed_line(line, width=10, focus=1).text == "long long…"
    assert displayed_line(line, width=60, focus=len(line)).text.endswith("more more")
    assert spent_s < 1.0


def test_a_line_that_is_longer_than_any_manifest_is_not_read_into_memory(tmp_path: Path):
    path = tmp_path / "rows.csv"
    with path.open("wb") as stream:
        stream.write(b"id\n")
        stream.truncate(20 << 30)  # reading all of it would take more than a minute

    assert SourceFiles().lines(str(path), {1, 2, 3}) == {1: "id"}


def test_a_span_past_the_cut_is_marked_as_far_as_it_is_shown():
    shown = displayed_line("x" * 200, width=20, focus=1)

    assert shown.text == "x" * 19 + "…"
    assert shown.marker(1, 200, "^") == ("", "^" * 19)


@pytest.mark.parametrize(
    ("column", "end_column", "expected"),
    [(4, None, ("   ", "^")), (99, 120, ("   ", "^")), (2, 2, (" ", "^")), (0, -3, ("", "^"))],
)
def test_spans_outside_the_line_still_have_a_caret(
    column: int, end_column: int | None, expected: tuple[str, str]
):
    assert displayed_line("abc", width=20).marker(column, end_column, "^") == expected


@given(st.text(max_size=80), st.integers(1, 90), st.integers(20, 60), st.none() | st.just(1))
def test_no_excerpt_is_wider_than_its_room_and_every_marker_is_within(
    line: str, focus: int, width: int, hide_from: int | None
):
    shown = displayed_line(line, width=width, focus=focus, hide_from=hide_from and focus)
    indent, sign = shown.marker(focus, focus + 5, "^")

    assert cell_len(shown.text) <= width
    assert len(indent) + len(sign) <= width + 1
    assert shown.text.isprintable()


def test_source_lines_are_read_from_disk_and_beside_the_manifest(tmp_path: Path):
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbfid\r\ncaf\xe9\r\nlast")
    sources = SourceFiles(tmp_path)

    assert sources.lines("rows.csv", {1, 2, 3, 9}) == {1: "id", 2: "café", 3: "last"}
    assert SourceFiles().lines(str(tmp_path / "rows.csv"), {2}) == {2: "café"}


def test_what_is_no_readable_file_gives_no_lines(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")

    assert all(SourceFiles(tmp_path).lines(f, {1}) == {} for f in ("pipe", "none", ".", "a\0b"))


def test_errors_that_were_only_counted_are_in_the_totals():
    found = [problem(Place("gone", n, 1), code="R002", message=f"line {n}") for n in (1, 2, 3)]

    shown = render_problems(found, Texts(), max_problems=2, omitted={"R006": 1200, "R002": 9})

    assert shown.endswith(
        "\n\n… and 1,210 more: 1,200 R006, 10 R002\n\n1,212 errors in gone\nlearn more: runner explain R002\n"
    )


def test_none_need_be_shown():
    shown = render_problems([problem(Place("gone", 1, 1), code="R002")], Texts(), max_problems=0)

    assert shown == "… and 1 more: 1 R002\n\n1 error in gone\n"
