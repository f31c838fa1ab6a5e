"""Writes entries as rows: a batch is one statement, which triggers take apart within SQLite.

Python's lock is let go while SQLite works and has to be won back after each statement, from an
event loop that lets go of it only to take it again. A batch that is one statement, and so a
transaction of its own, is written while the loop goes on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import cache
from itertools import chain

from runner.core.records.audit_chain import canonical
from runner.core.transfer.canonical_form import canonical_interaction
from runner.ports import Entry, Note, Notification

MOST_AT_ONCE = 128
"""Rows of the largest statement."""

_COLUMNS = (
    "seq", "run", "body", "hash", "transfer", "owed",
    # NULL in a note, which changes no transfer:
    "version", "lineage", "row", "key", "interaction_id", "destination_uri", "state", "event", "at",
    "n", "message_id", "media_index", "sent_at", "latency_ms", "status", "reason", "media",
    "correlation_id", "interaction", "reason_code",
)  # fmt: skip
_OF_A_NOTE = (None,) * (len(_COLUMNS) - 6)

_TRIGGERS = """
CREATE TEMP TRIGGER append INSTEAD OF INSERT ON changes BEGIN
  INSERT INTO events(seq, run, body, hash) VALUES (NEW.seq, NEW.run, NEW.body, NEW.hash);
END;

CREATE TEMP TRIGGER begin_transfer INSTEAD OF INSERT ON changes WHEN NEW.version = 0 BEGIN
  INSERT INTO transfers(id, lineage, run, n, key, interaction_id, destination_uri, state, version,
    reason, message_id, latency_ms, media, interaction, reason_code)
  VALUES (NEW.transfer, NEW.lineage, NEW.run, NEW.row, NEW.key, NEW.interaction_id,
    NEW.destination_uri, NEW.state, 1, NEW.reason, NEW.message_id, NEW.latency_ms, NEW.media,
    NEW.interaction, coalesce(NEW.reason_code, NEW.status));
END;

CREATE TEMP TRIGGER change_transfer INSTEAD OF INSERT ON changes WHEN NEW.version > 0 BEGIN
  -- An event after the effect is about another delivery: the transfer keeps its reason.
  UPDATE transfers SET state = NEW.state, version = version + 1,
    reason = CASE WHEN state = 'transferred' THEN reason ELSE NEW.reason END,
    reason_code = CASE WHEN state = 'transferred' THEN reason_code
      ELSE coalesce(NEW.reason_code, NEW.status) END,
    message_id = CASE WHEN state = 'transferred' THEN message_id
      ELSE coalesce(NEW.message_id, message_id) END,
    latency_ms = coalesce(NEW.latency_ms, latency_ms), media = coalesce(NEW.media, media)
  WHERE id = NEW.transfer AND version = NEW.version;
  SELECT raise(ABORT, 'a transfer is not as expected') WHERE changes() != 1;
END;

CREATE TEMP TRIGGER begin_delivery INSTEAD OF INSERT ON changes
WHEN NEW.media_index IS NOT NULL BEGIN
  INSERT INTO deliveries(transfer, n, run, message_id, media_index, intent, sent_at, event)
  VALUES (NEW.transfer, NEW.n, NEW.run, NEW.message_id, NEW.media_index, NEW.seq, NEW.at,
    NEW.event);
END;

CREATE TEMP TRIGGER end_delivery INSTEAD OF INSERT ON changes
WHEN NEW.media_index IS NULL AND NEW.n IS NOT NULL BEGIN
  UPDATE deliveries SET event = NEW.event, sent_at = coalesce(NEW.sent_at, sent_at),
    settled_at = NEW.at, latency_ms = NEW.latency_ms, status = NEW.status, reason = NEW.reason,
    correlation_id = NEW.correlation_id
  WHERE transfer = NEW.transfer AND n = NEW.n;
  SELECT raise(ABORT, 'a delivery is not as expected') WHERE changes() != 1;
END;

CREATE TEMP TRIGGER settle_late INSTEAD OF INSERT ON changes
WHEN NEW.n IS NULL AND NEW.event = 'accepted' BEGIN
  UPDATE deliveries SET event = NEW.event, settled_at = NEW.at, status = NEW.status,
    reason = NEW.reason, latency_ms = coalesce(NEW.latency_ms, latency_ms),
    correlation_id = coalesce(NEW.correlation_id, correlation_id)
  WHERE transfer = NEW.transfer AND message_id = NEW.message_id AND status IS NULL;
END;

CREATE TEMP TRIGGER owe INSTEAD OF INSERT ON changes WHEN NEW.owed IS NOT NULL BEGIN
  INSERT INTO outbox(webhook_id, transfer, run, callback, outcome, body, state, attempts)
  SELECT json_extract(value, '$[0]'), NEW.transfer, NEW.run, json_extract(value, '$[1]'),
    json_extract(value, '$[2]'), json_extract(value, '$[3]'), 'pending', 0
  FROM json_each(NEW.owed);
END;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Give a connection what `record` needs; the file does not change."""
    connection.execute("PRAGMA temp_store=MEMORY")
    columns = ", ".join(f"NULL AS {name}" for name in _COLUMNS)
    connection.executescript(f"CREATE TEMP VIEW changes AS SELECT {columns};{_TRIGGERS}")


def record(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    """Append events and bring the tables to what rows (`row_of`) say, in order.

    Transfers change by compare-and-set on their versions. Raises `sqlite3.IntegrityError` if one
    is not as its row expects. Up to `MOST_AT_ONCE` rows are one statement.
    """
    for start in range(0, len(rows), MOST_AT_ONCE):
        some = rows[start : start + MOST_AT_ONCE]
        size = 1 << (len(some) - 1).bit_length()
        padding = (0,) * ((size - len(some)) * len(_COLUMNS))
        connection.execute(_statement(size), [*chain.from_iterable(some), *padding])


@cache
def _statement(size: int) -> str:
    """Return the statement for `size` rows; those with the number 0 pad it, and are left out.

    Few sizes, so that every statement stays prepared.
    """
    row = f"({','.join('?' * len(_COLUMNS))})"
    values = ",".join([row] * size)
    return f"INSERT INTO changes SELECT * FROM (VALUES {values}) WHERE column1 > 0"  # noqa: S608 - bound


def row_of(entry: Entry | Note, run: int, seq: int, body: str, link: str) -> tuple[object, ...]:
    """Return an entry as a row for `record`; `body` and `link` are its place in the chain."""
    owed = _owed(entry.notifications) if entry.notifications else None
    if isinstance(entry, Note):
        return (seq, run, body, link, entry.transfer_id, owed, *_OF_A_NOTE)
    row, intent = entry.row, entry.intent
    media = None if entry.media is None else canonical(entry.media)
    if intent is None:
        n, message_id, media_index = entry.n, entry.message_id, None
    else:
        n, message_id, media_index = intent.n, intent.message_id, intent.media_index
    return (
        seq, run, body, link, entry.transfer_id, owed,
        # As plain texts: for any other type the driver looks for an adapter, each time anew.
        entry.version, entry.lineage, row.n, row.key, row.interaction_id, row.destination_uri,
        str(entry.state), str(entry.event), entry.at, n, message_id, media_index, entry.sent_at,
        entry.latency_ms, entry.status, entry.reason, media,
        entry.correlation_id, canonical_interaction(row.interaction_id),
        None if entry.reason_code is None else str(entry.reason_code),
    )  # fmt: skip


def _owed(notifications: Sequence[Notification]) -> str:
    return json.dumps([(n.webhook_id, n.callback, n.outcome, n.body) for n in notifications])
