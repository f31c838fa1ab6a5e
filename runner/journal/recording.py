"""How entries become rows: each kind of change in few statements, checked by their counts."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.chain import canonical
from runner.core.timestamps import timestamp
from runner.core.transfer import Event
from runner.journal.bulk import Bulk
from runner.ports import Entry, Note

_INSERT_TRANSFERS = Bulk(
    13,
    "INSERT INTO transfers(id, lineage, run, n, key, interaction_id, destination_uri, state,"
    " version, reason, message_id, latency_ms, media)",
)
_UPDATE_TRANSFERS = Bulk(
    7,
    # What is told after an effect is about another delivery: it does not reword the transfer.
    "UPDATE transfers SET state = v.column1, version = version + 1,"
    " reason = CASE WHEN state = 'transferred' THEN reason ELSE v.column2 END,"
    " message_id = CASE WHEN state = 'transferred' THEN message_id"
    " ELSE coalesce(v.column3, message_id) END,"
    " latency_ms = coalesce(v.column4, latency_ms),"
    " media = coalesce(v.column5, media) FROM (",
    ") AS v WHERE id = v.column6 AND version = v.column7",
)
_INSERT_DELIVERIES = Bulk(
    8,
    "INSERT INTO deliveries(transfer, n, run, message_id, media_index, intent, sent_at, event)",
)
_UPDATE_DELIVERIES = Bulk(
    9,
    "UPDATE deliveries SET event = v.column1, sent_at = coalesce(v.column2, sent_at),"
    " settled_at = v.column3, latency_ms = v.column4, status = v.column5, reason = v.column6,"
    " correlation_id = v.column7 FROM (",
    ") AS v WHERE transfer = v.column8 AND n = v.column9",
)
_SETTLE_LATE = (
    "UPDATE deliveries SET event = ?, settled_at = ?, status = ?, reason = ?,"
    " correlation_id = coalesce(?, correlation_id)"
    " WHERE transfer = ? AND message_id = ? AND status IS NULL"
)
_INSERT_EVENTS = Bulk(4, "INSERT INTO events(seq, run, body, hash)")
_INSERT_OUTBOX = Bulk(
    8,
    "INSERT INTO outbox(webhook_id, transfer, run, callback, outcome, body, state, attempts)",
)


def record_transfers(
    connection: sqlite3.Connection, run: int, entries: Sequence[Entry | Note]
) -> None:
    """Bring transfers to the states that entries say, by compare-and-set on their versions.

    Raises `sqlite3.IntegrityError` if one is not as its entry expects.
    """
    changes = [entry for entry in entries if isinstance(entry, Entry)]
    _INSERT_TRANSFERS.run(
        connection,
        [
            (e.transfer_id, e.lineage, run, e.row.n, e.row.key, e.row.interaction_id,
             e.row.destination_uri, e.state, 1, e.reason, _message_id(e), e.latency_ms,
             _json(e.media))
            for e in changes
            if e.version == 0
        ],
    )  # fmt: skip
    updates = [
        (e.state, e.reason, _message_id(e), e.latency_ms, _json(e.media), e.transfer_id, e.version)
        for e in changes
        if e.version > 0
    ]
    while updates:  # those of one transfer after each other, each round in one go
        first = {update[5]: update for update in reversed(updates)}
        _update(connection, _UPDATE_TRANSFERS, list(first.values()))
        updates = [update for update in updates if first[update[5]] is not update]


def record_deliveries(
    connection: sqlite3.Connection, run: int, entries: Sequence[Entry | Note], first_seq: int
) -> None:
    """Add the deliveries that entries begin, and tell what became of those that they end."""
    _INSERT_DELIVERIES.run(
        connection,
        [
            (e.transfer_id, e.intent.n, run, e.intent.message_id, e.intent.media_index, seq,
             e.at, e.event)
            for seq, e in enumerate(entries, first_seq)
            if isinstance(e, Entry) and e.intent is not None
        ],
    )  # fmt: skip
    ended = [
        (e.event, e.sent_at, e.at, e.latency_ms, e.status, e.reason, e.correlation_id,
         e.transfer_id, e.n)
        for e in entries
        if isinstance(e, Entry) and e.intent is None and e.n is not None
    ]  # fmt: skip
    _update(connection, _UPDATE_DELIVERIES, ended)
    late = [
        (e.event, e.at, e.status, e.reason, e.correlation_id, e.transfer_id, e.message_id)
        for e in entries
        if isinstance(e, Entry) and e.event is Event.ACCEPTED and e.n is None
    ]
    connection.executemany(_SETTLE_LATE, late)


def record_events(
    connection: sqlite3.Connection, run: int, links: Sequence[tuple[int, str, str]]
) -> None:
    """Append (number, body, hash) to the chain."""
    _INSERT_EVENTS.run(connection, [(seq, run, body, hash_) for seq, body, hash_ in links])


def record_outbox(
    connection: sqlite3.Connection, run: int, entries: Sequence[Entry | Note]
) -> None:
    """Owe the callbacks that entries call for."""
    _INSERT_OUTBOX.run(
        connection,
        [
            (owed.webhook_id, e.transfer_id, run, owed.callback, owed.outcome, owed.body,
             "pending", 0)
            for e in entries
            for owed in e.notifications
        ],
    )  # fmt: skip


def body_of(entry: Entry | Note, run_id: str) -> dict[str, Any]:
    """Return what the audit chain keeps of an entry."""
    body: dict[str, Any] = {"at": timestamp(entry.at), "event": entry.event, "run": run_id}
    if isinstance(entry, Note):
        return body | dict(entry.fields)
    body["key"] = entry.row.key
    body["interaction_id"] = entry.row.interaction_id
    body["transfer"] = entry.transfer_id
    body["state"] = entry.state
    if (intent := entry.intent) is not None:
        body["n"] = intent.n
        body["message_id"] = intent.message_id
        body["message"] = intent.text
        body["media_index"] = intent.media_index
        body["hand_over"] = intent.hand_over.to_json()
        body["baseline"] = None if intent.baseline is None else intent.baseline.to_json()
        return body
    told = {
        "n": entry.n,
        "message_id": entry.message_id,
        "status": entry.status,
        "reason": entry.reason,
        "latency_ms": entry.latency_ms,
        "media": entry.media,
        "correlation_id": entry.correlation_id,
    }
    return body | {name: value for name, value in told.items() if value is not None}


def _update(
    connection: sqlite3.Connection, statement: Bulk, updates: Sequence[tuple[object, ...]]
) -> None:
    changed = statement.run(connection, updates)
    if changed != len(updates):
        raise sqlite3.IntegrityError(
            f"{len(updates) - changed} of {len(updates)} records were not as expected"
        )


def _message_id(entry: Entry) -> str | None:
    return entry.intent.message_id if entry.intent is not None else entry.message_id


def _json(media: Mapping[str, Any] | None) -> str | None:
    return None if media is None else canonical(media)
