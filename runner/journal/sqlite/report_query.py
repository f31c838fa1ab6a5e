"""Reads what a run's report shows: its transfers, its figures, its audit entries."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache, lru_cache
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

from runner.core.manifest.destinations import key_of
from runner.core.pacing.waves import WaveCount
from runner.core.records.batch_progress import (
    BatchProgress,
    EarlierBatchRuns,
    OutcomeCount,
    batch_progress,
)
from runner.core.records.run_record import (
    AttemptRecord,
    AuditEntry,
    CallbackRecord,
    DestinationFigures,
    Figures,
    SessionClose,
    TimelineEvent,
    TimelinePoint,
    TransferRecord,
    WaitingPoint,
)
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import SENDS, SKIPS, Action
from runner.core.transfer.reasons import WORDS, Code, Earlier
from runner.core.transfer.states import NOT_BEGUN, OUTCOMES
from runner.journal.decision_events import Decided, read_decisions
from runner.journal.given_up import BODY, given_up
from runner.journal.sql_lists import IN_HELD
from runner.journal.sqlite.connection import connect, reading

_TRANSFERS = (
    "SELECT r.n, r.failed_as, r.key, r.source, r.interaction_id, r.destination_uri, l.media,"
    " r.action, r.reason, t.id, t.state, t.reason,"
    " (SELECT t.message_id WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.transfer = t.id"
    " AND d.message_id = t.message_id AND d.event = 'withdrawn')),"
    " t.latency_ms, t.media,"
    " t.reason_code, c.reason_code,"
    " (SELECT runs.id FROM runs WHERE runs.no = c.run),"
    " (SELECT runs.batch FROM runs WHERE runs.no = c.run), c.key,"
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
_SOURCE = (
    " FROM rows r JOIN ladders l ON l.id = r.ladder"
    " LEFT JOIN transfers t ON t.run = r.run AND t.n = r.n"
    # A row that was not begun may have been carried out, late, by an earlier run's delivery.
    " LEFT JOIN transfers c ON c.id = coalesce(r.claim, (SELECT y.id FROM transfers y"
    "  WHERE (y.id = r.lineage OR (y.lineage = r.lineage AND y.lineage != y.id))"
    "  AND y.run < r.run AND y.state = 'transferred' AND r.action IN ('send', 'changed')))"
    " WHERE r.run = ?1"
)
# What a run did to transfers of its own, and to those of earlier runs that its rows claim.
_OF_RUN = (
    "SELECT of.n, {columns} FROM (SELECT t.n AS n, t.id AS id FROM transfers t WHERE t.run = ?1"
    " UNION ALL SELECT r.n, r.claim FROM rows r WHERE r.run = ?1 AND r.action = 'in_doubt') of"
    " JOIN {table} x ON x.transfer = of.id WHERE x.run = ?1 {where} ORDER BY of.n, {order}"
)
# The same once more, by what the plan said of them.
_PLANNED_ALIKE = (
    "SELECT min(r.n), NULL, '', '', '', r.destination_uri, min(l.media),"
    " r.action, NULL, max(t.id), t.state, NULL, NULL, NULL, NULL, NULL, NULL, '', '', '',"
    " c.state, NULL, c.destination_uri, NULL, NULL, NULL, (r.failed_as IS NOT NULL), c.run > ?2,"
    " count(*)"
    "{source} GROUP BY r.destination_uri, r.action, t.state, c.state, c.destination_uri,"
    " (r.failed_as IS NOT NULL),"
    " c.run > ?2"
)
_OF_BATCH = "batch = (SELECT batch FROM runs WHERE no = ?1)"
_PLANNED_RUN = "EXISTS (SELECT 1 FROM rows WHERE rows.run = p.no)"
_PREVIOUS = (
    f"SELECT p.no, p.id, p.started_at FROM runs p WHERE p.{_OF_BATCH} AND p.no < ?1"  # noqa: S608 - of constants
    f" AND {_PLANNED_RUN} ORDER BY p.no DESC LIMIT 1"
)
_RUNS_SO_FAR = (
    f"SELECT count(*) FROM runs p WHERE p.{_OF_BATCH}"  # noqa: S608 - of constants
    f" AND (p.no = ?1 OR (p.no < ?1 AND {_PLANNED_RUN}))"
)
_MOVED_SO_FAR = (
    "SELECT count(DISTINCT t.interaction) FROM transfers t WHERE t.state = 'transferred'"  # noqa: S608 - of constants
    f" AND t.run IN (SELECT no FROM runs WHERE {_OF_BATCH} AND no <= ?1)"
)
# Doubts of the batch, or that its plans named, which were settled between the two runs: by a person, or by
# the look-ups of another batch's run. Only events about doubts are of another run than their transfer.
_SETTLED_BETWEEN = (
    "SELECT total(s.state = 'transferred'), total(s.state != 'transferred') FROM ("  # noqa: S608 - of constants
    " SELECT DISTINCT t.id, t.run, t.state FROM events e"
    " JOIN transfers t ON t.id = json_extract(e.body, '$.transfer')"
    " WHERE e.seq > (SELECT max(seq) FROM events WHERE run = ?2)"
    " AND e.seq < (SELECT min(seq) FROM events WHERE run = ?1)"
    f" AND e.run != t.run AND json_extract(e.body, '$.state') NOT {IN_HELD} AND t.state NOT {IN_HELD}"
    f") s WHERE s.run IN (SELECT no FROM runs WHERE {_OF_BATCH})"
    " OR s.id IN (SELECT claim FROM rows WHERE run IN (?1, ?2) AND claim IS NOT NULL)"
)
_DELIVERIES = _OF_RUN.format(
    columns="x.message_id, x.sent_at, x.media_index, x.settled_at, x.latency_ms, x.status,"
    " x.reason, x.correlation_id",
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


_GIVEN_UP = "SELECT body FROM events WHERE run = ? AND instr(body, ?)"


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


def decisions_of(connection: sqlite3.Connection, run: int) -> Decided:
    """Return what people and gates decided in a run, oldest first."""
    return read_decisions(body for (body,) in connection.execute(_DECIDED, [run]))


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
        attempts = connection.execute(_DELIVERIES, [run])
        callbacks = connection.execute(_CALLBACKS, [run])
        wave = WaveCount(waves, _failed_before(connection, run) if waves else 0)
        rows = connection.execute(_TRANSFERS.format(source=_SOURCE), [run])

        def full() -> frozenset[str]:
            return given_up(body for (body,) in connection.execute(_GIVEN_UP, [run, BODY]))

        yield from transfer_records(rows, attempts, callbacks, wave, why_not_begun, full=full)


def transfers_alike(path: Path, run: int) -> Iterator[tuple[TransferRecord, int]]:
    """Yield a record for all rows of a run with one destination, media and outcome, and their number.

    They come in the order of the first of each. Raises `StorageError`.
    """
    with reading(path), closing(connect(path)) as connection:
        yield from alike_records(connection.execute(_ALIKE.format(source=_SOURCE), [run]))


def alike_records(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[TransferRecord, int]]:
    """Yield the records of rows that are counted together, from the columns of `_ALIKE`."""
    for *row, alike in rows:
        yield _transfer_record(tuple(row), "", None, (), ()), alike


def progress_of(path: Path, run: int) -> BatchProgress | None:
    """Return the difference to the batch's previous run; None: there was none.

    Raises `StorageError`.
    """
    with reading(path), closing(connect(path)) as connection:
        connection.execute("BEGIN")
        found = connection.execute(_PREVIOUS, [run]).fetchone()
        if found is None:
            return None
        previous, run_id, started_at = found
        settled = connection.execute(_SETTLED_BETWEEN, [run, previous]).fetchone()
        earlier = EarlierBatchRuns(
            run_id,
            started_at,
            connection.execute(_RUNS_SO_FAR, [run]).fetchone()[0],
            connection.execute(_MOVED_SO_FAR, [run]).fetchone()[0],
            *map(int, settled),
        )
        query = _PLANNED_ALIKE.format(source=_SOURCE)
        return batch_progress(earlier, outcome_counts(connection.execute(query, [run, previous])))


def outcome_counts(rows: Iterable[tuple[Any, ...]]) -> Iterator[OutcomeCount]:
    """Yield how a run's rows were planned and ended, from the columns of `_PLANNED_ALIKE`."""
    for *row, failed_before, is_new, alike in rows:
        action = Action(row[_ACTION])
        if action is Action.IN_DOUBT:  # of the doubt itself: it may be about another destination
            outcome = _OUTCOMES[row[_CLAIM_STATE]]
        else:
            outcome = _transfer_record(tuple(row), "", None, (), ()).outcome
        yield OutcomeCount(action, bool(failed_before), bool(is_new), outcome, alike)


