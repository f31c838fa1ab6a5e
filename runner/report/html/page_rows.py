"""The page's rows: transfers packed as small as JSON allows, most urgent first.

A row is an array; texts that repeat (destinations, reasons, media) are written once, in
`words`, and named by their number. `page.js` unpacks them by the same order of fields.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

import orjson
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from runner.core.records.run_record import AttemptRecord, TransferGroup, TransferRecord
from runner.core.records.summary import rounded
from runner.core.timestamps import seconds_or_none
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import cause_of
from runner.report.causes import cause_text, history_text
from runner.report.formats.json_document import in_visible_json, plain
from runner.report.html.outcome_categories import category_finder
from runner.report.model import Content

ROW_LIMIT = 100_000
"""Rows that the page holds (cli.md, "A run leaves")."""

SIZE_LIMIT = 22_000_000
"""Bytes that the rows may take, so that the whole page stays under 25 MB."""

LISTED_WITHOUT_SCRIPTS = 50
"""Most transfers that are listed where scripts are off."""

MEDIA_TEXT_LIMIT = 200

_UNSAFE = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027"))

ROWS_A_PIECE = 256
"""A template takes as long for a row as for some hundreds."""

_CLASSES = (
    frozenset(outcome for outcome in Outcome if outcome.needs_attention),
    frozenset(
        outcome for outcome in Outcome if outcome.needs_reason and not outcome.needs_attention
    ),
    frozenset(outcome for outcome in Outcome if not outcome.needs_reason),
)
"""Outcomes in the order in which the page lists their transfers."""


def packed_rows(
    content: Content, *, limit: int = ROW_LIMIT, size_limit: int = SIZE_LIMIT
) -> Iterator[Markup]:
    """Yield the pieces of `{"rows": […], "words": […]}`, safe inside a script element.

    At most `limit` rows and about `size_limit` bytes; beyond `limit` transfers what succeeded
    is left out altogether.
    """
    words, size = _Words(), 0
    pieces: list[str] = []
    begin = '{"rows":['
    for count, row in enumerate(_rows(content, limit, _Packer(words, content))):
        size += len(row) if row.isascii() else len(row.encode("utf-8", "replace"))
        if count == limit or size + words.size > size_limit:
            break
        pieces.append(row)
        if len(pieces) == ROWS_A_PIECE:
            yield Markup(begin + ",\n".join(pieces))  # noqa: S704 - escaped already
            pieces, begin = [], ",\n"
    rest = ",\n".join(pieces)
    begin = begin if pieces or begin != ",\n" else ""
    yield Markup(f'{begin}{rest}],\n"words":{_json(words.texts)}}}')  # noqa: S704 - escaped already


def media_text(media: Mapping[str, Any]) -> str:
    """Return a media matrix in a few words; one of another shape as its JSON, cut."""
    try:
        return " + ".join(_half(media[half]) for half in ("audio", "video") if half in media)
    except (KeyError, TypeError):
        text = json.dumps(plain(media), ensure_ascii=False)
        return text if len(text) <= MEDIA_TEXT_LIMIT else text[: MEDIA_TEXT_LIMIT - 1] + "…"


def _half(half: Mapping[str, Any]) -> str:
    kbps = half["bandwidth_kbps"]
    if "resolution" in half:
        text = f"{half['codec']} {half['resolution']} {half['fps']} fps {kbps} kbit/s"
    else:
        text = f"{half['codec']} {half['bit_depth']} bit {kbps} kbit/s"
    return text if len(text) <= MEDIA_TEXT_LIMIT else text[: MEDIA_TEXT_LIMIT - 1] + "…"


def _rows(content: Content, limit: int, packer: _Packer) -> Iterator[str]:
    """Yield the packed rows of what the page lists."""
    if content.source.groups is None:
        for transfer in _most_urgent_first(content, limit):
            yield _json(packer.row(transfer))
        return
    for outcomes in _classes(content, limit):
        for group in content.source.groups():
            if group.record.outcome in outcomes:
                yield from map(_json, packer.rows(group))


def _most_urgent_first(content: Content, limit: int) -> Iterator[TransferRecord]:
    """Yield what the page lists: one pass over the transfers for each class that has any."""
    for outcomes in _classes(content, limit):
        yield from (t for t in content.source.transfers() if t.outcome in outcomes)


def without_scripts(content: Content, limit: int = LISTED_WITHOUT_SCRIPTS) -> list[TransferRecord]:
    """Return what is listed where scripts are off: what did not succeed.

    Of a plan, or of more transfers than the page holds, it is nothing.
    """
    if content.dry_run or content.summary.total > ROW_LIMIT:
        return []
    counts = content.summary.counts
    found: list[TransferRecord] = []
    for outcomes in _CLASSES[:-1]:
        if any(counts[outcome] for outcome in outcomes):
            these = (t for t in content.source.transfers() if t.outcome in outcomes)
            found += islice(these, limit - len(found))
    return sorted(found, key=lambda transfer: transfer.outcome.rank)


def _classes(content: Content, limit: int) -> Iterator[frozenset[Outcome]]:
    """Yield the outcomes to list, class by class."""
    counts = content.summary.counts
    everything = content.summary.total <= limit
    for outcomes in _CLASSES if everything else _CLASSES[:-1]:
        if any(counts[outcome] for outcome in outcomes):
            yield outcomes


class _Words:
    """Texts that repeat, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.size = 0  # bytes, about

    @property
    def texts(self) -> list[str]:
        return list(self._numbers)

    def number(self, text: str | None) -> int:
        """Return the number of `text`; -1 for None."""
        if text is None:
            return -1
        if (number := self._numbers.get(text)) is None:
            number = self._numbers[text] = len(self._numbers)
            self.size += len(_json(text).encode("utf-8", "replace")) + 1
        return number


