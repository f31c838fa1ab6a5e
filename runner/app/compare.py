"""`report --compare`: compares two runs of a journal, transfer by transfer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.app.report import report_source
from runner.console.log.redaction import redact
from runner.console.results.comparison import change_in_words, figure_rows
from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.core.records.comparison import ComparedRun, Comparison, changes_of
from runner.core.records.run_record import ReportSource, TransferRecord
from runner.core.records.summary import Tally
from runner.report.formats.markdown_comparison import compared_md
from runner.report.formats.registry import FORMATS
from runner.report.html.comparison_page import render_comparison
from runner.report.replaceable import check_replaceable
from runner.report.safe_folder import open_folder
from runner.staging.run_join import RunJoin


def compare(before: str, after: str, journal: JournalLocation) -> Comparison:
    """Compare two runs with their present state in the journal.

    Raises `UsageError` for an unknown run, or the same run twice; `StorageError`.
    """
    with report_source(before, journal) as first, report_source(after, journal) as second:
        if first.run.id == second.run.id:
            raise UsageError(f"both are run {first.run.id}; name two runs; `status` lists them")
        with RunJoin() as join:
            tallies = Tally(), Tally()
            join.add_before(_counted(first, tallies[0]))
            join.add_after(_counted(second, tallies[1]))
            sides = [
                ComparedRun(source.run, tally.summary(source.figures))
                for source, tally in zip((first, second), tallies, strict=True)
            ]
            return Comparison(sides[0], sides[1], changes_of(join.differences()))


def as_markdown(compared: Comparison) -> str:
    """Return a comparison as Markdown."""
    return "".join(compared_md(compared, figure_rows(compared), change_in_words, redact))


def as_page(compared: Comparison) -> str:
    """Return a comparison as an HTML page."""
    pieces: list[str] = []
    render_comparison(compared, figure_rows(compared), change_in_words, redact, pieces.append)
    return "".join(pieces)


def write_page(compared: Comparison, out: Path) -> None:
    """Write a comparison as a page into a file: whole or not at all, mode 0600.

    Raises `UsageError` for a file that is not an earlier page, `StorageError`.
    """
    html = FORMATS["html"]
    check_replaceable(out, html.name, html.beginning)
    with open_folder(out.parent) as folder, folder.writing(out.name) as stream:
        stream.write(as_page(compared))


def _counted(source: ReportSource, tally: Tally) -> Iterator[TransferRecord]:
    for transfer in source.transfers():
        tally.add(transfer)
        yield transfer
