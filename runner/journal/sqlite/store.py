"""The journal's file: opened, checked, and written in transactions. One writer; see `writer`."""

from __future__ import annotations

import json
import os
import re
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

from runner.core.errors import StorageError
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.audit_chain import GENESIS, canonical, link
from runner.core.records.chained_record import RUN_BEGUN, begun_fields, ended_fields
from runner.core.records.row_codec import ROW, write_ladder
from runner.core.transfer.plan_decision import Decision
from runner.core.transfer.reasons import WORDS, Code
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event, State, step
from runner.journal.event_body import body_of
from runner.journal.sql_lists import IN_UNDER_WAY
from runner.journal.sqlite.connection import (
    DAMAGE,
    damage,
)
from runner.journal.sqlite.entry_rows import MOST_AT_ONCE, prepare, record, row_of
from runner.journal.sqlite.format_check import WAIVED, claim, read_waived
from runner.journal.sqlite.manifest_store import keep_manifest
from runner.journal.sqlite.schema import FORMAT, JOURNAL
from runner.journal.sqlite.state_check import check_states, store_digest
from runner.journal.writer import JournalWriter
from runner.ports import Entry, Note
from runner.ports.history import NO_PROVENANCE, History, Provenance

_LOSE_TRANSFER = (
    "UPDATE transfers SET state = ?, version = version + 1, reason = ?, reason_code = ?"
    " WHERE id = ? AND version = ?"
)
_LOSE_DELIVERY = (
    "UPDATE deliveries SET event = ?, settled_at = NULL, reason = ? WHERE transfer = ? AND n = ?"
)
_DECIDED = ("action", "reason", "claim", "lineage", "failed_as")
"""What a plan keeps of a decision; what else it says, the history holds."""
_ROW_COLUMNS = (*ROW.columns, "run", "n", *_DECIDED, "left_out")
_INSERT_ROW = (
    f"INSERT INTO rows({', '.join(_ROW_COLUMNS)})"  # noqa: S608 - of constants
    f" VALUES (?{', ?' * (len(_ROW_COLUMNS) - 1)})"
)
_decided = attrgetter(*_DECIDED)