class _Packer:
    """Packs transfers; times become milliseconds since the run's start."""

    def __init__(self, words: _Words, content: Content) -> None:
        self._word = words.number
        self._kind = category_finder(content)
        self._media: Mapping[str, Any] | None = None  # of the transfer packed last
        self._media_word = -1
        self._start = seconds_or_none(content.source.run.started_at)

    def row(self, transfer: TransferRecord) -> list[Any]:
        """Return the row of one transfer; `page.js` names the fields in this order."""
        word, interaction_id, key = self._word, transfer.interaction_id, transfer.key
        file, _, line = transfer.source.rpartition(":")
        negotiated = transfer.media_negotiated
        return [
            self._kind(transfer),
            interaction_id,
            0 if key == interaction_id else key,
            word(transfer.destination_uri),
            word(transfer.reason),
            word(file if line.isdecimal() else transfer.source),
            int(line) if line.isdecimal() else 0,
            rounded(transfer.latency_ms),
            self._requested(transfer.media_requested),
            word(None if negotiated is None else media_text(negotiated)),
            [self._attempt(attempt) for attempt in transfer.attempts],
            [[word(c.name), word(c.state), c.attempts, word(c.reason)] for c in transfer.callbacks],
            word(transfer.origin_uri),
            transfer.wave or 0,
            word(cause_text(cause_of(transfer.reason_code, transfer.reason))),
            word(history_text(transfer)),
        ]

    def rows(self, group: TransferGroup) -> Iterator[list[Any]]:
        """Yield the rows of transfers that differ in `IDENTITY` alone."""
        word, first = self._word, self.row(group.record)
        for key, source, interaction_id, destination_uri in group.identities:
            file, _, line = source.rpartition(":")
            row = first.copy()
            row[1] = interaction_id
            row[2] = 0 if key == interaction_id else key
            row[3] = word(destination_uri)
            row[5] = word(file if line.isdecimal() else source)
            row[6] = int(line) if line.isdecimal() else 0
            yield row

    def _requested(self, media: Mapping[str, Any]) -> int:
        if media is not self._media:  # neighbours mostly share one
            self._media, self._media_word = media, self._word(media_text(media))
        return self._media_word

    def _attempt(self, attempt: AttemptRecord) -> list[Any]:
        return [
            attempt.message_id,
            self._offset_ms(attempt.sent_at),
            self._offset_ms(attempt.settled_at),
            rounded(attempt.latency_ms),
            self._word(attempt.status),
            self._word(attempt.reason),
            attempt.media_index,
        ]

    def _offset_ms(self, at_s: float | None) -> int | None:
        if at_s is None or self._start is None:
            return None
        # To the microsecond, as report.json has it.
        return round((round(at_s * 1e6) / 1e6 - self._start) * 1000)


def _json(value: Any) -> str:
    # Like Jinja's `tojson`: no "<", ">", "&" or "'" is left that could end the script element.
    try:
        text = orjson.dumps(value).decode()
    except TypeError:  # half a character, in what a gateway said
        return htmlsafe_json_dumps(value, separators=(",", ":"))
    for character, escaped in _UNSAFE:
        text = text.replace(character, escaped)
    return in_visible_json(text)
