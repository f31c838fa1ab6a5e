"""The transfers as CSV (RFC 4180) for spreadsheets, in which no cell is a formula."""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from runner.core.records.run_record import TransferRecord
from runner.core.records.summary import rounded
from runner.report.formats.json_document import plain
from runner.report.model import Content

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

BEGINNING = re.compile(re.escape(",".join(COLUMNS)) + "\r\n")
"""How each such file begins."""

_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_FORMULA_STARTS = frozenset("=+-@\t\r\n＝＋－＠")  # noqa: RUF001 - Excel reads the wide forms too

_LATER_START = re.compile(r"([;\t\r\n]\s*)(?=[=+\-@＝＋－＠])")  # noqa: RUF001 - as above
"""Where a cell would begin for a spreadsheet that splits lines at semicolons, as most of Europe's do.

It honours no quotes that begin in the middle of what it takes for a cell.
"""


def render_csv(content: Content, write: Callable[[str], object]) -> None:
    """Write a line of column names, then a line a transfer."""
    rows = csv.writer(_Sink(write))
    rows.writerow(COLUMNS)
    media = _Media()
    rows.writerows(_cells(transfer, media) for transfer in content.source.transfers())


def harmless_cell(text: str) -> str:
    """Return `text` with an apostrophe before what a spreadsheet could take for a formula.

    Spreadsheets skip leading blanks and characters without a width, so these are skipped here
    too (OWASP, "CSV Injection").
    """
    guarded = _LATER_START.sub(r"\1'", text) if _LATER_START.search(text) else text
    return f"'{guarded}" if _starts_a_formula(text) else guarded


def _starts_a_formula(text: str) -> bool:
    if not text or text[0].isalnum():  # as nearly every cell of a million rows
        return False
    first = next((character for character in text if not _unseen(character)), "")
    return text[0] in _FORMULA_STARTS or first in _FORMULA_STARTS


def _unseen(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("C")


def _cells(transfer: TransferRecord, media: _Media) -> tuple[str | float | None, ...]:
    callbacks = "; ".join(f"{callback.name}: {callback.state}" for callback in transfer.callbacks)
    return (
        harmless_cell(transfer.key),
        transfer.outcome.value,
        _harmless(transfer.reason),
        harmless_cell(transfer.interaction_id),
        harmless_cell(transfer.destination_uri),
        _harmless(transfer.message_id),
        rounded(transfer.latency_ms),
        len(transfer.attempts),
        media.requested(transfer.media_requested),
        _harmless(_text(transfer.media_negotiated)),
        harmless_cell(callbacks),
        harmless_cell(transfer.source),
    )


def _harmless(text: str | None) -> str | None:
    return None if text is None else harmless_cell(text)


def _text(media: Mapping[str, Any] | None) -> str | None:
    return None if media is None else _encoded(plain(media))


class _Media:
    """Writes what was requested once for neighbours that share it, as most do."""

    def __init__(self) -> None:
        self._media: Mapping[str, Any] | None = None
        self._text: str | None = None

    def requested(self, media: Mapping[str, Any]) -> str | None:
        if media is not self._media:
            self._media, self._text = media, _harmless(_text(media))
        return self._text


class _Sink:
    """What `csv.writer` wants: an object that has `write`."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.write = write
