"""The report's formats (runner/report/formats/registry.py)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.core.errors import UsageError
from runner.core.records.run_record import ReportSource
from runner.report.formats.registry import FORMATS, Format, format_named, format_of
from runner.report.model import Content, build_content
from runner.report.replaceable import MOST_READ
from tests.report import samples


def render_count(content: Content, write: object) -> None:
    """Write how many transfers there are: the renderer of a format that is added below."""
    assert callable(write)
    write(str(content.summary.total))


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_renders_and_is_chosen_by_its_files_end(name: str):
    pieces: list[str] = []
    FORMATS[name].render(build_content(samples.mixed()), pieces.append)
    assert "".join(pieces)
    assert format_of(Path(f"out{FORMATS[name].suffix.upper()}")) is FORMATS[name]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sample", [samples.mixed, samples.empty, samples.planned, samples.hostile])
def test_each_file_begins_as_files_of_its_format_alone_do(
    name: str, sample: Callable[[], ReportSource]
):
    pieces: list[str] = []
    FORMATS[name].render(build_content(sample()), pieces.append)
    begin = "".join(pieces)[:MOST_READ]
    assert [each.name for each in FORMATS.values() if each.beginning.match(begin)] == [name]


def test_a_new_format_is_a_renderer_and_a_line():
    added = Format("count", "report.count", f"{__name__}:render_count")
    pieces: list[str] = []
    added.render(build_content(samples.empty()), pieces.append)
    assert pieces == ["0"]


def test_formats_have_files_and_ends_of_their_own_and_a_run_leaves_two():
    assert len({each.file for each in FORMATS.values()}) == len(FORMATS)
    assert len({each.suffix for each in FORMATS.values()}) == len(FORMATS)
    assert [each.name for each in FORMATS.values() if each.every_run] == ["html", "json"]


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="choose of html, json, junit, csv, md"):
        format_named("pdf")
    assert format_of(Path("report.pdf")) is None
