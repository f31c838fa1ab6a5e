"""Reads what a run's report shows: its transfers, its figures, its audit entries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from runner.core.pacing.waves import WaveCount
from runner.core.records.run_record import (
    AttemptRecord,
    AuditEntry,
    CallbackRecord,
    DecisionRecord,
    DestinationFigures,
    Figures,
    GateRecord,
    SessionClose,
    TimelineEvent,
    TimelinePoint,
    TransferRecord,
    WaitingPoint,
)
from runner.core.timestamps import timestamp
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import SENDS, SKIPS, Action
from runner.core.transfer.reasons import Code, Earlier
from runner.core.transfer.states import NOT_BEGUN, OUTCOMES, State
from runner.journal.sqlite.connection import connect, has_column, reading
from runner.ports import Note

_TRANSFERS = (
    "SELECT r.n, :failed_as, r.key, r.source, r.interaction_id, r.destination_uri, l.media,"
    " r.action, r.reason, t.id, t.state, t.reason,"
    " (SELECT t.message_id WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.transfer = t.id"
    " AND d.message_id = t.message_id AND d.event = 'withdrawn')),"
    " t.latency_ms, t.media,"
    " :code_t, :code_c,"
    " (SELECT runs.id FROM runs WHERE runs.no = c.run),"
    " (SELECT runs.batch FROM runs WHERE runs.no = c.run), c.key,"
    " c.state, c.reason, c.destination_uri, c.message_id, c.latency_ms, c.media"
    " FROM rows r JOIN ladders l ON l.id = r.ladder"
    " LEFT JOIN transfers t ON t.run = r.run AND t.n = r.n"
    # A row that was not begun may have been carried out, late, by an earlier run's delivery.
    " LEFT JOIN transfers c ON c.id = coalesce(r.claim, (SELECT y.id FROM transfers y"
    "  WHERE (y.id = r.lineage OR (y.lineage = r.lineage AND y.lineage != y.id))"
    "  AND y.run < r.run AND y.state = 'transferred' AND r.action IN ('send', 'changed')))"
    " WHERE r.run = ? ORDER BY r.n"
)
_ACTION = 5  # its place behind the row's number
# What a run did to transfers of its own, and to those of earlier runs that its rows claim.
_OF_RUN = (
    "SELECT of.n, {columns} FROM (SELECT t.n AS n, t.id AS id FROM transfers t WHERE t.run = ?1"
    " UNION ALL SELECT r.n, r.claim FROM rows r WHERE r.run = ?1 AND r.action = 'in_doubt') of"
    " JOIN {table} x ON x.transfer = of.id WHERE x.run = ?1 {where} ORDER BY of.n, {order}"
)
# In the places of columns that older journals lack:
_CORRELATION, _FAILED_AS = ":correlation", ":failed_as"
_DELIVERIES = _OF_RUN.format(
    columns="x.message_id, x.sent_at, x.media_index, x.settled_at, x.latency_ms, x.status,"
    " x.reason, :correlation",
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
_DECIDED = (
    "SELECT body FROM events WHERE run = ?"
    """ AND (instr(body, '"event":"control"') OR instr(body, '"event":"gate"')) ORDER BY seq"""
)


def read_figures(fields: dict[str, Any]) -> Figures:
    """Read figures back from their JSON form."""
    fields["session_closes"] = tuple(SessionClose(**close) for close in fields["session_closes"])
    fields["timeline"] = tuple(TimelinePoint(**point) for point in fields["timeline"])
    fields["story"] = tuple(TimelineEvent(**event) for event in fields.get("story", ()))
    fields["destinations"] = tuple(
        DestinationFigures(
            **{**each, "waiting": tuple(WaitingPoint(*at) for at in each["waiting"])}
        )
        for each in fields.get("destinations", ())
    )
    return Figures(**fields)


def decisions_of(
    connection: sqlite3.Connection, run: int
) -> tuple[tuple[DecisionRecord, ...], tuple[GateRecord, ...]]:
    """Return what people and gates decided in a run, oldest first."""
    decisions, gates = list[DecisionRecord](), list[GateRecord]()
    for (text,) in connection.execute(_DECIDED, [run]):
        body = json.loads(text)
        at = body["at"]
        if body["event"] == Note.CONTROL:
            decisions.append(DecisionRecord(at, body["who"], body["what"], body.get("why")))
        elif body["event"] == Note.GATE:
            gates.append(GateRecord(at, body["gate"], body["wave"], body["verdict"], body["text"]))
    return tuple(decisions), tuple(gates)


def transfers(
    path: Path, run: int, why_not_begun: str, waves: Sequence[int]
) -> Iterator[TransferRecord]:
    """Yield each row of a run's plan and what became of it.

    `why_not_begun` is the reason of those that were not begun. `waves` are the run's: the number of
    transfers to be begun by the end of each.

    Raises `StorageError`.
    """
    with reading(path), closing(connect(path)) as connection:
        connection.execute("BEGIN")  # one snapshot for the three readers
        has_correlation = has_column(connection, "deliveries", "correlation_id")
        deliveries = _DELIVERIES.replace(
            _CORRELATION, "x.correlation_id" if has_correlation else "NULL"
        )
        attempts = RowsByNumber(connection.execute(deliveries, [run]))
        callbacks = RowsByNumber(connection.execute(_CALLBACKS, [run]))
        coded = has_column(connection, "transfers", "reason_code")
        known = has_column(connection, "rows", "failed_as")
        wave = WaveCount(waves, _failed_before(connection, run) if known and waves else 0)
        query = _with_codes(coded=coded).replace(_FAILED_AS, "r.failed_as" if known else "NULL")
        for n, failed_as, *row in connection.execute(query, [run]):
            is_sent, failed = row[_ACTION] in SENDS, failed_as is not None
            yield transfer_record(
                row,
                why_not_begun,
                wave.next(failed_before=failed) if is_sent else None,
                tuple(attempt_record(i, attempt) for i, attempt in enumerate(attempts.of(n), 1)),
                tuple(CallbackRecord(*callback) for callback in callbacks.of(n)),
            )


def _failed_before(connection: sqlite3.Connection, run: int) -> int:
    """Return how many of the rows that a run was to send had failed before."""
    (count,) = connection.execute(
        "SELECT count(*) FROM rows WHERE run = ? AND action IN (?, ?) AND failed_as IS NOT NULL",
        [run, *sorted(SENDS)],
    ).fetchone()
    return int(count)


class RowsByNumber:
    """Gives, for rising row numbers, the rows that begin with each; reads them only once."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._groups = groupby(rows, key=lambda row: row[0])
        self._next: tuple[int, Iterator[tuple[Any, ...]]] | None = next(self._groups, None)

    def of(self, n: int) -> list[tuple[Any, ...]]:
        """Return the rows of number `n`, without it; numbers are asked for in rising order."""
        if self._next is None or self._next[0] != n:
            return []
        found = [row[1:] for row in self._next[1]]
        self._next = next(self._groups, None)
        return found