def _failed_before(connection: sqlite3.Connection, run: int) -> int:
    """Return how many of the rows that a run was to send had failed before."""
    (count,) = connection.execute(
        "SELECT count(*) FROM rows WHERE run = ? AND action IN (?, ?) AND failed_as IS NOT NULL",
        [run, *sorted(SENDS)],
    ).fetchone()
    return int(count)


def transfer_records(
    rows: Iterable[tuple[Any, ...]],
    attempts: Iterator[tuple[Any, ...]],
    callbacks: Iterator[tuple[Any, ...]],
    wave: WaveCount,
    why_not_begun: str,
    *,
    full: Callable[[], frozenset[str]],
) -> Iterator[TransferRecord]:
    """Yield the records of a run from its rows, its deliveries and its callbacks.

    They have the columns of `_TRANSFERS`, `_DELIVERIES` and `_CALLBACKS`, and are in the order of
    the rows' numbers, which come first. `full` returns the keys of destinations that were full for too
    long; it is asked once, if some row had no turn.
    """
    full = cache(full)
    attempts_of, callbacks_of = _RowsByNumber(attempts).of, _RowsByNumber(callbacks).of
    for row in rows:  # there may be a million
        n, failed_as, action = row[0], row[1], row[_ACTION]
        record = _transfer_record(
            row,
            why_not_begun,
            wave.next(failed_before=failed_as is not None) if action in SENDS else None,
            tuple(starmap(_attempt_record, enumerate(attempts_of(n), 1))),
            tuple([CallbackRecord(*callback[1:]) for callback in callbacks_of(n)]),
        )
        if record.reason_code == Code.NO_TURN and key_of(record.destination_uri) in full():
            code = Code.DESTINATION_FULL
            record = record._replace(reason=WORDS[code], reason_code=code)
        yield record


