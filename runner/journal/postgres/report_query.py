"""Reads what a run's report shows of a lane, streaming: its transfers and its audit entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

from runner.core.pacing.waves import WaveCount
from runner.core.records.batch_progress import BatchProgress, EarlierBatchRuns, batch_progress
from runner.core.records.run_record import AuditEntry, TransferRecord
from runner.journal.given_up import BODY, given_up
from runner.journal.postgres.connection import Connection, JournalUrl, ask, connect
from runner.journal.postgres.reading import reading, reading_as_one
from runner.journal.sql_lists import IN_HELD
from runner.journal.sqlite.report_query import (
    alike_records,
    outcome_counts,
    transfer_records,
)

AT_ONCE = 1000
"""Rows of one answer."""

_TRANSFERS = (
    "SELECT r.n, r.failed_as, r.key, r.source, r.interaction_id, r.destination_uri, l.media,"
    " r.action, r.reason, t.id, t.state, t.reason,"
    " CASE WHEN NOT EXISTS (SELECT 1 FROM runner.deliveries d WHERE d.lane = t.lane"
    " AND d.transfer = t.id AND d.message_id = t.message_id AND d.event = 'withdrawn')"
    " THEN t.message_id END,"
    " t.latency_ms, t.media, t.reason_code, c.reason_code, cr.id, cr.batch, c.key,"
    " c.state, c.reason, c.destination_uri, c.message_id, c.latency_ms, c.media"
    "{source} ORDER BY r.n"
)
# The same columns of rows that are counted together; what differs within them is left out.
_ALIKE = (
    "SELECT min(r.n), NULL, '', '', '', r.destination_uri, l.media,"
    " r.action, NULL, max(t.id), t.state, NULL, NULL, NULL, t.media, NULL, NULL, '', '', '',"
    " c.state, NULL, c.destination_uri, NULL, NULL, c.media, count(*)"
    "{source} GROUP BY r.destination_uri, l.media, r.action, t.state, t.media, c.state,"
    " c.destination_uri, c.media ORDER BY 1"
)
# The same once more, by what the plan said of them.
_PLANNED_ALIKE = (
    "SELECT min(r.n), NULL, '', '', '', r.destination_uri, min(l.media),"
    " r.action, NULL, max(t.id), t.state, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '',"
    " c.state, NULL, c.destination_uri, NULL, NULL, NULL, r.failed_as IS NOT NULL, c.run > %(previous)s,"
    " count(*)"
    "{source} GROUP BY r.destination_uri, r.action, t.state, c.state, c.destination_uri, 27, 28"
)
_OF_BATCH = (
    "p.lane = %(lane)s AND p.batch ="
    " (SELECT batch FROM runner.runs WHERE lane = %(lane)s AND no = %(run)s)"
)
_PLANNED_RUN = "EXISTS (SELECT 1 FROM runner.rows r WHERE r.lane = p.lane AND r.run = p.no)"
_PREVIOUS = (
    f"SELECT p.no, p.id, p.started_at FROM runner.runs p WHERE {_OF_BATCH} AND p.no < %(run)s"  # noqa: S608 - of constants
    f" AND {_PLANNED_RUN} ORDER BY p.no DESC LIMIT 1"
)
_RUNS_SO_FAR = (
    f"SELECT count(*) FROM runner.runs p WHERE {_OF_BATCH}"  # noqa: S608 - of constants
    f" AND (p.no = %(run)s OR (p.no < %(run)s AND {_PLANNED_RUN}))"
)
_MOVED_SO_FAR = (
    "SELECT count(DISTINCT t.interaction) FROM runner.runs p JOIN runner.transfers t"  # noqa: S608 - of constants
    f" ON t.lane = p.lane AND t.run = p.no WHERE {_OF_BATCH} AND p.no <= %(run)s"
    " AND t.state = 'transferred'"
)
# As in `sqlite.report_query`: doubts that were settled between the two runs.
_SETTLED_BETWEEN = (
    "SELECT count(*) FILTER (WHERE s.state = 'transferred'),"  # noqa: S608 - of constants
    " count(*) FILTER (WHERE s.state <> 'transferred') FROM ("
    " SELECT DISTINCT t.id, t.run, t.state FROM runner.events e"
    " JOIN runner.transfers t ON t.lane = e.lane AND t.id = (e.body::json->>'transfer')::bigint"
    " WHERE e.lane = %(lane)s AND e.seq >"
    "  (SELECT max(seq) FROM runner.events WHERE lane = %(lane)s AND run = %(previous)s)"
    " AND e.seq < (SELECT min(seq) FROM runner.events WHERE lane = %(lane)s AND run = %(run)s)"
    f" AND e.run <> t.run AND e.body::json->>'state' NOT {IN_HELD} AND t.state NOT {IN_HELD}"
    f") s WHERE s.run IN (SELECT p.no FROM runner.runs p WHERE {_OF_BATCH})"
    " OR s.id IN (SELECT claim FROM runner.rows WHERE lane = %(lane)s"
    "  AND run IN (%(run)s, %(previous)s) AND claim IS NOT NULL)"
)
_SOURCE = (
    " FROM runner.rows r JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    # `OFFSET 0`: see `reader._COUNTS`.
    " LEFT JOIN LATERAL (SELECT x.* FROM runner.transfers x WHERE x.lane = r.lane"
    "  AND x.run = r.run AND x.n = r.n OFFSET 0) t ON true"
    # A row that was not begun may have been carried out, late, by an earlier run's delivery.
    " LEFT JOIN LATERAL (SELECT x.* FROM runner.transfers x WHERE x.lane = r.lane"
    "  AND x.id = coalesce(r.claim,"
    "  CASE WHEN r.action IN ('send', 'changed') AND r.lineage IS NOT NULL THEN"
    "   (SELECT min(y.id) FROM runner.transfers y WHERE y.lane = r.lane"
    "    AND (y.id = r.lineage OR (y.lineage = r.lineage AND y.lineage <> y.id))"
    "    AND y.run < r.run AND y.state = 'transferred') END) OFFSET 0) c ON true"
    " LEFT JOIN runner.runs cr ON cr.lane = c.lane AND cr.no = c.run"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s"
)
# What a run did to transfers of its own, and to those of earlier runs that its rows claim.
_OF_RUN = (
    "SELECT o.n, {columns} FROM (SELECT t.lane, t.n, t.id FROM runner.transfers t"
    " WHERE t.lane = %(lane)s AND t.run = %(run)s"
    " UNION ALL SELECT r.lane, r.n, r.claim FROM runner.rows r"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s AND r.action = 'in_doubt') o"
    " JOIN {table} x ON x.lane = o.lane AND x.transfer = o.id"
    " WHERE x.run = %(run)s {where} ORDER BY o.n, {order}"
)
_DELIVERIES = _OF_RUN.format(
    columns="x.message_id, x.sent_at, x.media_index, x.settled_at, x.latency_ms, x.status,"
    " x.reason, x.correlation_id",
    table="runner.deliveries",
    where="AND x.event <> 'withdrawn'",
    order="x.n",
)
_CALLBACKS = _OF_RUN.format(
    columns="x.callback, x.webhook_id, x.outcome, x.state, x.attempts, x.reason",
    table="runner.outbox",
    where="",
    order="x.no",
)
_FAILED_BEFORE = (
    "SELECT count(*) FROM runner.rows WHERE lane = %(lane)s AND run = %(run)s"
    " AND action IN ('send', 'changed') AND failed_as IS NOT NULL"
)
_AUDIT = (
    "SELECT seq, body, hash FROM runner.events WHERE lane = %(lane)s"
    " AND (%(run)s::int IS NULL OR run = %(run)s::int) ORDER BY seq"
)


_GIVEN_UP = (
    "SELECT body FROM runner.events WHERE lane = %(lane)s AND run = %(run)s"
    " AND position(%(given_up)s IN body) > 0"
)


def transfers(
    url: JournalUrl, lane: int, run: int, unattempted: str, waves: Sequence[int]
) -> Iterator[TransferRecord]:
    """Yield each row of a run's plan and what became of it; see `sqlite.report_query`.

    Raises `StorageError`.
    """
    known = {"lane": lane, "run": run}
    with reading(url), closing(connect(url)) as connection, reading_as_one(connection):
        attempts = _stream(connection, "attempts", _DELIVERIES, known)
        callbacks = _stream(connection, "callbacks", _CALLBACKS, known)
        ((failed_before,),) = ask(connection, _FAILED_BEFORE, known)
        wave = WaveCount(waves, failed_before if waves else 0)
        rows = _stream(connection, "transfers", _TRANSFERS.format(source=_SOURCE), known)

        def full() -> frozenset[str]:
            found = ask(connection, _GIVEN_UP, known | {"given_up": BODY})
            return given_up(body for (body,) in found)

        yield from transfer_records(rows, attempts, callbacks, wave, unattempted, full=full)


def transfers_alike(url: JournalUrl, lane: int, run: int) -> Iterator[tuple[TransferRecord, int]]:
    """Yield a record for rows that are counted together; see `sqlite.report_query`."""
    known = {"lane": lane, "run": run}
    with reading(url), closing(connect(url)) as connection, reading_as_one(connection):
        query = _ALIKE.format(source=_SOURCE)
        yield from alike_records(_stream(connection, "alike", query, known))


def progress_of(url: JournalUrl, lane: int, run: int) -> BatchProgress | None:
    """Return the difference to the batch's previous run; see `sqlite.report_query`."""
    known = {"lane": lane, "run": run}
    with reading(url), closing(connect(url)) as connection, reading_as_one(connection):
        found = ask(connection, _PREVIOUS, known)
        if not found:
            return None
        ((previous, run_id, started_at),) = found
        ((runs,),) = ask(connection, _RUNS_SO_FAR, known)
        ((moved,),) = ask(connection, _MOVED_SO_FAR, known)
        between = {**known, "previous": previous}
        (settled,) = ask(connection, _SETTLED_BETWEEN, between)
        query = _PLANNED_ALIKE.format(source=_SOURCE)
        counts = outcome_counts(_stream(connection, "planned", query, between))
        return batch_progress(EarlierBatchRuns(run_id, started_at, runs, moved, *settled), counts)


def audit(url: JournalUrl, lane: int, run: int | None = None) -> Iterator[AuditEntry]:
    """Yield a run's segment of the audit chain, or the whole chain. Raises `StorageError`."""
    with reading(url), closing(connect(url)) as connection, reading_as_one(connection):
        for entry in _stream(connection, "audit", _AUDIT, {"lane": lane, "run": run}):
            yield AuditEntry(*entry)


def _stream(
    connection: Connection, name: str, query: str, values: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    """Yield a query's rows, some at a time, within a transaction."""
    with connection.cursor(name=name) as cursor:
        cursor.itersize = AT_ONCE
        cursor.execute(query.encode(), values)
        yield from cursor