class Store:
    """The read-write connection. Every method is one transaction, durable when it returns.

    Raises `StorageError`, after which the store must not be used again.
    """

    most_at_once = MOST_AT_ONCE

    def __init__(self, path: Path, *, environment: str, origin: str) -> None:
        self.path = path
        self.is_new = not path.exists()
        self._connection = _open(path, environment=environment, origin=origin)
        try:
            with _translated(path):
                check_states(self._connection, path)
                self.lineage_id = self._meta("lineage")
                last = self._connection.execute("SELECT seq, hash FROM events ORDER BY seq DESC")
                row = last.fetchone() or (0, GENESIS)
                newest = self._connection.execute("SELECT max(id) FROM transfers").fetchone()
        except StorageError:
            self._connection.close()
            raise
        self.seq: int = row[0]
        self.head: str = row[1]
        self.last_transfer_id: int = newest[0] or 0
        self.run_no = 0
        self.run_id = ""

    def begin_run(
        self,
        run_id: str,
        record: Mapping[str, Any],
        *,
        at: float,
        manifest: ManifestExcerpt | None = None,
        **fields: Any,
    ) -> None:
        """Store that a run begins, its manifest's excerpt, and the record and `fields` in its first event.

        Its events follow in the chain.
        """

        def write() -> None:
            keep_manifest(self._connection, record["manifest_sha256"], manifest)
            cursor = self._connection.execute(
                "INSERT INTO runs(id, batch, started_at, record, previous) VALUES (?,?,?,?,?)",
                (run_id, record["batch"], record["started_at"], canonical(record), self.head),
            )
            assert cursor.lastrowid is not None  # noqa: S101 - an INSERT has one
            self.run_no, self.run_id = cursor.lastrowid, run_id
            self._append([Note(RUN_BEGUN, at, {**begun_fields(record), **fields})])

        self._transaction(write)
        _sync_folder(self.path.parent)  # the -wal file's name must survive a power cut too

    def has_event(self, seq: int, head: str) -> bool:
        """Return whether the chain's event `seq` has the hash `head`."""
        found = self._connection.execute("SELECT hash FROM events WHERE seq = ?", [seq]).fetchone()
        return found is not None and found[0] == head

    def waived(self) -> frozenset[str]:
        """Return the heads that a run with --new-history did without."""
        with _translated(self.path):
            meta = self._connection.execute("SELECT name, value FROM meta").fetchall()
        return read_waived(dict(meta))

    def provenance(self) -> Provenance:
        """Return none: a file is known by its place."""
        return NO_PROVENANCE

    def caveats(self) -> Sequence[str]:
        """Return nothing: what is acknowledged is on this host's disk."""
        return ()

    def waive(self, heads: Collection[str], *, at: float) -> None:
        """Store that the run does without the histories that have these heads."""
        known = json.dumps(sorted(self.waived() | set(heads)))

        def write() -> None:
            self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (WAIVED, known))
            self._append([Note("history waived", at, {"heads": sorted(heads)})])

        self._transaction(write)

    def store_plan(self, plan: Callable[[], Iterable[tuple[PlannedRow, Decision]]]) -> None:
        """Store the run's plan; its rows stay as they are from here on."""

        def write() -> None:
            ladders: dict[object, int] = {}
            self._connection.executemany(
                _INSERT_ROW,
                (self._plan_row(row, decision, ladders) for row, decision in plan()),
            )

        self._transaction(write)

    def interrupted(self) -> list[tuple[int, int, int, str]]:
        """Return (id, version, delivery, state) of transfers that a dead run left under way."""
        with _translated(self.path):
            return self._connection.execute(
                "SELECT t.id, t.version, max(d.n), t.state FROM transfers t"  # noqa: S608 - of constants
                " JOIN deliveries d ON d.transfer = t.id"
                f" WHERE t.state {IN_UNDER_WAY} GROUP BY t.id"
            ).fetchall()

    def recover(self, *, at: float) -> int:
        """Put in doubt what a run that died left under way; return how many there were."""
        left = self.interrupted()

        def write() -> None:
            reason, code = WORDS[Code.RUN_DIED], str(Code.RUN_DIED)
            for transfer_id, version, n, state in left:
                after = step(State(state), Event.LOST)
                self._connection.execute(
                    _LOSE_TRANSFER, (after, reason, code, transfer_id, version)
                )
                self._connection.execute(_LOSE_DELIVERY, (Event.LOST, reason, transfer_id, n))
                fields = {"transfer": transfer_id, "n": n, "reason": reason, "reason_code": code}
                self._append([Note(Event.LOST, at, fields)])

        if left:
            self._transaction(write)
        return len(left)

    def may_write(self) -> bool:
        """Return True: the file's lock lasts as long as the process."""
        return True

    def record(self, entries: Sequence[Entry | Note]) -> None:
        """Append events and change the tables accordingly, in one transaction."""
        alone = len(entries) <= MOST_AT_ONCE  # one statement is a transaction by itself
        self._transaction(lambda: self._append(entries), alone=alone)

    def start_writer(self, history: History) -> JournalWriter:
        """Return the run's journal, which writes in a thread of its own from now on."""
        # It brings asyncio, a tenth of the start of a command that sends nothing.
        return JournalWriter(self, history)

    def finish_run(self, record: Mapping[str, Any], figures: Mapping[str, Any], at: float) -> None:
        """Store how the run ended, in its last event too."""

        def write() -> None:
            self._append([Note(Note.RUN_ENDED, at, ended_fields(record, figures))])
            self._connection.execute(
                "UPDATE runs SET record = ?, figures = ?, finished_at = ? WHERE no = ?",
                (canonical(record), canonical(figures), record["finished_at"], self.run_no),
            )
            store_digest(self._connection, self.seq)

        self._transaction(write)

    def seal(self) -> None:
        """Store what the transfers are now, so that damage shows when the journal is opened."""
        self._transaction(lambda: store_digest(self._connection, self.seq))

    def settle_callback(
        self, webhook_id: str, *, state: str, attempts: int, reason: str | None, at: float
    ) -> None:
        """Store what became of a callback; `state` `pending` leaves it to the next run."""

        def write() -> None:
            self._connection.execute(
                "UPDATE outbox SET state = ?, attempts = ?, reason = ? WHERE webhook_id = ?",
                (state, attempts, reason, webhook_id),
            )
            fields = {"webhook_id": webhook_id, "attempts": attempts, "reason": reason}
            self._append([Note(f"callback {state}", at, fields)])

        self._transaction(write)

    def close(self) -> None:
        """Close the file; what was recorded is durable already."""
        self._connection.close()

    def _meta(self, name: str) -> str:
        (value,) = self._connection.execute(
            "SELECT value FROM meta WHERE name = ?", [name]
        ).fetchone()
        return str(value)

    def _plan_row(
        self, row: PlannedRow, decision: Decision, ladders: dict[object, int]
    ) -> list[object]:
        ladder = ladders.get(row.media)
        if ladder is None:
            text = [write_ladder(row.media)]
            self._connection.execute("INSERT OR IGNORE INTO ladders(media) VALUES (?)", text)
            found = self._connection.execute("SELECT id FROM ladders WHERE media = ?", text)
            ladder = ladders[row.media] = found.fetchone()[0]
        values = ROW.write(row, ladder)
        values += (self.run_no, row.n, *_decided(decision), bool(decision.left_out))
        return values

    def _append(self, entries: Iterable[Entry | Note]) -> None:
        rows = []
        for entry in entries:
            body = canonical(body_of(entry, self.run_id))
            self.seq, self.head = self.seq + 1, link(self.head, body)
            rows.append(row_of(entry, self.run_no, self.seq, body, self.head))
        record(self._connection, rows)

    def _transaction(self, write: Callable[[], None], *, alone: bool = False) -> None:
        """Call `write` in a transaction; `alone`: it is a single statement."""
        seq, head = self.seq, self.head
        try:
            if alone:
                write()
            else:
                self._connection.execute("BEGIN IMMEDIATE")
                write()
                self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.seq, self.head = seq, head
            raise StorageError(
                f"the journal {self.path} could not be written ({error}); nothing more was sent."
                " Fix the cause (disk full? read-only? damaged?), then run apply again"
            ) from error


