"""Submissions and workers in the journal's database: the queue decides who tries, the lease who may.

A small table is the queue. A submission's state changes in the transactions of its lane, which the
fence guards, so that it needs no locks, heartbeats or rescue of its own: a run that died leaves its
submission `running`, and who may take the lane may take the submission.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO

import psycopg

from runner.core.errors import StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.journal.postgres.access import right_to_take
from runner.journal.postgres.connection import (
    Connection,
    JournalUrl,
    ask,
    check_made,
    connect,
    translated,
)
from runner.journal.postgres.control_schema import BUSY
from runner.journal.postgres.fleet_schema import PIECE
from runner.journal.postgres.lease import TTL_S, LaneState, Watcher
from runner.journal.postgres.owner import holder_of
from runner.journal.postgres.submission_store import SubmissionLane
from runner.ports.fleet import (
    FleetState,
    LaneOwner,
    NewSubmission,
    Submission,
    SubmissionState,
    WorkerState,
    check_size,
)
from runner.ports.journal_access import Lane

LOCK_S = 0.5
"""How long a statement on submissions and workers waits for a lock: a worker has orders to look for."""

BEAT_S = 2.0
"""How often a worker that does the same as before says that it is there."""

MOST_SHOWN = 50
"""Submissions that are over and are still shown."""

_ADD = (
    "INSERT INTO runner.submissions(environment, batch, manifest, options, submitted_from, not_before)"
    " VALUES (%(environment)s, %(batch)s, %(manifest)s, %(options)s, %(by)s,"
    " to_timestamp(%(not_before)s)) RETURNING id"
)
_ADD_PIECE = (
    "INSERT INTO runner.submission_files(submission, name, part, content)"
    " VALUES (%(id)s, %(name)s, %(part)s, %(content)b)"
)


def _moment(column: str) -> str:
    """Return an expression for a time in UTC as a text: the client cannot hold each time that there is."""
    at = f"{column} AT TIME ZONE 'UTC'"
    text = f'to_char({at}, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\')'
    return f"CASE WHEN isfinite({column}) THEN {text} ELSE {column}::text END"


_IS_TIME = "isfinite(s.not_before) AND s.not_before < '10000-01-01 00:00Z'"
_SUBMISSIONS = (
    "SELECT s.id, left(s.environment, 300), left(s.batch, 300), s.state, s.submitted_by::text,"  # noqa: S608 - of constants
    f" left(s.submitted_from, 300), {_moment('s.submitted_at')}, {_moment('s.not_before')},"
    " greatest(s.not_before, s.retry_at, '-infinity') <= clock_timestamp(),"
    " s.first_run IS NOT NULL, o.given_by IS NOT NULL, o.given_by::text, l.name, s.worker, s.run,"
    f" s.attempts, s.exit_code, left(s.explanation, 10000), {_moment('s.ended_at')},"
    f" s.not_before IS NULL OR {_IS_TIME}"
    " FROM runner.submissions s LEFT JOIN runner.lanes l ON l.lane = s.lane LEFT JOIN LATERAL (SELECT"
    " given_by FROM runner.orders WHERE submission = s.id ORDER BY no LIMIT 1) o ON true"
)
_ONE = f"{_SUBMISSIONS} WHERE s.id = %(id)s"
_OPEN = f"{_SUBMISSIONS} WHERE s.state IN ('waiting', 'running') ORDER BY s.id"
_LAST = (
    f"{_SUBMISSIONS} WHERE s.state NOT IN ('waiting', 'running')"
    f" ORDER BY s.id DESC LIMIT {MOST_SHOWN}"
)
_CANCEL = "INSERT INTO runner.orders(submission) VALUES (%(id)s)"
# Those that no run carries now. What a run carries, or did when it died, its lane's owner ends.
_CANCELLED = (
    "UPDATE runner.submissions SET state = 'cancelled', ended_at = clock_timestamp()"
    " WHERE id IN (SELECT id FROM runner.submissions s WHERE state = 'waiting'"
    " AND EXISTS (SELECT FROM runner.orders o WHERE o.submission = s.id) FOR UPDATE SKIP LOCKED)"
)
_REFUSE = (
    "UPDATE runner.submissions SET state = 'ended', exit_code = %(code)s,"
    " explanation = %(explanation)s, ended_at = clock_timestamp(), worker = %(worker)s"
    " WHERE id = %(id)s AND state IN ('waiting', 'running') AND first_run IS NULL"
    " AND (worker IS NULL OR worker = %(worker)s) RETURNING id"
)
_NOTE = (
    "UPDATE runner.submissions SET explanation = %(explanation)s"
    " WHERE id = %(id)s AND state IN ('waiting', 'running')"
)
_LANES = "SELECT name, lane, epoch, beat, owner, ttl_s, seq, head FROM runner.lanes"
_ENLIST = (
    "INSERT INTO runner.workers(name, process, environments)"
    " VALUES (%(name)s, %(process)s, %(environments)s) ON CONFLICT (name) DO UPDATE SET"
    " process = excluded.process, environments = excluded.environments, running = '[]',"
    " started_at = clock_timestamp(), seen_at = clock_timestamp(), ended_at = NULL"
)
_ALIVE = (
    "UPDATE runner.workers SET seen_at = clock_timestamp(), running = %(running)s"
    " WHERE name = (SELECT name FROM runner.workers WHERE name = %(name)s FOR UPDATE SKIP LOCKED)"
)
_DRAINER = (
    "(SELECT given_by::text FROM runner.orders o WHERE o.worker = w.name"
    " AND o.given_at >= w.started_at ORDER BY o.no LIMIT 1)"
)
_DRAINED_BY = f"SELECT {_DRAINER} FROM runner.workers w WHERE name = %(name)s"  # noqa: S608 - of constants
_RETIRE = (
    "UPDATE runner.workers SET ended_at = clock_timestamp(), running = '[]' WHERE name = %(name)s"
)
_DRAIN = "INSERT INTO runner.orders(worker) VALUES (%(name)s)"
_WORKERS = (
    f"SELECT name, process, {_moment('seen_at')},"  # noqa: S608 - of constants
    " seen_at > clock_timestamp() - interval '15 seconds',"
    f" {_DRAINER}, environments, running FROM runner.workers w"
    " WHERE ended_at IS NULL ORDER BY name"
)
_OWNERS = (
    f"SELECT l.name, l.epoch, l.owner, {_moment('l.renewed_at')}, t.body"  # noqa: S608 - of constants
    " FROM runner.lanes l"
    " LEFT JOIN runner.takeovers t ON t.lane = l.lane ORDER BY l.name"
)
_SEES_RUNS = "SELECT has_table_privilege('runner.transfers', 'SELECT')"


class PostgresFleet:
    """The submissions of a database. One thread uses it; a lost connection is made anew."""

    def __init__(self, location: JournalLocation) -> None:
        self._url = JournalUrl.parse(location.text).whole()
        self._open: Connection | None = None

    def submit(self, new: Sequence[NewSubmission]) -> Sequence[int]:
        """Store submissions, all of them whole or none; return their numbers."""
        connection = self._connected()
        with translated(self._url):
            try:
                with connection.transaction():
                    connection.execute(b"SET LOCAL synchronous_commit = on")
                    return [_add(connection, each) for each in new]
            except psycopg.Error as error:
                if error.sqlstate != BUSY:
                    raise
                raise UsageError(
                    f"{error.diag.message_primary}: submit again once some have ended; `runner cancel`"
                    " ends those that are not meant"
                ) from error

    def submission(self, number: int) -> Submission:
        """Return a submission. Raises `UsageError` if there is none."""
        found = self._ask(_ONE, {"id": number})
        if not found:
            raise UsageError(
                f"there is no submission {number}; `status --fleet` lists those there are"
            )
        return _submission(found[0])

    def cancel(self, number: int) -> Submission:
        """Order that a submission ends; return what it was."""
        before = self.submission(number)
        if not before.state.is_over:
            self._do(_CANCEL, {"id": number})
        return before

    def drain(self, worker: str) -> None:
        """Order that a worker hands over what it runs and takes nothing more."""
        if not self._ask(_DRAINED_BY, {"name": worker}):
            known = ", ".join(each.name for each in self._workers()) or "none is up"
            raise UsageError(f"there is no worker {worker!r}; known: {known}")
        self._do(_DRAIN, {"name": worker})

    def state(self) -> FleetState:
        """Return who owns what, and what waits."""
        lanes = [_lane_owner(row) for row in self._ask(_OWNERS)]
        submissions = [*reversed(self._ask(_LAST)), *self._ask(_OPEN)]
        ((sees_runs,),) = self._ask(_SEES_RUNS)
        return FleetState(
            lanes, self._workers(), [_submission(row) for row in submissions], sees_runs=sees_runs
        )

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _workers(self) -> list[WorkerState]:
        return [_worker(row) for row in self._ask(_WORKERS)]

    def _connected(self) -> Connection:
        if self._open is None or self._open.closed or self._open.broken:
            self._open = connect(self._url, lock_s=LOCK_S)
            with translated(self._url):
                check_made(self._open, self._url)
        return self._open

    def _ask(self, query: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        connection = self._connected()
        with translated(self._url):
            return ask(connection, query, values)

    def _do(self, query: str, values: Mapping[str, Any] | None = None) -> None:
        connection = self._connected()
        with translated(self._url):
            connection.execute(query.encode(), values)


def _add(connection: Connection, new: NewSubmission) -> int:
    values = {
        "environment": new.environment, "batch": new.batch, "manifest": new.manifest,
        "options": json.dumps(dict(new.options)), "by": new.submitted_from,
        "not_before": new.not_before,
    }  # fmt: skip
    ((number,),) = ask(connection, _ADD, values)
    size = 0
    check_size(size, len(new.files))
    for name, opened in new.files.items():
        with opened() as file:
            for part, content in enumerate(_pieces(file)):
                size += len(content)
                check_size(size, len(new.files))
                piece = {"id": number, "name": name, "part": part, "content": content}
                connection.execute(_ADD_PIECE.encode(), piece)
    return int(number)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's content; one empty piece for an empty file, which is a file too."""
    yield file.read(PIECE)
    while piece := file.read(PIECE):
        yield piece


