"""`report --compare`: two runs of a journal, transfer by transfer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from runner.console.compared import change_in_words, figure_rows
from runner.console.redaction import redact
from runner.core.comparison import Comparison, Side, changes_of
from runner.core.errors import UsageError
from runner.core.record import ReportSource, TransferRecord
from runner.core.summary import Tally
from runner.journal.comparing import Juxtaposed
from runner.report.compared_md import compared_md
from runner.wiring.reporting import told_again


def compare(before: str, after: str, journal: Path) -> Comparison:
    """Compare two runs as the journal tells them now.

    Raises `UsageError` for a run that is not there, or the same one twice; `StorageError`.
    """
    with told_again(before, journal) as first, told_again(after, journal) as second:
        if first.run.id == second.run.id:
            raise UsageError(f"both are run {first.run.id}: name two runs; `status` lists them")
        with Juxtaposed() as juxtaposed:
            tallies = Tally(), Tally()
            juxtaposed.add_before(_counted(first, tallies[0]))
            juxtaposed.add_after(_counted(second, tallies[1]))
            sides = [
                Side(source.run, tally.summary(source.figures))
                for source, tally in zip((first, second), tallies, strict=True)
            ]
            return Comparison(sides[0], sides[1], changes_of(juxtaposed.differences()))


def as_markdown(compared: Comparison) -> str:
    """Return a comparison as Markdown."""
    return "".join(compared_md(compared, figure_rows(compared), change_in_words, redact))


def _counted(source: ReportSource, tally: Tally) -> Iterator[TransferRecord]:
    for transfer in source.transfers():
        tally.add(transfer)
        yield transfer
