"""A journal in a PostgreSQL database: implements `ports.JournalAccess`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

from runner.core.errors import Fenced, Locked, StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.core.records.audit_chain import GENESIS
from runner.journal.follower import Follower
from runner.journal.postgres.connection import (
    Connection,
    JournalUrl,
    ask,
    check_made,
    connect,
    identity_of,
    is_made,
    translated,
)
from runner.journal.postgres.control_client import TableClient
from runner.journal.postgres.lane_session import LaneSession
from runner.journal.postgres.lease import (
    LAPSED,
    TTL_S,
    WATCHER_SHARE,
    Clock,
    LaneState,
    Watcher,
    uptime,
)
from runner.journal.postgres.owner import holder_of, is_surely_dead, this_process
from runner.journal.postgres.reader import Reader
from runner.journal.postgres.run_events import PostgresRunEvents
from runner.journal.postgres.schema import MADE
from runner.journal.postgres.store import Store
from runner.ports.control import Control
from runner.ports.journal_access import Holder, Lane

POLL_S = 0.2
"""How often a lane that another process holds is looked at."""

_STATE = "SELECT lane, epoch, beat, owner, ttl_s, seq, head FROM runner.lanes WHERE name = %(name)s"
_ADD = (
    "INSERT INTO runner.lanes(name, head) VALUES (%(name)s, %(head)s)"
    " ON CONFLICT (name) DO NOTHING RETURNING lane"
)
# By the server's clock alone, and for people alone: who died elsewhere is not shown for ever.
_OWNER = (
    "SELECT owner, epoch FROM runner.lanes WHERE name = %(name)s AND owner IS NOT NULL"
    " AND renewed_at > clock_timestamp() - 2 * ttl_s * interval '1 second'"
)


class MakeStore(Protocol):
    """Opens a lane to write, once it is taken."""

    def __call__(self, session: LaneSession, *, environment: str, origin: str) -> Store:
        """See `Store`."""


class PostgresJournal:
    """One lane of a database, by a URL. Without `lane=` it is the only one, or `for_lane`'s."""

    def __init__(self, location: JournalLocation) -> None:
        self._url = JournalUrl.parse(location.text)

    @property
    def location(self) -> JournalLocation:
        """The URL, with the lane where that is known."""
        return JournalLocation(str(self._url))

    @property
    def address(self) -> str:
        """The URL."""
        return str(self._url)

    @property
    def real_address(self) -> str:
        """The URL: a server has no other name for a database."""
        return str(self._url)

    def for_lane(self, lane: Lane) -> PostgresJournal:
        """Return the journal of a gateway and account. Raises `UsageError` if the URL names another."""
        if self._url.lane not in {None, lane.name}:
            raise UsageError(
                f"the journal {self._url} is of the lane {self._url.lane}, and the manifest's"
                f" gateway has the lane {lane.name}; leave lane= out of the URL"
            )
        return PostgresJournal(JournalLocation(str(self._url.at(lane.name))))

    def exists(self) -> bool:
        """Return whether the database holds the lane. Raises `StorageError` if that is unknown."""
        with self._connected() as connection:
            return is_made(connection) and self._find(connection) is not None

    def is_reachable(self) -> bool:
        """Return whether the database answers, and holds the lane."""
        try:
            return self.exists()
        except (StorageError, UsageError):
            return False

    def is_same(self, other: JournalLocation) -> bool:
        """Return whether a URL leads to this lane of this database; False if it does not answer."""
        try:
            there = PostgresJournal(other)
            return self._identity() == there._identity()
        except (StorageError, UsageError):
            return False

    def _identity(self) -> tuple[object, ...]:
        with self._connected() as connection:
            found = self._find(connection) if is_made(connection) else None
            return (*identity_of(connection), found)

    def check_place(self) -> None:
        """Raise `UsageError` for a connection that others could read."""
        self._url.check_encryption()

    @contextmanager
    def open_history(self) -> Iterator[Reader]:
        """Open the lane to read.

        Raises `UsageError` if there is none, or if one of several has to be named.
        """
        with self._connected() as connection:
            lane = self._found(connection)
        reader = Reader(self._url, lane)
        try:
            reader.check()
            yield reader
        finally:
            reader.close()

    def follow(self, run: int) -> Follower:
        """Open one run to be looked at again and again."""
        with self._connected() as connection:
            lane = self._found(connection)
        return Follower(PostgresRunEvents(self._url, lane, run), str(self.location))

    def control_client(self, holder: Holder) -> TableClient:
        """Return how to give commands to the run that holds the lane."""
        with self._connected() as connection:
            lane = self._found(connection)
        return TableClient(self._url, lane, holder)

    def lock(self) -> LaneLock:
        """Return the lane's lease, not acquired yet."""
        return LaneLock(self._url)

    def holder(self) -> Holder | None:
        """Return the process that holds the lane; None: it is free, or its owner is gone."""
        with self._connected() as connection, translated(self._url):
            found = self._find(connection) if is_made(connection) else None
            rows = [] if found is None else ask(connection, _OWNER, {"name": found[1]})
        if not rows or is_surely_dead(rows[0][0]):
            return None
        owner, epoch = rows[0]
        return replace(holder_of(owner), control=str(epoch))

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with closing(connect(self._url)) as connection:
            yield connection

    def _find(self, connection: Connection) -> tuple[int, str] | None:
        """Return number and name of the lane; None: it was not made. Raises `UsageError`."""
        with translated(self._url):
            lanes = ask(connection, MADE)
        if self._url.lane is not None:
            return next(((no, name) for no, name in lanes if name == self._url.lane), None)
        if len(lanes) > 1:
            names = ", ".join(name for _, name in lanes)
            raise UsageError(
                f"the journal {self._url} holds several lanes; choose with"
                f" {str(self._url.at('NAME'))!r}, of: {names}"
            )
        return (lanes[0][0], lanes[0][1]) if lanes else None

    def _found(self, connection: Connection) -> int:
        found = self._find(connection) if is_made(connection) else None
        if found is None:
            raise UsageError(
                f"there is no journal {self._url}: nothing was applied with it yet;"
                " name another with --journal"
            )
        return found[0]