class PostgresFleetWorker(PostgresFleet):
    """A worker's view of the database."""

    def __init__(self, location: JournalLocation, name: str, *, ttl_s: float = TTL_S) -> None:
        super().__init__(location)
        self._name = name
        self._ttl_s = ttl_s
        self._watchers: dict[str, Watcher] = {}
        self._lanes: dict[str, LaneState] = {}
        self._drained_by: str | None = None
        self._told = ("", float("-inf"))

    def enlist(self, *, environments: Collection[str], process: str) -> None:
        """Store that the worker has started."""
        names = json.dumps(sorted(environments))
        self._do(_ENLIST, {"name": self._name, "process": process, "environments": names})

    def look(self, running: Collection[int]) -> tuple[Sequence[Submission], str | None]:
        """Look at every lane; return open submissions, and who drained it.

        What others lock, rows or whole tables, hides no order that stands elsewhere.
        """
        # First: what an answer shows may count from when it came, never from before.
        for name, *state in self._ask(_LANES):
            self._lanes[name] = LaneState(*state)
            self._watchers.setdefault(name, Watcher()).saw(self._lanes[name])
        found = [_submission(row) for row in self._ask(_OPEN)]
        with suppress(StorageError):  # a table that is locked: what was known of it stays
            told = self._ask(_DRAINED_BY, {"name": self._name})
            self._drained_by = told[0][0] if told else None
        with suppress(StorageError):  # in one of the next rounds
            self._beat(json.dumps(sorted(running)))
            if any(each.is_cancelled and each.state is SubmissionState.WAITING for each in found):
                self._do(_CANCELLED)
                found = [_submission(row) for row in self._ask(_OPEN)]
        return found, self._drained_by

    def _beat(self, running: str) -> None:
        """Report being alive, unless the same was reported just now."""
        told, at = self._told
        if running != told or time.monotonic() - at >= BEAT_S:
            self._told = (running, time.monotonic())
            self._do(_ALIVE, {"name": self._name, "running": running})

    def may_take(self, lane: Lane) -> bool:
        """Return whether a lane could be taken, as far as the last look showed."""
        state = self._lanes.get(lane.name)
        return state is None or right_to_take(state, self._watchers[lane.name]) is not None

    def journal_of(self, number: int, lane: Lane) -> SubmissionLane:
        """Return the journal by which a submission is carried in a lane."""
        return SubmissionLane(
            JournalLocation(str(self._url.at(lane.name))),
            submission=number,
            worker=self._name,
            ttl_s=self._ttl_s,
            watcher=self._watchers.get(lane.name),
        )

    def refuse(self, number: int, code: int, explanation: str) -> bool:
        """End a submission of which no run has chosen rows; False: another worker has it."""
        values = {
            "id": number, "code": code, "explanation": explanation.replace("\x00", "?"),
            "worker": self._name,
        }  # fmt: skip
        return bool(self._ask(_REFUSE, values))

    def note(self, number: int, explanation: str) -> None:
        """Store why a submission that is not over does not go on, for people."""
        text = f"{self._name}: {explanation}".replace("\x00", "?")
        self._do(_NOTE, {"id": number, "explanation": text})

    def retire(self) -> None:
        """Store that the worker has ended."""
        self._do(_RETIRE, {"name": self._name})