def attempt_record(n: int, row: Sequence[Any]) -> AttemptRecord:
    """Read a delivery as the report shows it, from its columns."""
    message_id, sent_at, media_index, settled_at, latency_ms, *answer = row
    settled = timestamp(settled_at) if settled_at is not None else None
    return AttemptRecord(
        n, message_id, timestamp(sent_at), media_index, settled, latency_ms, *answer
    )


def _with_codes(*, coded: bool) -> str:
    """Return the query for transfers; older journals keep no codes."""
    text = _TRANSFERS
    for table in "tc":
        text = text.replace(f":code_{table}", f"{table}.reason_code" if coded else "NULL")
    return text


def transfer_record(
    row: Sequence[Any],
    why_not_begun: str,
    wave: int | None,
    attempts: tuple[AttemptRecord, ...],
    callbacks: tuple[CallbackRecord, ...],
) -> TransferRecord:
    """Read a row of a run and what became of it, from the columns of `_TRANSFERS`."""
    key, source, interaction_id, uri, ladder, action, plan_reason, *transfer = row
    transfer_id, state, reason, message_id, latency_ms, media, *claim = transfer
    code, claim_code, run_id, batch, claim_key, claim_state, claim_reason, *claim_rest = claim
    claim_uri, *claim_rest = claim_rest
    earlier = None
    if transfer_id is not None:
        why = _Why(OUTCOMES[State(state)], reason, code)
    elif (cause := SKIPS.get(Action(action))) is not None:
        earlier = None if claim_state is None else Earlier(run_id, batch, claim_key)
        why = _Why(Outcome.SKIPPED, plan_reason, cause)
    elif claim_state is not None:
        earlier = Earlier(run_id, batch, claim_key)
        plan = Action(action)
        why = _claimed(
            plan, plan_reason, _Why(OUTCOMES[State(claim_state)], claim_reason, claim_code)
        )
        if why.outcome is not Outcome.IN_DOUBT and not same_destination(claim_uri, uri):
            # only a new plan takes it up
            moved = f"{why.outcome} to {claim_uri} since the plan: apply again"
            why = _Why(Outcome.IN_DOUBT, moved, Code.MOVED_ELSEWHERE_SINCE)
        if plan is not Action.UNCHANGED:
            message_id, latency_ms, media = claim_rest
    elif action == Action.NOT_SELECTED:
        why = _Why(NOT_BEGUN, plan_reason, Code.NOT_SELECTED)
    else:
        why = _Why(NOT_BEGUN, None, None)
    before = None
    if not why.outcome.was_begun and why.code is not Code.NOT_SELECTED:
        before, why = why.words, _Why(why.outcome, why_not_begun, Code.NO_TURN)
    if attempts:
        if message_id is None:  # the last delivery was withdrawn: it was never one
            message_id = attempts[-1].message_id
        latency_ms = attempts[-1].latency_ms  # None without a reply: no earlier one's stands in
    return TransferRecord(
        key, source, interaction_id, uri, why.outcome, why.words, message_id,
        _media(ladder)[0],
        _media(media) if media else None, latency_ms, attempts, callbacks, wave=wave,
        reason_code=why.code, earlier=earlier, before=before,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _media(text: str) -> Any:
    """Return media as the journal keeps them; not to be changed, for transfers share them."""
    return json.loads(text)


class _Why(NamedTuple):
    """An outcome and its reason."""

    outcome: Outcome
    words: str | None
    code: str | None


def _claimed(action: Action, plan_reason: str | None, claim: _Why) -> _Why:
    """Return outcome and reason of a row whose outcome is that of an earlier run's transfer."""
    if claim.outcome is Outcome.IN_DOUBT and claim.words is None:
        return _Why(claim.outcome, plan_reason, Code.HELD)
    if action is not Action.UNCHANGED or claim.outcome is Outcome.SKIPPED:
        return claim
    return _Why(Outcome.UNCHANGED, plan_reason, Code.TRANSFERRED_BEFORE)


def audit(path: Path, run: int | None = None) -> Iterator[AuditEntry]:
    """Yield a run's segment of the audit chain, or the whole chain. Raises `StorageError`."""
    where, values = ("", ()) if run is None else ("WHERE run = ?", (run,))
    query = f"SELECT seq, body, hash FROM events {where} ORDER BY seq"  # noqa: S608 - bound
    with reading(path), closing(connect(path)) as connection:
        for entry in connection.execute(query, values):
            if not isinstance(entry[1], str):
                raise TypeError("bytes in the place of a text")
            yield AuditEntry(*entry)
