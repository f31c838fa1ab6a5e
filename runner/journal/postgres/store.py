"""One lane of the journal, written in transactions by the process that owns it; see `writer`."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from runner.core.errors import StorageError
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.audit_chain import canonical, link
from runner.core.records.chained_record import RUN_BEGUN, begun_fields, ended_fields
from runner.core.records.row_codec import ROW, write_ladder
from runner.core.transfer.plan_decision import Decision
from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event, State, step
from runner.journal.event_body import body_of
from runner.journal.postgres.batch import (
    MOST_AT_ONCE,
    RECORD,
    batches,
    columns,
    owed_by,
    row_of,
    storable,
)
from runner.journal.postgres.connection import Connection, ask, translated
from runner.journal.postgres.lane_meta import PLACE, SERVER, caveats_of, provenance_of
from runner.journal.postgres.lane_session import LaneSession
from runner.journal.postgres.server_identity import keep_place
from runner.journal.sql_lists import IN_UNDER_WAY
from runner.journal.writer import JournalWriter
from runner.ports import Entry, Note
from runner.ports.history import History, Provenance

_META = "SELECT name, value FROM runner.meta WHERE lane = %(lane)s"
_DURABILITY = "SELECT value FROM runner.journal WHERE name = 'durability'"
_SET_META = (
    "INSERT INTO runner.meta(lane, name, value) VALUES (%(lane)s, %(name)s, %(value)s)"
    " ON CONFLICT (lane, name) DO UPDATE SET value = excluded.value"
)
_NEWEST = "SELECT coalesce(max(id), 0) FROM runner.transfers WHERE lane = %(lane)s"
_HAS_EVENT = (
    "SELECT 1 FROM runner.events WHERE lane = %(lane)s AND seq = %(seq)s AND hash = %(head)s"
)
_APPEND = (
    "INSERT INTO runner.events(lane, seq, run, epoch, body, hash)"
    " VALUES (%(lane)s, %(seq)s, %(run)s, %(epoch)s, %(body)s, %(hash)s)"
)
_BEGIN_RUN = (
    "INSERT INTO runner.runs(lane, no, id, batch, started_at, record, previous)"
    " OVERRIDING SYSTEM VALUE VALUES"
    " (%(lane)s, %(no)s, %(id)s, %(batch)s, %(started_at)s, %(record)s, %(previous)s)"
)
_NEXT_RUN = "SELECT nextval(pg_get_serial_sequence('runner.runs', 'no'))"
_FINISH_RUN = (
    "UPDATE runner.runs SET record = %(record)s, figures = %(figures)s,"
    " finished_at = %(finished_at)s WHERE lane = %(lane)s AND no = %(no)s"
)
_KEEP_MANIFEST = (
    "INSERT INTO runner.manifests(lane, sha256, excerpt) VALUES (%(lane)s, %(sha256)s, %(excerpt)s)"
    " ON CONFLICT (lane, sha256) DO UPDATE SET excerpt = excluded.excerpt"
)
_LADDERS = "SELECT media, id FROM runner.ladders WHERE lane = %(lane)s"
_ADD_LADDER = "INSERT INTO runner.ladders(lane, id, media) VALUES (%(lane)s, %(id)s, %(media)s)"
_HAS_PLAN = "SELECT EXISTS (SELECT 1 FROM runner.rows WHERE lane = %(lane)s AND run = %(run)s)"
_COPY_ROWS = (
    f"COPY runner.rows(lane, run, n, {', '.join(ROW.columns)}, action, reason, claim, lineage,"
    " failed_as, left_out) FROM STDIN"
)
_INTERRUPTED = (
    "SELECT t.id, t.version, max(d.n), t.state FROM runner.transfers t"  # noqa: S608 - of constants
    " JOIN runner.deliveries d ON d.lane = t.lane AND d.transfer = t.id"
    f" WHERE t.lane = %(lane)s AND t.state {IN_UNDER_WAY} GROUP BY t.lane, t.id"
    " ORDER BY t.id"
)
_LOSE_TRANSFER = (
    "UPDATE runner.transfers SET state = %(state)s, version = version + 1, reason = %(reason)s,"
    " reason_code = %(code)s WHERE lane = %(lane)s AND id = %(id)s AND version = %(version)s"
)
_LOSE_DELIVERY = (
    "UPDATE runner.deliveries SET event = %(event)s, settled_at = NULL, reason = %(reason)s"
    " WHERE lane = %(lane)s AND transfer = %(id)s AND n = %(n)s"
)
_SETTLE = (
    "UPDATE runner.outbox SET state = %(state)s, attempts = %(attempts)s, reason = %(reason)s"
    " WHERE lane = %(lane)s AND webhook_id = %(webhook_id)s"
)

_Write = Callable[[Connection], None]


class Store:
    """A lane opened to write. Every method is one transaction, durable when it returns.

    Raises `StorageError`, after which the store must not be used again, and `Fenced` once another
    process owns the lane.
    """

    most_at_once = MOST_AT_ONCE

    def __init__(self, session: LaneSession, *, environment: str, origin: str) -> None:
        self._session = session
        self._lane = session.lane
        self.run_no = 0
        self.run_id = ""
        with translated(session.url):
            meta = self._meta()
            self.is_new = "lineage" not in meta
            ((self.last_transfer_id,),) = self._ask(_NEWEST)
        wanted = {"origin": origin, SERVER: str(session.server)}
        if self.is_new:
            wanted |= {"environment": environment, "lineage": secrets.token_hex(16)}
        elif meta["origin"] != origin and self.last_transfer_id:
            raise StorageError(
                f"the journal {session.url} belongs to the gateway {meta['origin']},"
                f" not to {origin}; name another journal with --journal"
            )
        if PLACE not in meta or wanted.items() - meta.items():

            def write(connection: Connection) -> None:
                self._set(connection, wanted)
                if PLACE not in meta:
                    keep_place(connection, self._lane)

            self._commit(_moved(meta, wanted), write)
        self.lineage_id = (meta | wanted)["lineage"]

    @property
    def seq(self) -> int:
        """The number of the chain's last event."""
        return self._session.seq

    @property
    def head(self) -> str:
        """The hash of the chain's last event."""
        return self._session.head

    def may_write(self) -> bool:
        """Return whether the lease lets a frame leave now. Raises `StorageError` if it is lost."""
        return self._session.lease.may_write()

    def begin_run(
        self,
        run_id: str,
        record: Mapping[str, Any],
        *,
        at: float,
        manifest: ManifestExcerpt | None = None,
        **fields: Any,
    ) -> None:
        """Store that a run begins, its manifest's excerpt, and the record and `fields` in its first event."""
        with translated(self._session.url):
            ((run_no,),) = self._ask(_NEXT_RUN)
        values = {
            "no": run_no, "id": run_id, "batch": record["batch"],
            "started_at": record["started_at"], "record": canonical(record), "previous": self.head,
        }  # fmt: skip

        def write(connection: Connection) -> None:
            if manifest is not None:
                text = canonical({"lines": manifest.lines, "total": manifest.total})
                named = {"sha256": record["manifest_sha256"], "excerpt": text}
                self._do(connection, _KEEP_MANIFEST, named)
            self._do(connection, _BEGIN_RUN, values)

        self.run_no, self.run_id = int(run_no), run_id
        self._commit([Note(RUN_BEGUN, at, {**begun_fields(record), **fields})], write)

    def has_event(self, seq: int, head: str) -> bool:
        """Return whether the chain's event `seq` has the hash `head`."""
        if seq == 0:
            return True
        with translated(self._session.url):
            return bool(self._ask(_HAS_EVENT, {"seq": seq, "head": head}))

    def waived(self) -> frozenset[str]:
        """Return the heads that a run with --new-history did without."""
        with translated(self._session.url):
            return frozenset(json.loads(self._meta().get("waived", "[]")))

    def provenance(self) -> Provenance:
        """Return the server that the lane is written on, and the adoptions of its database."""
        with translated(self._session.url):
            return provenance_of(self._meta())

    def caveats(self) -> Sequence[str]:
        """Return what a failover may lose, and who accepted a database that may have lost it."""
        with translated(self._session.url):
            ((durability,),) = self._ask(_DURABILITY)
            return caveats_of(self._meta(), str(durability))

    def waive(self, heads: Collection[str], *, at: float) -> None:
        """Store that the run does without the histories that have these heads."""
        known = json.dumps(sorted(self.waived() | set(heads)))
        self._commit(
            [Note("history waived", at, {"heads": sorted(heads)})],
            lambda connection: self._set(connection, {"waived": known}),
        )

    def store_plan(self, plan: Callable[[], Iterable[tuple[PlannedRow, Decision]]]) -> None:
        """Store the run's plan; its rows stay as they are from here on.

        It is read again if its transaction has to be written again, because its answer was lost.
        """

        def write(connection: Connection) -> None:
            at = {"lane": self._lane, "run": self.run_no}
            if not ask(connection, _HAS_PLAN, at)[0][0]:
                self._copy_plan(connection, plan())
            self._with_plan(connection)

        self._commit([], write)

    def _copy_plan(
        self, connection: Connection, plan: Iterable[tuple[PlannedRow, Decision]]
    ) -> None:
        ladders: dict[str, int] = dict(ask(connection, _LADDERS, {"lane": self._lane}))
        known = len(ladders)
        last = max(ladders.values(), default=0)
        with connection.cursor() as cursor, cursor.copy(_COPY_ROWS) as copy:
            for row, decision in plan:
                ladder = ladders.setdefault(write_ladder(row.media), last + 1)
                last = max(last, ladder)
                copy.write_row(self._plan_row(row, decision, ladder))
        for text, number in islice(ladders.items(), known, None):
            self._do(connection, _ADD_LADDER, {"id": number, "media": text})

    def recover(self, *, at: float) -> int:
        """Put in doubt what a run that died left under way; return how many there were."""
        with translated(self._session.url):
            left = self._ask(_INTERRUPTED)
        reason, code = WORDS[Code.RUN_DIED], str(Code.RUN_DIED)
        notes = [
            Note(
                Event.LOST,
                at,
                {"transfer": transfer, "n": n, "reason": reason, "reason_code": code},
            )
            for transfer, _, n, _ in left
        ]

        def write(connection: Connection) -> None:
            for transfer, version, n, state in left:
                values = {
                    "id": transfer, "version": version, "n": n, "reason": reason, "code": code,
                    "state": str(step(State(state), Event.LOST)), "event": str(Event.LOST),
                }  # fmt: skip
                self._do(connection, _LOSE_TRANSFER, values)
                self._do(connection, _LOSE_DELIVERY, values)

        if left:
            self._commit(notes, write)
        return len(left)

    def record(self, entries: Sequence[Entry | Note]) -> None:
        """Append events and change the tables accordingly, in one transaction."""
        parts = list(batches(entries))
        seq, head = self.seq, self.head
        calls: list[list[Any]] = []
        for part in parts:
            rows, before = [], (seq, head)
            for entry in part:
                body = canonical(body_of(entry, self.run_id))
                seq, head = seq + 1, link(head, body)
                rows.append(row_of(entry, body, head))
            lane = (self._lane, self._session.epoch, *before, seq, head, self.run_no)
            calls.append([*lane, owed_by(part), *columns(rows)])

        def write(connection: Connection) -> None:
            for call in calls:
                connection.execute(RECORD.encode(), call)

        if len(calls) == 1:
            self._session.commit(seq, head, write, alone=True)
        else:
            self._session.commit(seq, head, lambda made: _together(made, write), alone=True)

    def start_writer(self, history: History) -> JournalWriter:
        """Return the run's journal, which writes in a thread of its own from now on."""
        # It brings asyncio, a tenth of the start of a command that sends nothing.
        return JournalWriter(self, history)

    def finish_run(self, record: Mapping[str, Any], figures: Mapping[str, Any], at: float) -> None:
        """Store how the run ended, in its last event too."""
        values = {
            "record": canonical(record), "figures": canonical(figures), "no": self.run_no,
            "finished_at": record["finished_at"],
        }  # fmt: skip

        def write(connection: Connection) -> None:
            self._do(connection, _FINISH_RUN, values)
            self._with_run_end(connection, record)

        self._commit([Note(Note.RUN_ENDED, at, ended_fields(record, figures))], write)

    def seal(self) -> None:
        """Leave it to the server, whose pages have checksums, to notice damage."""

    def settle_callback(
        self, webhook_id: str, *, state: str, attempts: int, reason: str | None, at: float
    ) -> None:
        """Store what became of a callback; `state` `pending` leaves it to the next run."""
        values = {
            "webhook_id": webhook_id, "state": state, "attempts": attempts,
            "reason": None if reason is None else storable(reason),
        }  # fmt: skip
        fields = {"webhook_id": webhook_id, "attempts": attempts, "reason": reason}
        self._commit(
            [Note(f"callback {state}", at, fields)],
            lambda connection: self._do(connection, _SETTLE, values),
        )

    def close(self) -> None:
        """Do nothing: the lane stays ours until its lock is released."""

    def _with_plan(self, connection: Connection) -> None:
        """Write what belongs to the transaction that stores the plan: here nothing."""

    def _with_run_end(self, connection: Connection, record: Mapping[str, Any]) -> None:
        """Write what belongs to the transaction that ends the run: here nothing."""

    def _commit(self, notes: Sequence[Note], write: _Write) -> None:
        """Append notes to the chain, and call `write`, in one transaction."""
        seq, head = self.seq, self.head
        events = []
        for note in notes:
            body = canonical(body_of(note, self.run_id))
            seq, head = seq + 1, link(head, body)
            events.append({"seq": seq, "run": self.run_no, "body": body, "hash": head})

        def whole(connection: Connection) -> None:
            for event in events:
                self._do(connection, _APPEND, event | {"epoch": self._session.epoch})
            write(connection)

        self._session.commit(seq, head, whole)

    def _plan_row(self, row: PlannedRow, decision: Decision, ladder: int) -> tuple[object, ...]:
        return (
            self._lane, self.run_no, row.n, *ROW.write(row, ladder),
            str(decision.action), decision.reason, decision.claim, decision.lineage,
            None if decision.failed_as is None else str(decision.failed_as), bool(decision.left_out),
        )  # fmt: skip

    def _set(self, connection: Connection, meta: Mapping[str, str]) -> None:
        for name, value in meta.items():
            self._do(connection, _SET_META, {"name": name, "value": value})

    def _do(self, connection: Connection, query: str, values: Mapping[str, Any]) -> None:
        connection.execute(query.encode(), {"lane": self._lane, **values})

    def _ask(self, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return ask(self._session.connection, query, {"lane": self._lane, **(values or {})})

    def _meta(self) -> dict[str, str]:
        return {str(name): str(value) for name, value in self._ask(_META)}


def _moved(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[Note]:
    """Return the event of a lane that a promoted standby goes on with; none: the same server."""
    if SERVER not in before or before[SERVER] == now[SERVER]:
        return []
    servers = {"server_before": before[SERVER], "server": now[SERVER]}
    return [Note("database failed over", time.time(), servers)]


def _together(connection: Connection, write: _Write) -> None:
    with connection.transaction():
        write(connection)