def lanes_of(location: JournalLocation) -> list[JournalLocation]:
    """Return the lane that a URL names, or every lane of its database. Raises `StorageError`."""
    url = JournalUrl.parse(location.text)
    if url.lane is not None:
        return [location]
    with closing(connect(url)) as connection, translated(url):
        found = ask(connection, MADE) if is_made(connection) else []
    return [JournalLocation(str(url.at(name))) for _, name in found]


class LaneLock:
    """The lease of a lane: the right to write its journal."""

    def __init__(
        self,
        url: JournalUrl,
        *,
        ttl_s: float = TTL_S,
        clock: Clock = uptime,
        watcher: Watcher | None = None,
        make_store: MakeStore = Store,
        is_adopting: bool = False,
    ) -> None:
        """Name the lane; `watcher` may have watched it for long already.

        `is_adopting`: a person accepts a database that was restored or failed over.
        """
        self._is_adopting = is_adopting
        self._url = url
        self._ttl_s = ttl_s
        self._clock = clock
        self._watcher = watcher
        self._make_store = make_store
        self._session: LaneSession | None = None
        self._lane = url.lane

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the lane up."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def acquire(self, timeout_s: float, sleep: Callable[[float], None] = time.sleep) -> float:
        """Take the lane, waiting `timeout_s` at most; return the seconds waited.

        Raises `Locked`, naming the holder, and `StorageError`.
        """
        began = self._clock()
        watcher = self._watcher or Watcher(self._clock)
        while True:
            try:
                return self._watch(watcher, began, timeout_s, sleep)
            except StorageError:
                # Who waits for a lane waits for its server, too: it may restart, or fail over.
                if not watcher.has_seen or self._clock() - began >= timeout_s:
                    raise
                sleep(min(POLL_S, timeout_s))

    def _watch(
        self, watcher: Watcher, began: float, timeout_s: float, sleep: Callable[[float], None]
    ) -> float:
        """Take the lane as `acquire` does, over one connection."""
        with closing(connect(self._url)) as connection, translated(self._url):
            name = self._name(connection)
            while True:
                state = look(connection, name)
                watcher.saw(state)
                why = right_to_take(state, watcher)
                if why is not None and self._take(state, why):
                    return self._clock() - began
                waited_s = self._clock() - began
                if waited_s >= timeout_s:
                    raise Locked(_held(state))
                sleep(min(POLL_S, max(timeout_s - waited_s, 0.01)))

    def open_store(self, *, environment: str, origin: str) -> Store:
        """Open the lane to write, or make it. Raises `StorageError`."""
        session = self.take(0.0)
        return self._make_store(session, environment=environment, origin=origin)

    def take(self, timeout_s: float) -> LaneSession:
        """Return what writes the lane, acquired unless it is already; see `acquire`."""
        if self._session is None:
            self.acquire(timeout_s)
        assert self._session is not None  # noqa: S101 - just acquired
        return self._session

    def open_control(self, group: str | None) -> Control:  # noqa: ARG002 - roles say who may
        """Return the table that commands come through. Raises `StorageError` without the lane."""
        if self._session is None:
            raise StorageError("commands are for who owns a lane")
        from runner.journal.postgres.control_server import (  # noqa: PLC0415 - a run alone needs it
            TableControl,
        )

        return TableControl(self._url, lane=self._session.lane, epoch=self._session.epoch)

    def _take(self, state: LaneState, why: str) -> bool:
        try:
            self._session = LaneSession(
                self._url, state, owner=this_process(), why=why, ttl_s=self._ttl_s,
                clock=self._clock, is_adopting=self._is_adopting,
            )  # fmt: skip
        except Fenced:  # another watcher was quicker
            return False
        return True

    def _name(self, connection: Connection) -> str:
        """Return the lane's name, its row made if there was none. Raises `UsageError`."""
        check_made(connection, self._url)
        name = self._lane
        if name is None:
            lanes = ask(connection, MADE)
            if len(lanes) != 1:
                raise UsageError(f"the journal {self._url} needs the name of a lane (?lane=NAME)")
            name = str(lanes[0][1])
        if not ask(connection, _STATE, {"name": name}):
            ask(connection, _ADD, {"name": name, "head": GENESIS})
        return name


def look(connection: Connection, name: str) -> LaneState:
    """Return a lane's row as it is now."""
    (row,) = ask(connection, _STATE, {"name": name})
    return LaneState(*row)


def right_to_take(state: LaneState, watcher: Watcher) -> str | None:
    """Return why a lane may be taken over now; None: it may not."""
    if state.owner is None:
        return "free"
    if is_surely_dead(state.owner):
        return "its owner is dead"
    return LAPSED if watcher.has_lapsed(state) else None


def _held(state: LaneState) -> str:
    holder = None if state.owner is None else holder_of(state.owner)
    return (
        f"another run holds the journal: {holder}; wait for it to end, or give --lock-timeout (such"
        f" as 10m) to queue behind it. If it died, {state.ttl_s * WATCHER_SHARE:.0f} s of waiting do"
    )
