"""Reads one lane of the journal, while a run goes on or after it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

import psycopg

from runner.core.errors import StorageError, UsageError
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.pacing.batch_so_far import EarlierRuns
from runner.core.pacing.pace_left import EVENTS as PACE_EVENTS
from runner.core.pacing.pace_left import LATEST_EVENTS, PaceLeft, pace_left
from runner.core.records.audit_chain import GENESIS
from runner.core.records.chained_record import StoredRun
from runner.core.records.row_codec import PLANNED_ROW
from runner.core.records.run_record import NOT_KEPT, AuditEntry, ReportSource
from runner.core.records.undelivered import Undelivered
from runner.core.transfer.canonical_form import canonical_interaction, same_destination
from runner.core.transfer.plan_decision import Claim
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import State
from runner.journal.decision_events import read_decisions
from runner.journal.earlier_runs import EVENTS, earlier_runs
from runner.journal.history_answers import (
    MOST_NAMED,
    RUNS_COMPARED,
    checked_record,
    counted_run,
    held_transfer,
    intent_of,
    keys_in_doubt,
    nearest_run,
    stored_run,
)
from runner.journal.postgres import history_sql as sql
from runner.journal.postgres.connection import JournalUrl, ask, connect
from runner.journal.postgres.interaction_history import claims
from runner.journal.postgres.lane_meta import provenance_of
from runner.journal.postgres.lease import LAPSED
from runner.journal.postgres.reading import reading
from runner.journal.postgres.report_query import (
    audit,
    progress_of,
    transfers,
    transfers_alike,
)
from runner.journal.sqlite.report_query import read_figures
from runner.ports import Doubt, JournalledTransfer, OwnRun
from runner.ports.history import (
    LATEST,
    ChainPosition,
    HeldTransfer,
    JournalledRun,
    KeyedTransfer,
    PendingCallback,
    Provenance,
    RunMoves,
)

T = TypeVar("T")

PATIENCE_S, RETRY_S = 10.0, 0.2
"""How long a connection that was lost is opened anew, and how often."""

_SIZE = len(PLANNED_ROW.fields)


class Reader:
    """Implements `ports.History` over a connection, shared by threads one at a time."""

    def __init__(self, url: JournalUrl, lane: int) -> None:
        self._url = url
        self._lane = lane
        self._connection = connect(url)
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def lineage_id(self) -> str:
        """The lane's own id, which copies of the database share."""
        return self._meta()["lineage"]

    @property
    def environment(self) -> str:
        """The environment that the lane was made for."""
        return self._meta()["environment"]

    @property
    def origin(self) -> str:
        """The gateway whose transfers it holds."""
        return self._meta()["origin"]

    def check(self) -> None:
        """Raise `StorageError` if the lane lacks what every journal has."""
        with reading(self._url):
            if missing := {"lineage", "environment", "origin"} - self._meta().keys():
                raise KeyError(*missing)

    # Runs

    def runs(self, limit: int) -> list[JournalledRun]:
        """Return the newest runs, newest first."""
        return self._runs(None, limit)

    def run(self, run_id: str) -> JournalledRun:
        """Return one run; `latest` is the newest. Raises `UsageError` naming the nearest."""
        found = self._runs(None if run_id == LATEST else run_id, 1)
        if not found:
            raise self._unknown(run_id)
        return found[0]

    def run_number(self, run_id: str) -> int:
        """Return a run's number, without its counts; `latest` is the newest. Raises `UsageError`."""
        found = self._rows(sql.RUN_NUMBER, id=None if run_id == LATEST else run_id)
        if not found:
            raise self._unknown(run_id)
        return int(found[0][0])

    def is_newest(self, run: int, other: str) -> bool:
        """Return whether no run of its batch began after it, here or as run `other`.

        A run of another journal is known by its id alone, which begins with the time it began.
        """
        ((run_id, newest),) = self._rows(sql.NEWEST, run=run)
        here = bool(self._rows(sql.RUN_NUMBER, id=other))
        return bool(newest) and (here or other <= run_id)

    def report_source(self, run: int, explanation: str | None = None) -> ReportSource:
        """Return everything that a run's report is rendered from, streaming.

        `explanation` is why an unfinished run ended: the reason of transfers that were not begun.
        """
        ((previous, excerpt, *row),) = self._rows(sql.REPORT, run=run, genesis=GENESIS)
        with reading(self._url):
            stored = stored_run(row)
            run_record, figures = checked_record(stored, str(self._url)), stored.figures
            ended = read_figures(json.loads(figures)) if figures else NOT_KEPT
            kept = None if excerpt is None else json.loads(excerpt)
            manifest = (
                None if kept is None else ManifestExcerpt(tuple(kept["lines"]), kept["total"])
            )
            is_decided = ended.decided or not figures
            bodies = self._rows(sql.DECIDED, run=run) if is_decided else []
            decisions, gates = read_decisions(body for (body,) in bodies)
        reason = explanation or run_record.why_not_begun
        url, lane = self._url, self._lane
        return ReportSource(
            run_record,
            lambda: transfers(url, lane, run, reason, run_record.waves),
            ended,
            audit=lambda: audit(url, lane, run),
            audit_previous=previous or GENESIS,
            manifest=manifest,
            # With waves each row has its own.
            counts=None if run_record.waves else lambda: transfers_alike(url, lane, run),
            decisions=decisions,
            gates=gates,
            progress=cache(lambda: progress_of(url, lane, run)),
            undelivered=self.undelivered(run),
        )

    # Transfers

    def claims(self, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
        """Yield the transfers of each interaction that has any; see `ports.ClaimSource`."""
        return claims(self._url, self._lane, wanted)

    def last_transfer_id(self) -> int:
        """Return the newest transfer's id; 0: there is none."""
        return int(self._rows(sql.LAST_TRANSFER)[0][0])

    def pending(
        self,
        run: int,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> list[PlannedRow]:
        """Return up to `limit` rows of a run's plan that are to be sent, after row `after`.

        `failed_before` selects rows that were rejected or failed in an earlier run; otherwise the rest.
        `destination_uri` selects rows with exactly this destination.
        """
        rows = self._rows(
            sql.PENDING,
            run=run,
            after=after,
            limit=limit,
            failed_before=failed_before,
            destination_uri=destination_uri,
        )
        with reading(self._url):
            return [PLANNED_ROW.read(row) for row in rows]

    def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""
        return frozenset(str(row[0]) for row in self._rows(sql.MESSAGE_IDS, lineage=lineage))

    def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to, of whatever run."""
        found = self._rows(sql.FIND, message_id=message_id)
        if not found:
            return None
        with reading(self._url):
            row = PLANNED_ROW.read(found[0][:_SIZE])
            transfer_id, lineage, version, state, code, n, *run = found[0][_SIZE:]
            return JournalledTransfer(
                *(row, transfer_id, lineage, version, State(state), n, code),
                begun_by=OwnRun(*run),
            )

    def find_by_key(self, run: JournalledRun, key: str) -> KeyedTransfer | None:
        """Return the transfer that a run's row `key` stands for; None if it was never begun.

        Raises `UsageError`, naming what is in doubt, if the run has no such key.
        """
        found = self._rows(sql.BY_KEY, run=run.no, key=key)
        if not found:
            if not self._rows(sql.HAS_KEY, run=run.no, key=key):
                raise UsageError(
                    f"run {run.record.id} has no key {key}; {self._keys_in_doubt(run.no)}"
                )
            return None
        transfer_id, version, state, reason, run_id, batch = found[0][_SIZE:]
        with reading(self._url):
            row = PLANNED_ROW.read(found[0][:_SIZE])
            lineage = row.lineage or transfer_id
            return KeyedTransfer(
                row, transfer_id, lineage, version, State(state), reason, run_id, batch
            )

    def moved_since(self, transfer_id: int) -> dict[str, RunMoves]:
        """Return what newer transfers carried out, by interaction in its canonical form."""
        rows = self._rows(sql.MOVED_SINCE, after=transfer_id)
        return {
            canonical_interaction(moved): RunMoves(uri, by, run) for moved, uri, by, run in rows
        }

    def earlier_runs(self, first: int) -> EarlierRuns:
        """Return what a run, and those that continue its batch, have done."""
        return earlier_runs(
            first,
            self._rows(sql.BATCH_EVENTS, first=first, names=list(EVENTS)),
            self._rows(sql.BATCH_TRANSFERS, first=first),
        )

    def pace_left(self) -> PaceLeft:
        """Return what the gateway last asked of earlier runs: a lower rate, a wait."""
        rows = self._rows(sql.PACE_EVENTS, names=list(PACE_EVENTS), most=LATEST_EVENTS)
        return pace_left(json.loads(body) for (body,) in rows)

    # Doubts

    def count_held(self) -> int:
        """Return how many transfers of the lane are in doubt or under way."""
        return int(self._rows(sql.COUNT_HELD)[0][0])

    def fenced_sender(self, transfer_id: int) -> str | None:
        """Return who sent a transfer last, if its lane was taken from it without proof of its death."""
        takings = {}
        for epoch, body in self._rows(sql.TAKINGS, transfer=transfer_id):
            taking = json.loads(body)
            if taking.get("event") == "lane taken":
                takings[epoch] = taking
        if len(takings) < sql.TAKINGS_OF_A_SUCCESSION or takings[max(takings)].get("why") != LAPSED:
            return None
        return str(takings[min(takings)].get("owner"))

    def held_by_run(self, run: int, limit: int) -> list[HeldTransfer]:
        """Return what is in doubt or under way of a run's rows, in the manifest's order."""
        rows = self._rows(sql.HELD_BY_RUN, run=run, limit=limit)
        with reading(self._url):
            return [held_transfer(row[:-1]) for row in rows]

    def doubts(self, run: int) -> list[Doubt]:
        """Return every transfer in doubt, with this run's row where it lists and selects it."""
        rows = self._rows(sql.DOUBTS, run=run)
        with reading(self._url):
            return [self._doubt(row) for row in rows]

    def doubts_elsewhere(self, run: int) -> list[tuple[str, str, str]]:
        """Return (run, key, interaction) of doubts that no row of the run's plan names."""
        return [(row[0], row[1], row[2]) for row in self._rows(sql.DOUBTS_ELSEWHERE, run=run)]

    def _doubt(self, row: Sequence[Any]) -> Doubt:
        theirs, own = row[:_SIZE], row[_SIZE : 2 * _SIZE]
        left_out, listed_uri, transfer_id, lineage, version, state, n, body, notified, *run = row[
            2 * _SIZE :
        ]
        planned = PLANNED_ROW.read(theirs)
        is_listed = listed_uri is not None and same_destination(listed_uri, planned.destination_uri)
        if is_listed:
            both = zip(own, theirs, strict=True)
            planned = PLANNED_ROW.read([a if a is not None else b for a, b in both])
        return Doubt(
            JournalledTransfer(
                *(planned, transfer_id, lineage, version, State(state), n),
                begun_by=None if is_listed else OwnRun(*run),
            ),
            is_listed and not left_out,
            self.message_ids(lineage),
            intent_of(body),
            bool(notified),
        )

    # Callbacks

    def outbox(self, after: int, limit: int) -> list[PendingCallback]:
        """Return callbacks that are owed, after number `after`."""
        return [PendingCallback(*row) for row in self._rows(sql.OUTBOX, after=after, limit=limit)]

    def callbacks_owed(self) -> int:
        """Return how many callbacks are pending, of whatever run."""
        return int(self._rows(sql.OWED)[0][0])

    def undelivered(self, run: int) -> Sequence[Undelivered]:
        """See `History`."""
        return [Undelivered(*row) for row in self._rows(sql.UNDELIVERED, run=run)]

    # The audit chain

    def last_event(self) -> tuple[int, str]:
        """Return number and hash of the chain's last event; (0, genesis): there is none."""
        rows = self._rows(sql.LAST_EVENT)
        return (rows[0][0], rows[0][1]) if rows else (0, GENESIS)

    def has_event(self, seq: int, head: str) -> bool:
        """Return whether the chain's event `seq` has the hash `head`."""
        return seq == 0 or bool(self._rows(sql.HAS_EVENT, seq=seq, head=head))

    def waived(self) -> frozenset[str]:
        """Return the heads that a run with --new-history did without."""
        with reading(self._url):
            return frozenset(json.loads(self._meta().get("waived", "[]")))

    def provenance(self) -> Provenance:
        """Return the server that the lane was written on last, and the adoptions of its database."""
        with reading(self._url):
            return provenance_of(self._meta())

    def stored_runs(self) -> list[StoredRun]:
        """Return every run with its record as the lane's table has it, oldest first."""
        rows = self._rows(sql.RUNS, id=None, limit=None, genesis=GENESIS)
        with reading(self._url):
            return [stored_run(row) for _, _, *row in reversed(rows)]

    def chain(self, run: int | None = None) -> Iterator[AuditEntry]:
        """Yield every event of the lane, or of one run, oldest first."""
        return audit(self._url, self._lane, run)

    def heads_before_runs(self) -> list[ChainPosition]:
        """Return where each run begins in the chain, oldest first."""
        return [ChainPosition(*row) for row in self._rows(sql.HEADS, genesis=GENESIS)]

    def _meta(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in self._rows(sql.META)}

    def _runs(self, run_id: str | None, limit: int) -> list[JournalledRun]:
        with reading(self._url):
            return [
                counted_run(
                    no, stored_run(row), self._rows(sql.COUNTS, run=no), finished=bool(finished)
                )
                for no, finished, *row in self._rows(
                    sql.RUNS, id=run_id, limit=limit, genesis=GENESIS
                )
            ]

    def _unknown(self, run_id: str) -> UsageError:
        return UsageError(f"no run {run_id} in {self._url}; {self._nearest_run(run_id)}")

    def _nearest_run(self, run_id: str) -> str:
        known = self._rows(sql.RUN_IDS, limit=RUNS_COMPARED)
        return nearest_run(run_id, [str(name) for (name,) in known])

    def _keys_in_doubt(self, run: int) -> str:
        return keys_in_doubt([held.key for held in self.held_by_run(run, MOST_NAMED + 1)])

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """Return a query's rows; a connection that was lost is opened anew for a while."""
        known = {"lane": self._lane, **values}
        until = time.monotonic() + PATIENCE_S
        with self._one_at_a_time, reading(self._url):
            while True:
                try:
                    return ask(self._connection, query, known)
                except psycopg.OperationalError:
                    if not self._connection.closed or time.monotonic() > until:
                        raise
                self._reconnect(until)

    def _reconnect(self, until: float) -> None:
        while True:
            try:
                self._connection = connect(self._url)
            except StorageError:
                if time.monotonic() > until:
                    raise
                time.sleep(RETRY_S)
            else:
                return