def _submission(row: tuple[Any, ...]) -> Submission:
    (
        number, environment, batch, state, by, sender, at, not_before, is_due, is_begun,
        is_cancelled, cancelled_by, lane, worker, run, attempts, code, explanation, ended_at, is_time,
    ) = row  # fmt: skip
    return Submission(
        id=number,
        environment=environment,
        batch=batch,
        state=SubmissionState(state),
        submitted_by=by,
        submitted_from=sender,
        submitted_at=at,
        not_before=not_before,
        is_due=bool(is_due),
        is_begun=is_begun,
        is_cancelled=is_cancelled,
        cancelled_by=cancelled_by,
        lane=lane,
        worker=worker,
        run=run,
        attempts=attempts,
        exit_code=code,
        explanation=explanation,
        ended_at=ended_at,
        fault=None if is_time else f"its time to begin, {not_before}, is none that a clock shows",
    )


def _worker(row: tuple[Any, ...]) -> WorkerState:
    name, process, seen_at, is_seen, drained_by, environments, running = row
    return WorkerState(
        name=name,
        process=process,
        seen_at=seen_at,
        is_seen=is_seen,
        is_drained=drained_by is not None,
        drained_by=drained_by,
        environments=[each for each in _list(environments) if isinstance(each, str)],
        running=[each for each in _list(running) if isinstance(each, int)],
    )


def _list(text: str) -> list[Any]:
    """Return a list from its JSON; from what is none, an empty one: one row spoils no other's view."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return found if isinstance(found, list) else []


def _lane_owner(row: tuple[Any, ...]) -> LaneOwner:
    name, epoch, owner, renewed_at, body = row
    taken = {} if body is None else json.loads(body)
    return LaneOwner(
        name,
        epoch,
        None if owner is None else str(holder_of(owner)),
        renewed_at,
        taken.get("at"),
        taken.get("why"),
    )
