"""Reading the journal: always read-only, while a run goes on or after it."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from runner.core.chain import GENESIS
from runner.core.errors import StorageError, UsageError
from runner.core.evidence import Baseline, HandOver
from runner.core.outcome import Outcome
from runner.core.plan import NOT_SELECTED, Action, PlannedRow
from runner.core.record import (
    AttemptRecord,
    AuditEntry,
    CallbackRecord,
    Figures,
    ReportSource,
    RunRecord,
    SessionClose,
    TimelinePoint,
    TransferRecord,
)
from runner.core.timestamps import timestamp
from runner.core.transfer import OUTCOMES, State
from runner.journal.staging import read_ladder
from runner.ports import Doubt, Intent, Standing

_ROW = (
    "SELECT n, key, interaction_id, destination_uri, media, callbacks, source, {lineage}"
    " FROM {table} JOIN ladders ON ladders.id = ladder"
)
_PENDING = (
    _ROW.format(lineage="lineage", table="rows")
    + " WHERE run = ? AND n > ? AND action IN ('send', 'changed') ORDER BY n LIMIT ?"
)
_TRANSFERS = (
    "SELECT r.n, r.key, r.source, r.interaction_id, r.destination_uri, l.media, r.action,"
    " r.reason, t.id, t.state, t.reason,"
    " (SELECT t.message_id WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.transfer = t.id"
    " AND d.message_id = t.message_id AND d.event = 'withdrawn')),"
    " t.latency_ms, t.media,"
    " c.state, c.reason, c.message_id, c.latency_ms, c.media"
    " FROM rows r JOIN ladders l ON l.id = r.ladder"
    " LEFT JOIN transfers t ON t.run = r.run AND t.n = r.n"
    " LEFT JOIN transfers c ON c.id = r.claim"
    " WHERE r.run = ? ORDER BY r.n"
)
# What a run did to transfers of its own, and to those of earlier runs that its rows claim.
_OF_RUN = (
    "SELECT of.n, {columns} FROM (SELECT t.n AS n, t.id AS id FROM transfers t WHERE t.run = ?1"
    " UNION ALL SELECT r.n, r.claim FROM rows r WHERE r.run = ?1 AND r.action = 'in_doubt') of"
    " JOIN {table} x ON x.transfer = of.id WHERE x.run = ?1 {where} ORDER BY of.n, {order}"
)
_DELIVERIES = _OF_RUN.format(
    columns="x.message_id, x.sent_at, x.media_index, x.settled_at, x.latency_ms, x.status,"
    " x.reason",
    table="deliveries",
    where="AND x.event != 'withdrawn'",
    order="x.n",
)
_CALLBACKS = _OF_RUN.format(
    columns="x.callback, x.webhook_id, x.outcome, x.state, x.attempts, x.reason",
    table="outbox",
    where="",
    order="x.no",
)
_DOUBTS = (
    "SELECT t.id, t.lineage, t.version, t.state,"
    " (SELECT max(n) FROM deliveries WHERE transfer = t.id), e.body, coalesce(r.n, -1),"
    " coalesce(r.key, t.key), t.interaction_id, t.destination_uri,"
    " coalesce(l.media, ol.media), coalesce(r.callbacks, o.callbacks),"
    " coalesce(r.source, o.source), coalesce(r.reason, ''),"
    " EXISTS (SELECT 1 FROM outbox WHERE transfer = t.id AND outcome = 'in_doubt')"
    " FROM transfers t"
    " JOIN deliveries d ON d.transfer = t.id AND d.n ="
    " (SELECT max(n) FROM deliveries WHERE transfer = t.id AND event != 'withdrawn')"
    " JOIN events e ON e.seq = d.intent"
    " JOIN rows o ON o.run = t.run AND o.n = t.n JOIN ladders ol ON ol.id = o.ladder"
    " LEFT JOIN rows r ON r.run = ?1 AND r.claim = t.id AND r.destination_uri = t.destination_uri"
    " AND r.action = 'in_doubt'"
    " LEFT JOIN ladders l ON l.id = r.ladder"
    " WHERE t.state = 'unknown' ORDER BY t.id"
)
_DOUBTS_ELSEWHERE = (
    "SELECT runs.id, t.key, t.interaction_id FROM transfers t JOIN runs ON runs.no = t.run"
    " WHERE t.state IN ('sending', 'unknown', 'resending') AND t.run != ?1"
    " AND t.id NOT IN (SELECT claim FROM rows WHERE run = ?1 AND claim IS NOT NULL)"
    " ORDER BY t.id"
)


class Reader:
    """A read-only connection, shared by threads one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _reading(path):
            self._connection = _connect(path)
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def pending(self, run: int, after: int, limit: int) -> list[PlannedRow]:
        """Return up to `limit` rows of a run's plan that are to be sent, behind row `after`."""
        with self._one_at_a_time, _reading(self.path):
            rows = self._connection.execute(_PENDING, (run, after, limit)).fetchall()
        return [_planned_row(row) for row in rows]

    def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""
        with self._one_at_a_time, _reading(self.path):
            rows = self._connection.execute(
                "SELECT deliveries.message_id FROM deliveries JOIN transfers ON transfers.id = transfer"
                " WHERE transfers.id = ?1 OR (lineage = ?1 AND lineage != transfers.id)",
                [lineage],
            ).fetchall()
        return frozenset(message_id for (message_id,) in rows)

    def find(self, message_id: str) -> Standing | None:
        """Return the transfer that a delivery belongs to, of whatever run."""
        with self._one_at_a_time, _reading(self.path):
            found = self._connection.execute(
                "SELECT r.n, r.key, r.interaction_id, r.destination_uri, l.media, r.callbacks,"
                " r.source, r.lineage, t.id, t.lineage, t.version, t.state, d.n"
                " FROM deliveries d JOIN transfers t ON t.id = d.transfer"
                " JOIN rows r ON r.run = t.run AND r.n = t.n JOIN ladders l ON l.id = r.ladder"
                " WHERE d.message_id = ?",
                [message_id],
            ).fetchone()
        if found is None:
            return None
        *row, transfer_id, lineage, version, state, n = found
        return Standing(_planned_row(row), transfer_id, lineage, version, State(state), n)

    def doubts(self, run: int) -> list[Doubt]:
        """Return every transfer in doubt, with this run's row where it lists and selects it."""
        with self._one_at_a_time, _reading(self.path):
            rows = self._connection.execute(_DOUBTS, [run]).fetchall()
        return [self._doubt(row) for row in rows]

    def doubts_elsewhere(self, run: int) -> list[tuple[str, str, str]]:
        """Return (run, key, interaction) of doubts that no row of the run's plan names."""
        with self._one_at_a_time, _reading(self.path):
            return self._connection.execute(_DOUBTS_ELSEWHERE, [run]).fetchall()

    def _doubt(self, row: Sequence[Any]) -> Doubt:
        transfer_id, lineage, version, state, n, body, row_n, key, *rest = row
        interaction_id, uri, media, callbacks, source, reason, notified = rest
        planned = _planned_row((row_n, key, interaction_id, uri, media, callbacks, source, lineage))
        return Doubt(
            Standing(planned, transfer_id, lineage, version, State(state), n),
            row_n >= 0 and not reason.endswith(NOT_SELECTED),
            self.message_ids(lineage),
            _intent(json.loads(body)),
            bool(notified),
        )

    def outbox(self, after: int, limit: int) -> list[tuple[int, str, str, str, int]]:
        """Return pending callbacks behind number `after`: (number, id, callback, body, attempts)."""
        with self._one_at_a_time, _reading(self.path):
            return self._connection.execute(
                "SELECT no, webhook_id, callback, body, attempts FROM outbox"
                " WHERE state = 'pending' AND no > ? ORDER BY no LIMIT ?",
                (after, limit),
            ).fetchall()

    def run_number(self, run_id: str) -> int:
        """Return a run's number; `latest` is the newest. Raises `UsageError` for no such run."""
        where = ("", ()) if run_id == "latest" else (" WHERE id = ?", (run_id,))
        with self._one_at_a_time, _reading(self.path):
            found = self._connection.execute(
                f"SELECT no FROM runs{where[0]} ORDER BY no DESC LIMIT 1",  # noqa: S608 - bound
                where[1],
            ).fetchone()
            known = self._connection.execute("SELECT id FROM runs ORDER BY no DESC LIMIT 5")
            if found is None:
                names = ", ".join(run for (run,) in known) or "none"
                raise UsageError(f"no run {run_id} in {self.path}; the newest are: {names}")
        return int(found[0])

    def report_source(self, run: int) -> ReportSource:
        """Return everything that a run's report is rendered from, streaming."""
        with self._one_at_a_time, _reading(self.path):
            record, figures, previous = self._connection.execute(
                "SELECT record, figures, previous FROM runs WHERE no = ?", [run]
            ).fetchone()
        told = RunRecord(**json.loads(record))
        reason = told.explanation or "the run ended before its turn"
        return ReportSource(
            told,
            lambda: _transfers(self.path, run, reason),
            read_figures(json.loads(figures)) if figures else Figures(),
            audit=lambda: _audit(self.path, run),
            audit_previous=previous or GENESIS,
        )


