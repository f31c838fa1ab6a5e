"""The transfers as CSV (RFC 4180) for spreadsheets, in which no cell is a formula."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Iterator

from runner.core.record import TransferRecord
from runner.core.summary import rounded
from runner.report.content import Content
from runner.report.json_form import plain

COLUMNS = (
    "key",
    "outcome",
    "reason",
    "interaction_id",
    "destination_uri",
    "message_id",
    "latency_ms",
    "attempts",
    "media_requested",
    "media_negotiated",
    "callbacks",
    "source",
)

_FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - Excel reads the wide forms too

_LATER_START = re.compile(r"([;\t\r\n]\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - as above
"""Where a cell would begin for a spreadsheet that splits lines at semicolons, as most of Europe's do.

It honours no quotes that begin in the middle of what it takes for a cell.
"""


def render_csv(content: Content, write: Callable[[str], object]) -> None:
    """Write a line of column names, then a line a transfer."""
    rows = csv.writer(_Sink(write))
    rows.writerow(COLUMNS)
    rows.writerows(_cells(transfer) for transfer in content.source.transfers())


def harmless_cell(text: str) -> str:
    """Return `text` with an apostrophe before what a spreadsheet could take for a formula.

    Spreadsheets skip leading blanks and characters without a width, so these are skipped here
    too (OWASP, "CSV Injection").
    """
    guarded = _LATER_START.sub(r"\1'", text)
    return f"'{guarded}" if _starts_a_formula(text) else guarded


def _starts_a_formula(text: str) -> bool:
    if not text or text[0].isalnum():  # as nearly every cell of a million rows
        return False
    first = next((character for character in text if not _unseen(character)), "")
    return text[0] in _FORMULA_STARTS or first in _FORMULA_STARTS


def _unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("C")


def _cells(transfer: TransferRecord) -> Iterator[str | float | None]:
    latency = rounded(transfer.latency_ms)
    for value in (
        transfer.key,
        transfer.outcome.value,
        transfer.reason,
        transfer.interaction_id,
        transfer.destination_uri,
        transfer.message_id,
        latency,
        len(transfer.attempts),
        _text(transfer.media_requested),
        None if transfer.media_negotiated is None else _text(transfer.media_negotiated),
        "; ".join(f"{callback.name}: {callback.state}" for callback in transfer.callbacks),
        transfer.source,
    ):
        yield harmless_cell(value) if isinstance(value, str) else value


def _text(media: object) -> str:
    return json.dumps(plain(media), ensure_ascii=False, separators=(",", ":"))


class _Sink:
    """What `csv.writer` wants: an object that has `write`."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
