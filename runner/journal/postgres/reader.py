"""Reads one lane of the journal, while a run goes on or after it."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

import psycopg

from runner.core.errors import StorageError, UsageError
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.audit_chain import GENESIS
from runner.core.records.row_codec import PLANNED_ROW
from runner.core.records.run_record import AuditEntry, Figures, ReportSource, RunRecord
from runner.core.transfer.canonical_form import canonical_interaction, same_destination
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import Action, Claim
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import State
from runner.journal.postgres.claims import claims
from runner.journal.postgres.connection import JournalUrl, ask, connect
from runner.journal.postgres.lease import LAPSED
from runner.journal.postgres.reading import reading
from runner.journal.postgres.report_query import audit, transfers
from runner.journal.sqlite.reader import (
    ELSEWHERE,
    KEYS_COMPARED,
    intent_of,
    is_under_way,
    outcome_of,
)
from runner.journal.sqlite.report_query import read_figures
from runner.ports import Doubt, JournalledTransfer
from runner.ports.history import (
    LATEST,
    ChainPosition,
    HeldTransfer,
    JournalledRun,
    KeyedTransfer,
    PendingCallback,
    RunMoves,
)

T = TypeVar("T")

PATIENCE_S, RETRY_S = 10.0, 0.2
"""How long a connection that was lost is opened anew, and how often."""

_META = "SELECT name, value FROM runner.meta WHERE lane = %(lane)s"
_RUNS = (
    "SELECT no, record, finished_at IS NOT NULL FROM runner.runs WHERE lane = %(lane)s"
    " AND (%(id)s::text IS NULL OR id = %(id)s::text) ORDER BY no DESC LIMIT %(limit)s"
)
# `OFFSET 0` keeps each look-up one by its index: without statistics (a plan of a moment ago) the
# database would compare each row with every transfer.
_COUNTS = (
    f"SELECT r.action, t.state, c.state, {ELSEWHERE}, count(*) FROM runner.rows r"  # noqa: S608 - of constants
    " LEFT JOIN LATERAL (SELECT x.state FROM runner.transfers x WHERE x.lane = r.lane"
    "  AND x.run = r.run AND x.n = r.n OFFSET 0) t ON true"
    " LEFT JOIN LATERAL (SELECT x.state, x.destination_uri FROM runner.transfers x"
    "  WHERE x.lane = r.lane AND x.id = r.claim OFFSET 0) c ON true"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s GROUP BY 1, 2, 3, 4, 5"
)
_NEWEST = (
    "SELECT a.id, NOT EXISTS (SELECT 1 FROM runner.runs b WHERE b.lane = a.lane"
    " AND b.batch = a.batch AND b.no > a.no) FROM runner.runs a"
    " WHERE a.lane = %(lane)s AND a.no = %(run)s"
)
_HELD = "x.state IN ('sending', 'unknown', 'resending')"
# Transfers that a run's rows stand for: its own, and those of earlier runs that they claim. Each from
# the transfers that are held, which are few: from the rows, the database would read all of them.
_SEEN = (
    "SELECT o.id, r.key, r.source, x.interaction_id, x.destination_uri, x.state, x.message_id,"  # noqa: S608 - of constants
    " x.reason, r.n FROM runner.transfers x"
    " JOIN runner.rows r ON r.lane = x.lane AND r.run = {run} AND {place}"
    " JOIN runner.runs o ON o.lane = x.lane AND o.no = x.run"
    f" WHERE x.lane = %(lane)s AND {_HELD}"
)
_HELD_BY_RUN = (
    _SEEN.format(run="x.run", place="r.n = x.n AND x.run = %(run)s")
    + " UNION ALL "
    + _SEEN.format(run="%(run)s", place="r.claim = x.id")
    + " ORDER BY 9 LIMIT %(limit)s"
)
# The sender's own taking of the lane, and that of its successor.
_TAKINGS = (
    "SELECT e.epoch, e.body FROM runner.events e, ("
    " SELECT i.epoch FROM runner.deliveries d"
    " JOIN runner.events i ON i.lane = d.lane AND i.seq = d.intent"
    " WHERE d.lane = %(lane)s AND d.transfer = %(transfer)s ORDER BY d.n DESC LIMIT 1) AS sender"
    " WHERE e.run = 0 AND e.lane = %(lane)s AND e.epoch IN (sender.epoch, sender.epoch + 1)"
)
_TAKINGS_OF_A_SUCCESSION = 2
_COUNT_HELD = f"SELECT count(*) FROM runner.transfers x WHERE x.lane = %(lane)s AND {_HELD}"  # noqa: S608 - of constants
_SIZE = len(PLANNED_ROW.fields)
_ROW = PLANNED_ROW.expressions(
    "r", instead={"media": "l.media", "was_elsewhere": "r.action = 'changed'"}
)
_OF_TRANSFER = {
    "interaction_id": "x.interaction_id",
    "destination_uri": "x.destination_uri",
    "lineage": "x.lineage",
}
_TAKEN_UP = PLANNED_ROW.expressions(
    "r", instead=_OF_TRANSFER | {"media": "l.media", "was_elsewhere": "false", "failed_as": "NULL"}
)
_OF_DOUBT = {
    "interaction_id": "t.interaction_id",
    "destination_uri": "t.destination_uri",
    "lineage": "t.lineage",
    "failed_as": "NULL",
    "was_elsewhere": "o.action = 'changed'",
}
_OTHERS_ROW = PLANNED_ROW.expressions(
    "o", instead=_OF_DOUBT | {"n": "-1", "key": "t.key", "media": "ol.media"}
)
_OWN_ROW = PLANNED_ROW.expressions("r", instead=_OF_DOUBT | {"media": "l.media"})
_KEYED = (
    f"SELECT {_TAKEN_UP}, x.id, x.version, x.state, x.reason, o.id AS run_id, o.batch"  # noqa: S608 - of constants
    " FROM runner.rows r"
    " JOIN runner.transfers x ON x.lane = r.lane AND {place}"
    " JOIN runner.runs o ON o.lane = x.lane AND o.no = x.run"
    " JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s"
)
_BY_KEY = (
    "SELECT * FROM ("  # noqa: S608 - of constants
    + _KEYED.format(place="x.run = r.run AND x.n = r.n AND r.key = %(key)s")
    + " UNION ALL "
    + _KEYED.format(place="x.id = r.claim AND (r.key = %(key)s OR x.key = %(key)s)")
    + f") x ORDER BY {_HELD} DESC, x.id DESC LIMIT 1"
)
_HAS_KEY = (
    "SELECT 1 FROM runner.rows WHERE lane = %(lane)s AND run = %(run)s AND key = %(key)s LIMIT 1"
)
_KEYS = "SELECT key FROM runner.rows WHERE lane = %(lane)s AND run = %(run)s LIMIT %(limit)s"
_PENDING = (
    f"SELECT {_ROW}"  # noqa: S608 - of constants
    " FROM runner.rows r JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE r.lane = %(lane)s AND r.run = %(run)s AND r.n > %(after)s"
    " AND r.action IN ('send', 'changed') AND (r.failed_as IS NOT NULL) = %(failed_before)s"
    " AND (%(destination_uri)s::text IS NULL OR r.destination_uri = %(destination_uri)s::text)"
    " ORDER BY r.n LIMIT %(limit)s"
)
_MESSAGE_IDS = (
    "SELECT d.message_id FROM runner.transfers t"
    " JOIN runner.deliveries d ON d.lane = t.lane AND d.transfer = t.id"
    " WHERE t.lane = %(lane)s"
    " AND (t.id = %(lineage)s OR (t.lineage = %(lineage)s AND t.lineage <> t.id))"
)
_FIND = (
    f"SELECT {_ROW}, t.id, t.lineage, t.version, t.state, t.reason_code, d.n"  # noqa: S608 - of constants
    " FROM runner.deliveries d JOIN runner.transfers t ON t.lane = d.lane AND t.id = d.transfer"
    " JOIN runner.rows r ON r.lane = t.lane AND r.run = t.run AND r.n = t.n"
    " JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE d.lane = %(lane)s AND d.message_id = %(message_id)s LIMIT 1"
)
# The rows of this run come beside, because the database knows no canonical form of destinations.
_DOUBTS = (
    f"SELECT {_OTHERS_ROW}, {_OWN_ROW}, r.left_out, r.destination_uri,"  # noqa: S608 - of constants
    " t.id, t.lineage, t.version, t.state,"
    " (SELECT max(n) FROM runner.deliveries m WHERE m.lane = t.lane AND m.transfer = t.id), e.body,"
    " EXISTS (SELECT 1 FROM runner.outbox b WHERE b.lane = t.lane AND b.transfer = t.id"
    "  AND b.outcome = 'in_doubt')"
    " FROM runner.transfers t"
    " JOIN runner.deliveries d ON d.lane = t.lane AND d.transfer = t.id AND d.n ="
    "  (SELECT max(n) FROM runner.deliveries m WHERE m.lane = t.lane AND m.transfer = t.id"
    "   AND m.event <> 'withdrawn')"
    " JOIN runner.events e ON e.lane = d.lane AND e.seq = d.intent"
    " JOIN runner.rows o ON o.lane = t.lane AND o.run = t.run AND o.n = t.n"
    " JOIN runner.ladders ol ON ol.lane = o.lane AND ol.id = o.ladder"
    " LEFT JOIN runner.rows r ON r.lane = t.lane AND r.run = %(run)s AND r.claim = t.id"
    "  AND r.action = 'in_doubt'"
    " LEFT JOIN runner.ladders l ON l.lane = r.lane AND l.id = r.ladder"
    " WHERE t.lane = %(lane)s AND t.state = 'unknown' ORDER BY t.id, r.n"
)
_DOUBTS_ELSEWHERE = (
    "SELECT u.id, t.key, t.interaction_id FROM runner.transfers t"
    " JOIN runner.runs u ON u.lane = t.lane AND u.no = t.run"
    " WHERE t.lane = %(lane)s AND t.state IN ('sending', 'unknown', 'resending')"
    " AND t.run <> %(run)s AND NOT EXISTS (SELECT 1 FROM runner.rows r WHERE r.lane = t.lane"
    "  AND r.run = %(run)s AND r.claim = t.id) ORDER BY t.id"
)
_MOVED_SINCE = (
    "SELECT x.interaction_id, x.destination_uri, x.id, o.id FROM runner.transfers x"
    " JOIN runner.runs o ON o.lane = x.lane AND o.no = x.run"
    " WHERE x.lane = %(lane)s AND x.id > %(after)s AND x.state = 'transferred' ORDER BY x.id"
)
_OUTBOX = (
    "SELECT no, webhook_id, callback, body, attempts FROM runner.outbox WHERE lane = %(lane)s"
    " AND state = 'pending' AND no > %(after)s ORDER BY no LIMIT %(limit)s"
)
_OWED = "SELECT count(*) FROM runner.outbox WHERE lane = %(lane)s AND state = 'pending'"
_LAST_TRANSFER = "SELECT coalesce(max(id), 0) FROM runner.transfers WHERE lane = %(lane)s"
_LAST_EVENT = "SELECT seq, hash FROM runner.events WHERE lane = %(lane)s ORDER BY seq DESC LIMIT 1"
_HAS_EVENT = (
    "SELECT 1 FROM runner.events WHERE lane = %(lane)s AND seq = %(seq)s AND hash = %(head)s"
)
_HEADS = (
    "SELECT u.id, u.previous, coalesce((SELECT e.hash FROM runner.events e WHERE e.lane = u.lane"
    " AND e.seq = (SELECT min(f.seq) FROM runner.events f WHERE f.lane = u.lane AND f.run = u.no)"
    " - 1), %(genesis)s) FROM runner.runs u WHERE u.lane = %(lane)s ORDER BY u.no"
)
_REPORT = (
    "SELECT u.record, u.figures, u.previous, m.excerpt FROM runner.runs u"
    " LEFT JOIN runner.manifests m ON m.lane = u.lane"
    "  AND m.sha256 = u.record::json->>'manifest_sha256'"
    " WHERE u.lane = %(lane)s AND u.no = %(run)s"
)


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
        found = self._rows(_RUNS, id=None if run_id == LATEST else run_id, limit=1)
        if not found:
            raise self._unknown(run_id)
        return int(found[0][0])

    def is_newest(self, run: int, other: str) -> bool:
        """Return whether no run of its batch began after it, here or as run `other`.

        A run of another journal is known by its id alone, which begins with the time it began.
        """
        ((run_id, newest),) = self._rows(_NEWEST, run=run)
        here = bool(self._rows(_RUNS, id=other, limit=1))
        return bool(newest) and (here or other <= run_id)

    def report_source(self, run: int, explanation: str | None = None) -> ReportSource:
        """Return everything that a run's report is rendered from, streaming.

        `explanation` is why an unfinished run ended: the reason of transfers that were not begun.
        """
        ((record, figures, previous, excerpt),) = self._rows(_REPORT, run=run)
        with reading(self._url):
            run_record = RunRecord.from_json(json.loads(record))
            ended = read_figures(json.loads(figures)) if figures else Figures()
            kept = None if excerpt is None else json.loads(excerpt)
            manifest = (
                None if kept is None else ManifestExcerpt(tuple(kept["lines"]), kept["total"])
            )
        reason = run_record.explanation or explanation or "the run ended before its turn"
        url, lane = self._url, self._lane
        return ReportSource(
            run_record,
            lambda: transfers(url, lane, run, reason, run_record.waves),
            ended,
            audit=lambda: audit(url, lane, run),
            audit_previous=previous or GENESIS,
            manifest=manifest,
        )

    # Transfers

    def claims(self, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
        """Yield the transfers of each interaction that has any; see `ports.ClaimSource`."""
        return claims(self._url, self._lane, wanted)

    def last_transfer_id(self) -> int:
        """Return the newest transfer's id; 0: there is none."""
        return int(self._rows(_LAST_TRANSFER)[0][0])

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
            _PENDING,
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
        return frozenset(str(row[0]) for row in self._rows(_MESSAGE_IDS, lineage=lineage))

    def find(self, message_id: str) -> JournalledTransfer | None:
        """Return the transfer that a delivery belongs to, of whatever run."""
        found = self._rows(_FIND, message_id=message_id)
        if not found:
            return None
        with reading(self._url):
            row = PLANNED_ROW.read(found[0][:_SIZE])
            transfer_id, lineage, version, state, code, n = found[0][_SIZE:]
            return JournalledTransfer(row, transfer_id, lineage, version, State(state), n, code)

    def find_by_key(self, run: JournalledRun, key: str) -> KeyedTransfer | None:
        """Return the transfer that a run's row `key` stands for; None if it was never begun.

        Raises `UsageError`, naming the nearest, if the run has no such key.
        """
        found = self._rows(_BY_KEY, run=run.no, key=key)
        if not found:
            if not self._rows(_HAS_KEY, run=run.no, key=key):
                raise UsageError(
                    f"run {run.record.id} has no key {key}; {self._nearest_key(run.no, key)}"
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
        rows = self._rows(_MOVED_SINCE, after=transfer_id)
        return {
            canonical_interaction(moved): RunMoves(uri, by, run) for moved, uri, by, run in rows
        }

    # Doubts

    def count_held(self) -> int:
        """Return how many transfers of the lane are in doubt or under way."""
        return int(self._rows(_COUNT_HELD)[0][0])

    def fenced_sender(self, transfer_id: int) -> str | None:
        """Return who sent a transfer last, if its lane was taken from it without proof of its death."""
        takings = {}
        for epoch, body in self._rows(_TAKINGS, transfer=transfer_id):
            taking = json.loads(body)
            if taking.get("event") == "lane taken":
                takings[epoch] = taking
        if len(takings) < _TAKINGS_OF_A_SUCCESSION or takings[max(takings)].get("why") != LAPSED:
            return None
        return str(takings[min(takings)].get("owner"))

    def held_by_run(self, run: int, limit: int) -> list[HeldTransfer]:
        """Return what is in doubt or under way of a run's rows, in the manifest's order."""
        rows = self._rows(_HELD_BY_RUN, run=run, limit=limit)
        with reading(self._url):
            return [
                HeldTransfer(
                    run_id, key, source, interaction_id, uri, State(state), message_id, reason
                )
                for run_id, key, source, interaction_id, uri, state, message_id, reason, _ in rows
            ]

    def doubts(self, run: int) -> list[Doubt]:
        """Return every transfer in doubt, with this run's row where it lists and selects it."""
        rows = self._rows(_DOUBTS, run=run)
        with reading(self._url):
            return [self._doubt(row) for row in rows]

    def doubts_elsewhere(self, run: int) -> list[tuple[str, str, str]]:
        """Return (run, key, interaction) of doubts that no row of the run's plan names."""
        return [(row[0], row[1], row[2]) for row in self._rows(_DOUBTS_ELSEWHERE, run=run)]

    def _doubt(self, row: Sequence[Any]) -> Doubt:
        theirs, own = row[:_SIZE], row[_SIZE : 2 * _SIZE]
        left_out, listed_uri, transfer_id, lineage, version, state, n, body, notified = row[
            2 * _SIZE :
        ]
        planned = PLANNED_ROW.read(theirs)
        is_listed = listed_uri is not None and same_destination(listed_uri, planned.destination_uri)
        if is_listed:
            both = zip(own, theirs, strict=True)
            planned = PLANNED_ROW.read([a if a is not None else b for a, b in both])
        return Doubt(
            JournalledTransfer(planned, transfer_id, lineage, version, State(state), n),
            is_listed and not left_out,
            self.message_ids(lineage),
            intent_of(json.loads(body)),
            bool(notified),
        )

    # Callbacks

    def outbox(self, after: int, limit: int) -> list[PendingCallback]:
        """Return callbacks that are owed, after number `after`."""
        return [PendingCallback(*row) for row in self._rows(_OUTBOX, after=after, limit=limit)]

    def callbacks_owed(self) -> int:
        """Return how many callbacks are pending, of whatever run."""
        return int(self._rows(_OWED)[0][0])

    # The audit chain

    def last_event(self) -> tuple[int, str]:
        """Return number and hash of the chain's last event; (0, genesis): there is none."""
        rows = self._rows(_LAST_EVENT)
        return (rows[0][0], rows[0][1]) if rows else (0, GENESIS)

    def has_event(self, seq: int, head: str) -> bool:
        """Return whether the chain's event `seq` has the hash `head`."""
        return seq == 0 or bool(self._rows(_HAS_EVENT, seq=seq, head=head))

    def waived(self) -> frozenset[str]:
        """Return the heads that a run with --new-history did without."""
        with reading(self._url):
            return frozenset(json.loads(self._meta().get("waived", "[]")))

    def chain(self) -> Iterator[AuditEntry]:
        """Yield every event of the lane, oldest first."""
        return audit(self._url, self._lane)

    def heads_before_runs(self) -> list[ChainPosition]:
        """Return where each run begins in the chain, oldest first."""
        return [ChainPosition(*row) for row in self._rows(_HEADS, genesis=GENESIS)]

    def _meta(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in self._rows(_META)}

    def _runs(self, run_id: str | None, limit: int) -> list[JournalledRun]:
        with reading(self._url):
            return [
                self._seen(no, RunRecord.from_json(json.loads(record)), finished=bool(finished))
                for no, record, finished in self._rows(_RUNS, id=run_id, limit=limit)
            ]

    def _seen(self, no: int, record: RunRecord, *, finished: bool) -> JournalledRun:
        counts: Counter[Outcome] = Counter()
        under_way = not_selected = 0
        for action, own, claimed, wanted, claimed_to, number in self._rows(_COUNTS, run=no):
            is_there = same_destination(wanted, claimed_to)
            counts[outcome_of(Action(action), own, claimed, is_there=is_there)] += number
            under_way += number if is_under_way(own or claimed) else 0
            not_selected += number if action == Action.NOT_SELECTED else 0
        return JournalledRun(no, record, finished, counts, under_way, not_selected)

    def _unknown(self, run_id: str) -> UsageError:
        return UsageError(f"no run {run_id} in {self._url}; {self._nearest_run(run_id)}")

    def _nearest_run(self, run_id: str) -> str:
        known = [
            RunRecord.from_json(json.loads(record)).id
            for _, record, _ in self._rows(_RUNS, id=None, limit=1000)
        ]
        if not known:
            return "it has no runs yet"
        if near := get_close_matches(run_id, known, n=1, cutoff=0.6):
            return f"did you mean {near[0]}?"
        return f"the newest are: {', '.join(known[:5])}"

    def _nearest_key(self, run: int, key: str) -> str:
        doubts = [seen.key for seen in self.held_by_run(run, KEYS_COMPARED)]
        keys = [str(known) for (known,) in self._rows(_KEYS, run=run, limit=KEYS_COMPARED)]
        for known in (doubts, keys):
            if near := get_close_matches(key, known, n=1, cutoff=0.6):
                return f"did you mean {near[0]}?"
        if doubts:
            return f"in doubt there: {', '.join(doubts[:5])}"
        return "nothing of that run is in doubt"

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