def read_figures(told: dict[str, Any]) -> Figures:
    """Read figures back from their JSON form."""
    told["session_closes"] = tuple(SessionClose(**close) for close in told["session_closes"])
    told["timeline"] = tuple(TimelinePoint(**point) for point in told["timeline"])
    return Figures(**told)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(
            f"the journal {path} cannot be read ({error}); it may be damaged."
            " Restore it from a copy, or name another with --journal"
        ) from error


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None,
        check_same_thread=False,
    )  # fmt: skip


def _intent(body: dict[str, Any]) -> Intent:
    baseline = body["baseline"]
    return Intent(
        body["n"],
        body["message_id"],
        body["media_index"],
        body["message"],
        HandOver(**body["hand_over"]),
        None if baseline is None else Baseline(**baseline),
    )


def _planned_row(row: Sequence[Any]) -> PlannedRow:
    n, key, interaction_id, uri, media, callbacks, source, lineage = row
    return PlannedRow(
        n, key, interaction_id, uri, read_ladder(media), tuple(json.loads(callbacks)), source,
        lineage,
    )  # fmt: skip


def _transfers(path: Path, run: int, unattempted: str) -> Iterator[TransferRecord]:
    with _reading(path), closing(_connect(path)) as connection:
        connection.execute("BEGIN")  # one snapshot for the three readers
        attempts = _RowsByNumber(connection.execute(_DELIVERIES, [run]))
        callbacks = _RowsByNumber(connection.execute(_CALLBACKS, [run]))
        for n, *row in connection.execute(_TRANSFERS, [run]):
            yield _transfer(
                row,
                unattempted,
                tuple(_attempt(i, told) for i, told in enumerate(attempts.of(n), 1)),
                tuple(CallbackRecord(*told) for told in callbacks.of(n)),
            )