_ACTION, _CLAIM_STATE = 7, 20  # their places


class _RowsByNumber:
    """Gives, for rising row numbers, the rows that begin with each; reads them only once."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, n: int) -> list[tuple[Any, ...]]:
        """Return the rows of number `n`; numbers are asked for in rising order."""
        found = []
        while (row := self._next) is not None and row[0] == n:
            found.append(row)
            self._next = next(self._rows, None)
        return found


def _attempt_record(n: int, row: tuple[Any, ...]) -> AttemptRecord:
    """Read a delivery as the report shows it, from the columns of `_DELIVERIES`."""
    _, message_id, sent_at, media_index, settled_at, latency_ms, status, reason, correlation = row
    settled = None if settled_at is None else float(settled_at)  # a damaged journal may have a text
    return AttemptRecord(
        n, message_id, float(sent_at), media_index, settled,
        latency_ms, status, reason, correlation,
    )  # fmt: skip


def _transfer_record(
    row: tuple[Any, ...],
    why_not_begun: str,
    wave: int | None,
    attempts: tuple[AttemptRecord, ...],
    callbacks: tuple[CallbackRecord, ...],
) -> TransferRecord:
    """Read a row of a run and what became of it, from the columns of `_TRANSFERS`."""
    _, _, key, source, interaction_id, uri, ladder, action, plan_reason, *transfer = row
    transfer_id, state, words, message_id, latency_ms, media, code, *claim = transfer
    earlier = before = None
    if transfer_id is not None:
        outcome = _OUTCOMES[state]
    else:
        (outcome, words, code), earlier, last = _of_plan(Action(action), plan_reason, uri, claim)
        message_id, latency_ms, media = last
    if not outcome.was_begun and code not in _OWN_WHY:
        before, words, code = words, why_not_begun, Code.NO_TURN
    if attempts:
        if message_id is None:  # the last delivery was withdrawn: it was never one
            message_id = attempts[-1].message_id
        latency_ms = attempts[-1].latency_ms  # None without a reply: no earlier one's stands in
    return TransferRecord(
        key, source, interaction_id, uri, wave, outcome, words, code, message_id,
        _media(ladder)[0],
        _media(media) if media else None,
        latency_ms, attempts, callbacks, None, earlier, before,
    )  # fmt: skip


_OWN_WHY = frozenset({Code.NOT_SELECTED, Code.MOVED_ELSEWHERE_SINCE})
"""Why rows were not begun that had no turn to wait for."""

_OUTCOMES: Mapping[str, Outcome] = {state.value: outcome for state, outcome in OUTCOMES.items()}
"""By a state's text: calling an enumeration takes half a microsecond, for each of a million."""


