"""Reading the journal: always read-only, while a run goes on or after it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from runner.core.errors import UsageError
from runner.core.records.audit_chain import GENESIS
from runner.core.records.row_text import read_found_at, read_ladder, read_names
from runner.core.records.run_record import (
    Figures,
    ReportSource,
    RunRecord,
)
from runner.core.transfer.evidence import Baseline, SendClocks
from runner.core.transfer.plan import Claim, PlannedRow
from runner.core.transfer.states import State
from runner.journal.claims import claims
from runner.journal.connection import connect, has_column, has_table, reading
from runner.journal.manifest_store import read_manifest
from runner.journal.report_query import audit, read_figures, transfers
from runner.ports import Doubt, Intent, JournalledTransfer

T = TypeVar("T")

_PENDING = (
    "SELECT n, key, interaction_id, destination_uri, media, callbacks, source, {found_at}, lineage,"
    " failed_as, action = 'changed' FROM rows JOIN ladders ON ladders.id = ladder"
    " WHERE run = ?1 AND n > ?2 AND action IN ('send', 'changed')"
    " AND (failed_as IS NOT NULL) = ?4 ORDER BY n LIMIT ?3"
)
_DOUBTS = (
    "SELECT t.id, t.lineage, t.version, t.state,"
    " (SELECT max(n) FROM deliveries WHERE transfer = t.id), e.body, coalesce(r.n, -1),"
    " coalesce(r.key, t.key), t.interaction_id, t.destination_uri,"
    " coalesce(l.media, ol.media), coalesce(r.callbacks, o.callbacks),"
    " coalesce(r.source, o.source), {found_at}, {left_out}, o.action = 'changed',"
    " EXISTS (SELECT 1 FROM outbox WHERE transfer = t.id AND outcome = 'in_doubt')"
    " FROM transfers t"
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
_LEFT_OUT = "EXISTS (SELECT 1 FROM left_out x WHERE x.run = ?1 AND x.n = r.n)"
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
        with reading(path):
            self._connection = connect(path)
            # A journal that is only read may have been made before the column.
            keeps_places = has_column(self._connection, "rows", "found_at")
        self._found_at = "found_at" if keeps_places else "NULL"
        self._one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def pending(
        self, run: int, after: int, limit: int, *, failed_before: bool = False
    ) -> list[PlannedRow]:
        """Return up to `limit` rows of a run's plan that are to be sent, behind row `after`.

        Of those that were rejected or failed before, or of the others.
        """
        asked = (run, after, limit, failed_before)
        with self._one_at_a_time, reading(self.path):
            query = _PENDING.format(found_at=self._found_at)
            rows = self._connection.execute(query, asked).fetchall()
            return [_planned_row(row) for row in rows]

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
        """Return the transfer that a delivery belongs to, of whatever run."""
        with self._one_at_a_time, reading(self.path):
            found = self._connection.execute(
                "SELECT r.n, r.key, r.interaction_id, r.destination_uri, l.media, r.callbacks,"
                " r.source, NULL, r.lineage, r.failed_as, t.id, t.lineage, t.version, t.state,"
                " t.reason_code, d.n"
                " FROM deliveries d JOIN transfers t ON t.id = d.transfer"
                " JOIN rows r ON r.run = t.run AND r.n = t.n JOIN ladders l ON l.id = r.ladder"
                " WHERE d.message_id = ?",
                [message_id],
            ).fetchone()
            if found is None:
                return None
            *row, transfer_id, lineage, version, state, code, n = found
            return JournalledTransfer(
                _planned_row(row), transfer_id, lineage, version, State(state), n, code
            )

    def doubts(self, run: int) -> list[Doubt]:
        """Return every transfer in doubt, with this run's row where it lists and selects it."""
        with self._one_at_a_time, reading(self.path):
            is_kept = self._found_at != "NULL"
            query = _DOUBTS.format(
                found_at="coalesce(r.found_at, o.found_at)" if is_kept else "NULL",
                left_out=_LEFT_OUT if has_table(self._connection, "left_out") else "0",
            )
            rows = self._connection.execute(query, [run]).fetchall()
        with reading(self.path):
            return [self._doubt(row) for row in rows]

    def doubts_elsewhere(self, run: int) -> list[tuple[str, str, str]]:
        """Return (run, key, interaction) of doubts that no row of the run's plan names."""
        with self._one_at_a_time, reading(self.path):
            return self._connection.execute(_DOUBTS_ELSEWHERE, [run]).fetchall()

    def _doubt(self, row: Sequence[Any]) -> Doubt:
        transfer_id, lineage, version, state, n, body, row_n, key, *rest = row
        uri, media, callbacks, source, found_at, left_out, changed, notified = rest[1:]
        planned = _planned_row(
            (row_n, key, rest[0], uri, media, callbacks, source, found_at, lineage, None, changed)
        )
        return Doubt(
            JournalledTransfer(planned, transfer_id, lineage, version, State(state), n),
            row_n >= 0 and not left_out,
            self.message_ids(lineage),
            _intent(json.loads(body)),
            bool(notified),
        )

    def claims(self, wanted: Iterable[tuple[T, str]]) -> Iterator[tuple[T, Sequence[Claim]]]:
        """Yield the transfers of each interaction that has any, oldest first."""
        return claims(self.path, wanted)

    def outbox(self, after: int, limit: int) -> list[tuple[int, str, str, str, int]]:
        """Return pending callbacks behind number `after`: (number, id, callback, body, attempts)."""
        with self._one_at_a_time, reading(self.path):
            rows = self._connection.execute(
                "SELECT no, webhook_id, callback, body, attempts FROM outbox"
                " WHERE state = 'pending' AND no > ? ORDER BY no LIMIT ?",
                (after, limit),
            ).fetchall()
            for *_, body, _attempts in rows:
                json.loads(body)["outcome"]  # of a damaged journal perhaps none
            return rows

    def callbacks_owed(self) -> int:
        """Return how many callbacks are pending, of whatever run."""
        with self._one_at_a_time, reading(self.path):
            (owed,) = self._connection.execute(
                "SELECT count(*) FROM outbox WHERE state = 'pending'"
            ).fetchone()
        return int(owed)

    def run_number(self, run_id: str) -> int:
        """Return a run's number; `latest` is the newest. Raises `UsageError` for no such run."""
        where = ("", ()) if run_id == "latest" else (" WHERE id = ?", (run_id,))
        with self._one_at_a_time, reading(self.path):
            found = self._connection.execute(
                f"SELECT no FROM runs{where[0]} ORDER BY no DESC LIMIT 1",  # noqa: S608 - bound
                where[1],
            ).fetchone()
            known = self._connection.execute("SELECT id FROM runs ORDER BY no DESC LIMIT 5")
            if found is None:
                names = ", ".join(run for (run,) in known) or "none"
                raise UsageError(f"no run {run_id} in {self.path}; the newest are: {names}")
        return int(found[0])

    def report_source(self, run: int, explanation: str | None = None) -> ReportSource:
        """Return everything that a run's report is rendered from, streaming.

        `explanation` is why a run that has not been finished ended: what had no turn is told it.
        """
        with self._one_at_a_time, reading(self.path):
            record, figures, previous = self._connection.execute(
                "SELECT record, figures, previous FROM runs WHERE no = ?", [run]
            ).fetchone()
            told = RunRecord(**json.loads(record))
            manifest = read_manifest(self._connection, told.manifest_sha256)
            ended = read_figures(json.loads(figures)) if figures else Figures()
        reason = told.explanation or explanation or "the run ended before its turn"
        return ReportSource(
            told,
            lambda: transfers(self.path, run, reason, told.waves),
            ended,
            audit=lambda: audit(self.path, run),
            audit_previous=previous or GENESIS,
            manifest=manifest,
        )


def _intent(body: dict[str, Any]) -> Intent:
    baseline = body["baseline"]
    return Intent(
        body["n"],
        body["message_id"],
        body["media_index"],
        body["message"],
        SendClocks(**body["hand_over"]),
        None if baseline is None else Baseline.from_json(baseline),
    )


def _planned_row(row: Sequence[Any]) -> PlannedRow:
    n, key, interaction_id, uri, media, callbacks, source, found_at, lineage, *rest = row
    failed_as, *changed = rest
    return PlannedRow(
        n, key, interaction_id, uri, read_ladder(media), read_names(callbacks), source, lineage,
        was_elsewhere=any(changed), failed_as=failed_as, found_at=read_found_at(found_at),
    )  # fmt: skip