class _RowsByNumber:
    """Gives, for rising row numbers, the rows that begin with each; reads them only once."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._groups = groupby(rows, key=lambda row: row[0])
        self._next: tuple[int, Iterator[tuple[Any, ...]]] | None = next(self._groups, None)

    def of(self, n: int) -> list[tuple[Any, ...]]:
        if self._next is None or self._next[0] != n:
            return []
        found = [row[1:] for row in self._next[1]]
        self._next = next(self._groups, None)
        return found


def _attempt(n: int, row: Sequence[Any]) -> AttemptRecord:
    message_id, sent_at, media_index, settled_at, latency_ms, status, reason = row
    settled = timestamp(settled_at) if settled_at is not None else None
    return AttemptRecord(
        n, message_id, timestamp(sent_at), media_index, settled, latency_ms, status, reason
    )


def _transfer(
    row: Sequence[Any],
    unattempted: str,
    attempts: tuple[AttemptRecord, ...],
    callbacks: tuple[CallbackRecord, ...],
) -> TransferRecord:
    key, source, interaction_id, uri, ladder, action, plan_reason, *transfer = row
    transfer_id, state, reason, message_id, latency_ms, media, *claim = transfer
    claim_state, claim_reason, claim_message_id, claim_latency_ms, claim_media = claim
    outcome, why = Outcome.UNATTEMPTED, plan_reason or unattempted
    if transfer_id is not None:
        outcome, why = OUTCOMES[State(state)], reason
        if outcome is Outcome.UNATTEMPTED:
            why = unattempted if reason is None else f"{unattempted}; before that: {reason}"
    elif claim_state is not None:
        outcome, why = _claimed(Action(action), plan_reason, claim_state, claim_reason)
        if outcome is Outcome.UNATTEMPTED:
            why = unattempted if why is None else f"{unattempted}; before that: {why}"
        if action == Action.IN_DOUBT:
            message_id, latency_ms, media = claim_message_id, claim_latency_ms, claim_media
    if message_id is None and attempts:  # the last delivery was withdrawn: it was never one
        message_id = attempts[-1].message_id
    return TransferRecord(
        key, source, interaction_id, uri, outcome, why, message_id,
        json.loads(ladder)[0],
        json.loads(media) if media else None, latency_ms, attempts, callbacks,
    )  # fmt: skip


def _claimed(
    action: Action, plan_reason: str, state: str, reason: str | None
) -> tuple[Outcome, str | None]:
    """Return outcome and reason of a row that stands or falls with an earlier run's transfer."""
    outcome = OUTCOMES[State(state)]
    if action is Action.IN_DOUBT:
        if outcome is Outcome.IN_DOUBT:
            return outcome, f"{plan_reason}: {reason}" if reason else plan_reason
        return outcome, reason
    if outcome is Outcome.SKIPPED:
        return outcome, f"{reason} ({plan_reason})"
    return Outcome.UNCHANGED, plan_reason


def _audit(path: Path, run: int) -> Iterator[AuditEntry]:
    with _reading(path), closing(_connect(path)) as connection:
        for entry in connection.execute(
            "SELECT seq, body, hash FROM events WHERE run = ? ORDER BY seq", [run]
        ):
            yield AuditEntry(*entry)