def _of_plan(
    action: Action, plan_reason: str | None, uri: str, claim: Sequence[Any]
) -> tuple[_Why, Earlier | None, Sequence[Any]]:
    """Return why a row that the run did not take up is as it is, and an earlier run's share in it.

    That is its transfer, and the last delivery's id, latency and media. `claim` are the columns of
    the transfer that the row claims.
    """
    code, run_id, batch, key, state, reason, claim_uri, *last = claim
    earlier = None if state is None else Earlier(run_id, batch, key)
    if (cause := SKIPS.get(action)) is not None:
        return _Why(Outcome.SKIPPED, plan_reason, cause), earlier, _NO_DELIVERY
    if state is None:
        unselected = action is Action.NOT_SELECTED
        why = _Why(NOT_BEGUN, plan_reason, Code.NOT_SELECTED) if unselected else _UNTOUCHED
        return why, None, _NO_DELIVERY
    why = _claimed(action, plan_reason, _Why(_OUTCOMES[state], reason, code))
    if not same_destination(claim_uri, uri):
        why = _about_elsewhere(why, claim_uri)
    return why, earlier, _NO_DELIVERY if action is Action.UNCHANGED else last


def _about_elsewhere(claim: _Why, claim_uri: str) -> _Why:
    """Return outcome and reason of a row whose doubt is, or was, about another destination."""
    if claim.outcome is Outcome.IN_DOUBT:
        known = f": {claim.words}" if claim.words else ""
        words = f"in doubt is the move to {claim_uri}{known}"
        return _Why(Outcome.IN_DOUBT, words, Code.DOUBT_ELSEWHERE)
    words = f"its doubt, to {claim_uri}, was settled as {claim.outcome.words} after the plan"
    return _Why(NOT_BEGUN, words, Code.MOVED_ELSEWHERE_SINCE)  # only a new plan takes it up


@lru_cache(maxsize=1024)
def _media(text: str) -> Any:
    """Return media as the journal keeps them; not to be changed, for transfers share them."""
    return json.loads(text)


class _Why(NamedTuple):
    """An outcome and its reason."""

    outcome: Outcome
    words: str | None
    code: str | None


_UNTOUCHED = _Why(NOT_BEGUN, None, None)
_NO_DELIVERY = (None, None, None)


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
