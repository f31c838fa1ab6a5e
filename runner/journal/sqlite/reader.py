"""Reads the journal's file: always read-only, while a run goes on or after it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from runner.core.errors import UsageError
from runner.core.pacing.batch_so_far import EarlierRuns
from runner.core.pacing.pace_left import EVENTS as PACE_EVENTS
from runner.core.pacing.pace_left import LATEST_EVENTS, PaceLeft, pace_left
from runner.core.records.audit_chain import GENESIS
from runner.core.records.chained_record import StoredRun
from runner.core.records.row_codec import PLANNED_ROW
from runner.core.records.run_record import NOT_KEPT, AuditEntry, ReportSource
from runner.core.records.undelivered import Undelivered
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.plan_decision import Claim
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import State
from runner.journal.earlier_runs import EVENTS, earlier_runs
from runner.journal.history_answers import (
    ELSEWHERE,
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
from runner.journal.sql_lists import IN_HELD, IN_SENDS
from runner.journal.sqlite.connection import connect, reading
from runner.journal.sqlite.format_check import read_waived, refuse_imported, refuse_other_format
from runner.journal.sqlite.interaction_history import claims_of
from runner.journal.sqlite.manifest_store import read_manifest
from runner.journal.sqlite.report_query import (
    audit,
    decisions_of,
    progress_of,
    read_figures,
    transfers,
    transfers_alike,
)
from runner.ports import Doubt, JournalledTransfer, OwnRun
from runner.ports.history import (
    LATEST,
    NO_PROVENANCE,
    ChainPosition,
    HeldTransfer,
    JournalledRun,
    KeyedTransfer,
    PendingCallback,
    Provenance,
    RunMoves,
)

T = TypeVar("T")

_SIZE = len(PLANNED_ROW.fields)

# A run as its table has it, and the first and last of its events, each behind the hash before it.
_STORED = (
    "r.id, r.batch, r.started_at, r.finished_at, r.record, r.figures,"
    " coalesce((SELECT hash FROM events WHERE seq = f.seq - 1), ?1), f.body, f.hash,"
    " coalesce((SELECT hash FROM events WHERE seq = l.seq - 1), ?1), l.body, l.hash"
)
_FROM_STORED = (
    "FROM runs r LEFT JOIN events f ON f.seq = (SELECT min(seq) FROM events WHERE run = r.no)"
    " LEFT JOIN events l ON l.seq = (SELECT max(seq) FROM events WHERE run = r.no)"
)
_RUNS = (
    f"SELECT r.no, r.finished_at IS NOT NULL, {_STORED} {_FROM_STORED}"
    " {where} ORDER BY r.no DESC LIMIT ?2"
)
_REPORT = f"SELECT r.previous, {_STORED} {_FROM_STORED} WHERE r.no = ?2"
_COUNTS = (
    f"SELECT r.action, t.state, c.state, {ELSEWHERE}, count(*) FROM rows r"  # noqa: S608 - of constants
    " LEFT JOIN transfers t ON t.run = r.run AND t.n = r.n"
    " LEFT JOIN transfers c ON c.id = r.claim"
    " WHERE r.run = ? GROUP BY 1, 2, 3, 4, 5"
)
# The newest reason is that of the row with the largest number.
_UNDELIVERED = (
    "SELECT callback, sum(state = 'pending'), sum(state = 'failed'), reason FROM ("
    " SELECT o.no, o.callback, o.state, o.reason FROM outbox o JOIN runs r ON r.no = o.run"
    " WHERE o.state = 'pending' AND o.run <= ?1 AND r.batch = (SELECT batch FROM runs WHERE no = ?1)"
    " UNION ALL SELECT no, callback, state, reason FROM outbox WHERE run = ?1 AND state = 'failed'"
    ") GROUP BY callback HAVING max(no) ORDER BY callback"
)
# Transfers that a run's rows stand for: its own, and those of earlier runs that they claim.
_OF_RUN = (
    "(SELECT r.n AS n, t.id AS id FROM rows r JOIN transfers t ON t.run = r.run AND t.n = r.n"
    " WHERE r.run = ?1 UNION ALL SELECT r.n, r.claim FROM rows r"
    " WHERE r.run = ?1 AND r.claim IS NOT NULL) of"
    " JOIN rows r ON r.run = ?1 AND r.n = of.n JOIN transfers x ON x.id = of.id"
    " JOIN runs o ON o.no = x.run"
)
_HELD = f"x.state {IN_HELD}"
_HELD_BY_RUN = (
    "SELECT o.id, r.key, r.source, x.interaction_id, x.destination_uri, x.state, x.message_id,"  # noqa: S608 - of constants
    f" x.reason FROM {_OF_RUN} WHERE {_HELD} ORDER BY of.n LIMIT ?2"
)
_COUNT_HELD = f"SELECT count(*) FROM transfers x WHERE {_HELD}"  # noqa: S608 - of constants
_BY_KEY = (
    f"SELECT {{row}}, x.id, x.lineage, x.version, x.state, x.reason, o.id, o.batch FROM {_OF_RUN}"  # noqa: S608 - of constants
    " JOIN ladders ON ladders.id = r.ladder WHERE r.key = ?2"
    f" ORDER BY {_HELD} DESC, x.id DESC LIMIT 1"
)
_PENDING = (
    "SELECT {row} FROM rows JOIN ladders ON ladders.id = ladder"  # noqa: S608 - of constants
    f" WHERE run = ?1 AND n > ?2 AND action {IN_SENDS}"
    " AND (failed_as IS NOT NULL) = ?4 AND (?5 IS NULL OR destination_uri = ?5)"
    " ORDER BY n LIMIT ?3"
)
_OF_DOUBTS = {
    # What this run's row says, where it lists the doubt, else its own run's.
    **{name: f"coalesce(r.{name}, o.{name})" for name in PLANNED_ROW.fields},
    "n": "coalesce(r.n, -1)",
    "key": "coalesce(r.key, t.key)",
    "interaction_id": "t.interaction_id",
    "destination_uri": "t.destination_uri",
    "media": "coalesce(l.media, ol.media)",
    "lineage": "t.lineage",
    "failed_as": "NULL",
    "was_elsewhere": "o.action = 'changed'",
}
_DOUBTS = (
    f"SELECT {PLANNED_ROW.expressions(instead=_OF_DOUBTS)}, t.id, t.lineage, t.version, t.state,"  # noqa: S608 - of constants
    " (SELECT max(n) FROM deliveries WHERE transfer = t.id), e.body, r.left_out,"
    " EXISTS (SELECT 1 FROM outbox WHERE transfer = t.id AND outcome = 'in_doubt'),"
    " runs.id, runs.batch FROM transfers t JOIN runs ON runs.no = t.run"
    " JOIN deliveries d ON d.transfer = t.id AND d.n ="
    " (SELECT max(n) FROM deliveries WHERE transfer = t.id AND event != 'withdrawn')"
    " JOIN events e ON e.seq = d.intent"
    " JOIN rows o ON o.run = t.run AND o.n = t.n JOIN ladders ol ON ol.id = o.ladder"
    " LEFT JOIN rows r ON r.run = ?1 AND r.claim = t.id"
    " AND canonical_destination(r.destination_uri) = canonical_destination(t.destination_uri)"
    " AND r.action = 'in_doubt'"
    " LEFT JOIN ladders l ON l.id = r.ladder"
    " WHERE t.state = 'unknown' ORDER BY t.id"
)
_BY_MESSAGE = (
    "SELECT {row}, t.id, t.lineage, t.version, t.state, t.reason_code, d.n, runs.id, runs.batch"
    " FROM deliveries d JOIN transfers t ON t.id = d.transfer JOIN runs ON runs.no = t.run"
    " JOIN rows r ON r.run = t.run AND r.n = t.n JOIN ladders l ON l.id = r.ladder"
    " WHERE d.message_id = ? AND d.event != 'accepted'"  # as `deliveries_unaccepted` has them
)
_DOUBTS_ELSEWHERE = (
    "SELECT runs.id, t.key, t.interaction_id FROM transfers t JOIN runs ON runs.no = t.run"  # noqa: S608 - of constants
    f" WHERE t.state {IN_HELD} AND t.run != ?1"
    " AND t.id NOT IN (SELECT claim FROM rows WHERE run = ?1 AND claim IS NOT NULL)"
    " ORDER BY t.id"
)


class Reader:
    """A read-only connection, shared by threads one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            self._connection = connect(path)
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def lineage_id(self) -> str:
        """The journal's own id, which its copies share."""
        return self._meta()["lineage"]

    @property
    def environment(self) -> str:
        """The environment that the journal was made for."""
        return self._meta()["environment"]

    @property
    def origin(self) -> str:
        """The gateway whose transfers it holds."""
        return self._meta()["origin"]

    def check(self) -> None:
        """Raise `StorageError` if the file is not a journal, or its history goes on elsewhere."""
        with reading(self.path):
            if missing := {"lineage", "environment", "origin"} - self._meta().keys():
                raise KeyError(*missing)
        refuse_imported(self._meta(), self.path)
        refuse_other_format(self._meta(), self.path)

    def runs(self, limit: int) -> list[JournalledRun]:
        """Return the newest runs, newest first."""
        return self._runs("", limit)

    def run(self, run_id: str) -> JournalledRun:
        """Return one run; `latest` is the newest. Raises `UsageError` naming the nearest."""
        found = self._runs("", 1) if run_id == LATEST else self._runs("WHERE r.id = ?3", 1, run_id)
        if not found:
            raise self._unknown(run_id)
        return found[0]

    def run_number(self, run_id: str) -> int:
        """Return a run's number, without its counts; `latest` is the newest. Raises `UsageError`."""
        where, known = ("", ()) if run_id == LATEST else ("WHERE id = ?", (run_id,))
        found = self._rows(f"SELECT no FROM runs {where} ORDER BY no DESC LIMIT 1", *known)  # noqa: S608
        if not found:
            raise self._unknown(run_id)
        return int(found[0][0])

    def is_newest(self, run: int, other: str) -> bool:
        """Return whether no run of its batch began after it, in this journal or as run `other`.

        A run of another journal is known by its id alone, which begins with the time it began.
        """
        query = "SELECT max(b.no) = a.no, a.id FROM runs a JOIN runs b USING (batch) WHERE a.no = ?"
        [(newest, run_id)] = self._rows(query, run)
        here = bool(self._rows("SELECT 1 FROM runs WHERE id = ?", other))
        return bool(newest) and (here or other <= run_id)

    def count_held(self) -> int:
        """Return how many transfers of the whole journal are in doubt or under way."""
        return int(self._rows(_COUNT_HELD)[0][0])

    def fenced_sender(self, transfer_id: int) -> str | None:
        """Return None: the lock of a file is free once its holder has ended."""
        del transfer_id
        return None

    def held_by_run(self, run: int, limit: int) -> list[HeldTransfer]:
        """Return what is in doubt or under way of a run's rows, in the manifest's order."""
        rows = self._rows(_HELD_BY_RUN, run, limit)
        with reading(self.path):
            return [held_transfer(row) for row in rows]

    def find_by_key(self, run: JournalledRun, key: str) -> KeyedTransfer | None:
        """Return the transfer that a run's row `key` stands for; None if it was never begun.

        Raises `UsageError`, naming what is in doubt, if the run has no such key.
        """
        columns = self._columns(
            "r",
            key="x.key",
            interaction_id="x.interaction_id",
            destination_uri="x.destination_uri",
            media="ladders.media",
            lineage="x.lineage",
        )
        found = self._rows(_BY_KEY.format(row=columns), run.no, key)
        if not found:
            if not self._rows("SELECT 1 FROM rows WHERE run = ? AND key = ?", run.no, key):
                raise UsageError(
                    f"run {run.record.id} has no key {key}; {self._keys_in_doubt(run.no)}"
                )
            return None
        transfer_id, lineage, version, state, reason, run_id, batch = found[0][_SIZE:]
        with reading(self.path):
            row = PLANNED_ROW.read(found[0][:_SIZE])
            return KeyedTransfer(
                row, transfer_id, lineage, version, State(state), reason, run_id, batch
            )

    def last_event(self) -> tuple[int, str]:
        """Return number and hash of the chain's last event; (0, genesis): there is none."""
        rows = self._rows("SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1")
        return rows[0] if rows else (0, GENESIS)

    def has_event(self, seq: int, head: str) -> bool:
        """Return whether the chain's event `seq` has the hash `head`."""
        if seq == 0:
            return True
        return bool(self._rows("SELECT 1 FROM events WHERE seq = ? AND hash = ?", seq, head))

    def waived(self) -> frozenset[str]:
        """Return the chain heads that were waived by --new-history."""
        return read_waived(self._meta())

    def provenance(self) -> Provenance:
        """Return none: a file is known by its place."""
        return NO_PROVENANCE

    def last_transfer_id(self) -> int:
        """Return the newest transfer's id; 0: there is none."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM transfers")[0][0])

    def moved_since(self, transfer_id: int) -> dict[str, RunMoves]:
        """Return what newer transfers carried out, by interaction in its canonical form."""
        rows = self._rows(
            "SELECT x.interaction_id, x.destination_uri, x.id, o.id FROM transfers x"
            " JOIN runs o ON o.no = x.run WHERE x.id > ? AND x.state = 'transferred' ORDER BY x.id",
            transfer_id,
        )
        return {
            canonical_interaction(moved): RunMoves(uri, by, run) for moved, uri, by, run in rows
        }

    def earlier_runs(self, first: int) -> EarlierRuns:
        """Return what a run, and those that continue its batch, have done."""
        return earlier_runs(
            first,
            self._rows(
                "SELECT run, body FROM events WHERE run >= ?"
                " AND json_extract(body, '$.event') IN (SELECT value FROM json_each(?)) ORDER BY seq",
                first,
                json.dumps(EVENTS),
            ),
            self._rows(
                "SELECT run, id, interaction, state, reason_code FROM transfers"
                " WHERE run >= ? ORDER BY id",
                first,
            ),
        )

    def pace_left(self) -> PaceLeft:
        """Return what the gateway last asked of earlier runs: a lower rate, a wait."""
        rows = self._rows(
            "SELECT body FROM events WHERE seq > (SELECT max(seq) FROM events) - ?"
            " AND json_extract(body, '$.event') IN (SELECT value FROM json_each(?)) ORDER BY seq",
            LATEST_EVENTS,
            json.dumps(PACE_EVENTS),
        )
        return pace_left(json.loads(body) for (body,) in rows)

    def heads_before_runs(self) -> list[ChainPosition]:
        """Return where each run begins in the chain, oldest first."""
        rows = self._rows(
            "SELECT runs.id, runs.previous, coalesce((SELECT hash FROM events"
            " WHERE seq = (SELECT min(seq) FROM events WHERE run = runs.no) - 1), ?)"
            " FROM runs ORDER BY no",
            GENESIS,
        )
        return [ChainPosition(*row) for row in rows]

    def stored_runs(self) -> list[StoredRun]:
        """Return every run with its record as the journal's table has it, oldest first."""
        with reading(self.path):
            rows = self._rows(_RUNS.format(where=""), GENESIS, -1)
            return [stored_run(row) for _, _, *row in reversed(rows)]

    def chain(self, run: int | None = None) -> Iterator[AuditEntry]:
        """Yield every event of the journal, or of one run, oldest first."""
        return audit(self.path, run)

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
        asked = (run, after, limit, failed_before, destination_uri)
        with self._one_at_a_time, reading(self.path):
            rows = self._connection.execute(_PENDING.format(row=self._columns()), asked).fetchall()
            return [PLANNED_ROW.read(row) for row in rows]

    def message_ids(self, lineage: int) -> frozenset[str]:
        """Return the ids of every delivery of a lineage's transfers."""
        with self._one_at_a_time, reading(self.path):
            rows = self._connection.execute(
                "SELECT deliveries.message_id FROM deliveries JOIN transfers ON transfers.id = transfer"
                " WHERE transfers.id = ?1 OR (lineage = ?1 AND lineage != transfers.id)",
                [lineage],
            ).fetchall()
        return frozenset(message_id for (message_id,) in rows)

    def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to, unless the delivery was accepted."""
        with self._one_at_a_time, reading(self.path):
            found = self._connection.execute(
                _BY_MESSAGE.format(row=self._columns("r", media="l.media")),
                [message_id],
            ).fetchone()
            if found is None:
                return None
            row = PLANNED_ROW.read(found[:_SIZE])
            transfer_id, lineage, version, state, code, n, *run = found[_SIZE:]
            return JournalledTransfer(
                *(row, transfer_id, lineage, version, State(state), n, code),
                begun_by=OwnRun(*run),
            )

    def doubts(self, run: int) -> list[Doubt]:
        """Return every transfer in doubt, with this run's row where it lists and selects it."""
        with self._one_at_a_time, reading(self.path):
            rows = self._connection.execute(_DOUBTS, [run]).fetchall()
        with reading(self.path):
            return [self._doubt(row) for row in rows]

    def doubts_elsewhere(self, run: int) -> list[tuple[str, str, str]]:
        """Return (run, key, interaction) of doubts that no row of the run's plan names."""
        with self._one_at_a_time, reading(self.path):
            return self._connection.execute(_DOUBTS_ELSEWHERE, [run]).fetchall()

    def _doubt(self, row: Sequence[Any]) -> Doubt:
        planned = PLANNED_ROW.read(row[:_SIZE])
        transfer_id, lineage, version, state, n, body, left_out, notified, *run = row[_SIZE:]
        return Doubt(
            JournalledTransfer(
                *(planned, transfer_id, lineage, version, State(state), n),
                begun_by=OwnRun(*run) if planned.n < 0 else None,
            ),
            planned.n >= 0 and not left_out,
            self.message_ids(lineage),
            intent_of(body),
            bool(notified),
        )

    def _columns(self, table: str = "", **instead: str) -> str:
        """Return what a query selects for `PLANNED_ROW.read`."""
        action = f"{table}.action" if table else "action"
        instead = {"was_elsewhere": f"{action} = 'changed'"} | instead
        return PLANNED_ROW.expressions(table, instead=instead)

    def claims(self, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
        """Yield the transfers of each interaction that has any, oldest first."""
        return claims_of(self.path, wanted)

    def outbox(self, after: int, limit: int) -> list[PendingCallback]:
        """Return callbacks that are owed, after number `after`."""
        rows = self._rows(
            "SELECT no, webhook_id, callback, body, attempts FROM outbox"
            " WHERE state = 'pending' AND no > ? ORDER BY no LIMIT ?",
            *(after, limit),
        )
        with reading(self.path):
            for *_, body, _attempts in rows:
                json.loads(body)["outcome"]  # a damaged journal may lack it
        return [PendingCallback(*row) for row in rows]

    def callbacks_owed(self) -> int:
        """Return how many callbacks are pending, of whatever run."""
        with self._one_at_a_time, reading(self.path):
            (owed,) = self._connection.execute(
                "SELECT count(*) FROM outbox WHERE state = 'pending'"
            ).fetchone()
        return int(owed)

    def undelivered(self, run: int) -> Sequence[Undelivered]:
        """See `History`."""
        return [Undelivered(*row) for row in self._rows(_UNDELIVERED, run)]

    def report_source(self, run: int, explanation: str | None = None) -> ReportSource:
        """Return everything that a run's report is rendered from, streaming.

        `explanation` is why an unfinished run ended: the reason of transfers that were not begun.
        """
        with self._one_at_a_time, reading(self.path):
            previous, *row = self._connection.execute(_REPORT, [GENESIS, run]).fetchone()
            stored = stored_run(row)
            run_record, figures = checked_record(stored, str(self.path)), stored.figures
            manifest = read_manifest(self._connection, run_record.manifest_sha256)
            ended = read_figures(json.loads(figures)) if figures else NOT_KEPT
            decisions, gates = (
                decisions_of(self._connection, run) if ended.decided or not figures else ((), ())
            )
        reason = explanation or run_record.why_not_begun
        return ReportSource(
            run_record,
            lambda: transfers(self.path, run, reason, run_record.waves),
            ended,
            audit=lambda: audit(self.path, run),
            audit_previous=previous or GENESIS,
            manifest=manifest,
            # With waves each row has its own.
            counts=None if run_record.waves else lambda: transfers_alike(self.path, run),
            decisions=decisions,
            gates=gates,
            progress=cache(lambda: progress_of(self.path, run)),
            undelivered=self.undelivered(run),
        )

    def _meta(self) -> Mapping[str, str]:
        return dict(self._rows("SELECT name, value FROM meta"))

    def _runs(self, where: str, *parameters: object) -> list[JournalledRun]:
        with reading(self.path):
            return [
                counted_run(no, stored_run(row), self._rows(_COUNTS, no), finished=bool(finished))
                for no, finished, *row in self._rows(
                    _RUNS.format(where=where), GENESIS, *parameters
                )
            ]

    def _unknown(self, run_id: str) -> UsageError:
        return UsageError(f"no run {run_id} in {self.path}; {self._nearest_run(run_id)}")

    def _nearest_run(self, run_id: str) -> str:
        query = "SELECT id FROM runs ORDER BY no DESC LIMIT ?"
        return nearest_run(run_id, [name for (name,) in self._rows(query, RUNS_COMPARED)])

    def _keys_in_doubt(self, run: int) -> str:
        return keys_in_doubt([held.key for held in self.held_by_run(run, MOST_NAMED + 1)])

    def _rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with self._one_at_a_time, reading(self.path):
            rows = self._connection.execute(query, parameters).fetchall()
            if any(isinstance(value, bytes) for row in rows for value in row):
                raise TypeError("bytes in the place of a text")
            return rows