def _open(path: Path, *, environment: str, origin: str) -> sqlite3.Connection:
    with _translated(path):
        _clear_unfinished(path)
        if not path.exists():
            _create(path, environment=environment, origin=origin)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        with _translated(path):
            _configure(connection)
            claim(connection, path, origin)
            prepare(connection)
    except StorageError:
        connection.close()
        raise
    return connection


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (*DAMAGE, OSError) as error:
        raise StorageError(
            f"the journal {path} cannot be opened ({damage(error)}); it may be damaged or not writable."
            " Restore it from a copy, or name another with --journal"
        ) from error


def _create(path: Path, *, environment: str, origin: str) -> None:
    """Make the file under a temporary name and move it, so that it exists whole or not at all.

    With a rollback journal, not yet WAL: a full disk then fails the commit, where closing a WAL
    would pass over it in silence and leave a file without what the log held.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    connection = sqlite3.connect(unfinished, isolation_level=None)
    meta = {
        "format": str(FORMAT),
        "lineage": secrets.token_hex(16),
        "environment": environment,
        "origin": origin,
    }
    try:
        _sync_fully(connection)
        connection.executescript("BEGIN;" + JOURNAL)
        connection.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        connection.execute("COMMIT")
        connection.close()
        unfinished.replace(path)
    except (sqlite3.Error, OSError):
        connection.close()
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _clear_unfinished(path: Path) -> None:
    """Remove what a process that was killed while it made this journal left of it.

    A process that opens a journal to write holds its lock: no other makes one at the same time.
    """
    unfinished = re.compile(re.escape(path.name) + r"\.[0-9a-f]{8}\.new(-journal)?")
    if not path.parent.is_dir():
        return
    for found in path.parent.iterdir():
        if unfinished.fullmatch(found.name) and found.is_file() and not found.is_symlink():
            found.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    _sync_fully(connection)
    connection.execute("PRAGMA wal_autocheckpoint=4000")
    connection.execute("PRAGMA cache_size=-16000")


def _sync_fully(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA fullfsync=ON")
    connection.execute("PRAGMA checkpoint_fullfsync=ON")
