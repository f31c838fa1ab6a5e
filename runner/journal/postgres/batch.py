"""Spells a batch of entries for one call of `runner.record_batch_v1`.

Each column is one text, parted by a character, which the server takes apart in C. psycopg would spell
arrays value by value in Python, and JSON would name every column in every row.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from runner.core.records.audit_chain import canonical
from runner.core.transfer.canonical_form import canonical_interaction
from runner.journal.postgres.schema import COLUMNS
from runner.ports import Entry, Note

MOST_AT_ONCE = 128
"""Entries of one commit: while it is written, those of the one before are acted on."""

_COMMA, _NULL = "\x1f", "\x1e"
_OF_A_NOTE = (None,) * (len(COLUMNS) - 3)

RECORD = f"SELECT runner.record_batch_v1({', '.join(['%s'] * (10 + len(COLUMNS)))})"
"""One batch; its values are lane, epoch, seq, head, new seq, new head, run, and `columns`'."""

Row = tuple[object, ...]


def row_of(entry: Entry | Note, body: str, link: str) -> Row:
    """Return an entry as a row of a batch; `body` and `link` are its place in the chain."""
    if isinstance(entry, Note):
        return (body, link, entry.transfer_id, *_OF_A_NOTE)
    row, intent = entry.row, entry.intent
    if intent is None:
        n, message_id, media_index = entry.n, entry.message_id, None
    else:
        n, message_id, media_index = intent.n, intent.message_id, intent.media_index
    return (
        body, link, entry.transfer_id, entry.version, entry.lineage, row.n, row.key,
        row.interaction_id, row.destination_uri, entry.state, entry.event, entry.at, n, message_id,
        media_index, entry.sent_at, entry.latency_ms, entry.status, entry.reason,
        None if entry.media is None else canonical(entry.media),
        entry.correlation_id, canonical_interaction(row.interaction_id), entry.reason_code,
    )  # fmt: skip


def owed_by(entries: Sequence[Entry | Note]) -> str | None:
    """Return the callbacks that entries owe, as JSON; None: none."""
    owed = [
        (entry.transfer_id, n.webhook_id, n.callback, n.outcome, n.body)
        for entry in entries
        for n in entry.notifications
    ]
    return json.dumps(owed) if owed else None


def columns(rows: Sequence[Row]) -> list[str]:
    """Return what parts values, what stands for NULL, and each column as one text."""
    comma, null = _COMMA, _NULL
    while True:
        texts = [
            comma.join([null if value is None else str(value) for value in column])
            for column in zip(*rows, strict=True)
        ]
        most = len(rows) - 1
        nulls = sum(column.count(None) for column in zip(*rows, strict=True))
        if all(text.count(comma) == most for text in texts) and nulls == sum(
            text.count(null) for text in texts
        ):
            return [comma, null, *map(storable, texts)]
        # A value holds one of the characters: part by a word that nothing from outside can know.
        comma, null = (f"\x1f{secrets.token_hex(8)}" for _ in range(2))


def storable(text: str) -> str:
    """Return a text as PostgreSQL can hold it: without NUL, and without half of a character."""
    text = text.replace("\x00", "\N{SYMBOL FOR NULL}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass").decode(errors="replace")
    return text


def batches(entries: Sequence[Entry | Note]) -> Iterator[Sequence[Entry | Note]]:
    """Part entries where a transfer, or its interaction, comes again.

    A batch changes every row once, in no order of its own.
    """
    seen: set[Any] = set()
    start = 0
    for place, entry in enumerate(entries):
        if isinstance(entry, Note):
            continue
        names = {entry.transfer_id, canonical_interaction(entry.row.interaction_id)}
        if seen & names:
            yield entries[start:place]
            start, seen = place, set()
        seen |= names
    yield entries[start:]
