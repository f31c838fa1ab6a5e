"""The connection that writes a lane, from taking the lane over until it is given up.

Every transaction begins with the compare-and-set of epoch and head, so that nothing of a process that
lost the lane becomes durable. An answer that is lost is asked for again while the lease holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress

import psycopg
from psycopg import errors

from runner.core.errors import Fenced, StorageError
from runner.core.records.audit_chain import canonical, link
from runner.core.timestamps import timestamp
from runner.journal.postgres.connection import (
    Connection,
    JournalUrl,
    as_storage_error,
    ask,
    connect,
    fenced,
    mark,
    translated,
)
from runner.journal.postgres.lease import Clock, LaneState, Lease, uptime
from runner.journal.postgres.owner import holder_of
from runner.journal.postgres.schema import FENCED, MADE
from runner.journal.postgres.server_identity import (
    ServerIdentity,
    refuse,
    server_of,
    what_happened,
)

RENEWALS = 5
"""How often a lease is renewed within its time to live, at least."""

RETRY_S = 0.1

SYNCHRONOUS = "synchronous"
"""The durability of a journal whose server must have a synchronous standby."""

_ADVANCE = (
    "SELECT runner.advance_v1(%(lane)s, %(epoch)s, %(seq)s, %(head)s, %(new_seq)s, %(new_head)s)"
)
_TAKE = (
    "SELECT runner.take_v1(%(lane)s, %(epoch)s, %(beat)s, %(seq)s, %(head)s, %(owner)s, %(ttl_s)s,"
    " %(body)s, %(hash)s)"
)
_RENEW = "SELECT mark, standbys, durability FROM runner.renew_v1(%(lane)s, %(epoch)s)"
_GIVE_UP = "SELECT runner.give_up_v1(%(lane)s, %(epoch)s)"
_MARK = "SELECT current_setting('runner.mark', true)"
_CONFIRM = (
    "UPDATE runner.meta m SET value = %(server)s WHERE m.lane = %(lane)s AND m.name = 'server'"
    " AND EXISTS (SELECT 1 FROM runner.lanes l WHERE l.lane = m.lane AND l.epoch = %(epoch)s)"
)
_POSITION = "SELECT epoch, seq, head FROM runner.lanes WHERE lane = %(lane)s"


_GOING_DOWN = frozenset({errors.AdminShutdown.sqlstate, errors.CrashShutdown.sqlstate})
"""Of warnings that a connection ends: no answer to a commit follows them, whatever came before."""


class LaneSession:
    """A lane that this process owns. Raises `Fenced` once another does, and `StorageError`.

    A thread renews the lease over the same connection, so that a journal that is stuck lets it lapse.
    """

    def __init__(
        self,
        url: JournalUrl,
        state: LaneState,
        *,
        owner: str,
        why: str,
        ttl_s: float,
        clock: Clock = uptime,
        is_adopting: bool = False,
    ) -> None:
        """Take the lane over from the state that was seen.

        Raises `Fenced` if it has moved on since, and `StorageError` for a database that may lack
        what was written last, unless a person accepts it: `is_adopting`.
        """
        self.url = url
        self.lane = state.lane
        self.epoch = state.epoch + 1
        self.seq, self.head = state.seq, state.head
        self._clock = clock
        self._ttl_s = ttl_s
        self._warning: str | None = None
        self._one_at_a_time = threading.RLock()
        self._ended = threading.Event()
        self.server: ServerIdentity
        self._connection = self._opened()
        self._confirmed = self.server
        self.lease = Lease(ttl_s, clock(), clock)
        self._renewed_at = clock()
        try:
            with translated(url):
                self._mark = check_pooling(url, self._connection)
                if not is_adopting:
                    self._check_server()
                self._take(state, owner, why)
        except BaseException:
            self._connection.close()
            raise
        self._keeper = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._keeper.start()

    @property
    def connection(self) -> Connection:
        """The connection; to be read from between two transactions only."""
        return self._connection

    def commit(
        self, seq: int, head: str, write: Callable[[Connection], None], *, alone: bool = False
    ) -> None:
        """Write a transaction that brings the chain to event `seq` with the hash `head`.

        `alone`: `write` is one statement, which compares the head itself. A transaction that appends no
        event is written again if its answer was lost: it must not matter how often.
        """
        with self._one_at_a_time:
            is_repeated = False
            while True:
                asked_at = self._clock()
                try:
                    self._write(seq, head, write, alone=alone)
                except psycopg.Error as error:
                    if not self._is_lost(error) and not (is_repeated and error.sqlstate == FENCED):
                        raise self._failed(error) from error
                    if self._has_happened(seq, head, error):
                        break
                    is_repeated = True
                else:
                    self._acknowledged(asked_at)
                    break
            self.seq, self.head = seq, head

    def renew(self) -> None:
        """Renew the lease, and check what may have changed since it was taken."""
        with self._one_at_a_time:
            asked_at = self._clock()
            with translated(self.url):
                rows = ask(self._connection, _RENEW, {"lane": self.lane, "epoch": self.epoch})
            if not rows:
                raise self._lose()
            ((told, standbys, durability),) = rows
            if told != self._mark:
                raise _pooled(self.url)
            if durability == SYNCHRONOUS and not standbys:
                raise StorageError(
                    f"the journal {self.url} was made for synchronous standbys, and its server has"
                    " none: a failover would forget who was moved. Set synchronous_standby_names"
                )
            self._acknowledged(asked_at)

    def close(self) -> None:
        """Give the lane up, unless a frame may still be on its way, and close the connection."""
        self._ended.set()
        self._keeper.join()
        with self._one_at_a_time:
            try:
                if self.lease.lost is None:
                    ask(self._connection, _GIVE_UP, {"lane": self.lane, "epoch": self.epoch})
            except psycopg.Error:
                pass  # the lease runs out by itself
            finally:
                self.lease.lose(StorageError(f"the journal {self.url} is closed"))
                self._connection.close()

    def _check_server(self) -> None:
        """Refuse a database that was restored, copied, or may have failed over with a loss."""
        what = what_happened(self._connection, self.server, self.lane)
        if what is not None:
            made = [name for _, name in ask(self._connection, MADE)]
            raise refuse(self.url if self.url.lane in made else self.url.whole(), what)

    def _confirm_server(self) -> None:
        """Keep the server that the lane goes on with: it has the last commit of its owner.

        Only the owner can know that, while its lease holds.
        """
        if self.server == self._confirmed:
            return
        values = {"lane": self.lane, "epoch": self.epoch, "server": str(self.server)}
        with translated(self.url):
            self._connection.execute(_CONFIRM.encode(), values)
        self._confirmed = self.server

    def _take(self, state: LaneState, owner: str, why: str) -> None:
        body = canonical(
            {
                "at": timestamp(time.time()),
                "event": "lane taken",
                "run": "",
                "epoch": self.epoch,
                "owner": str(holder_of(owner)),
                "why": why,
            }
        )
        seq, head = state.seq + 1, link(state.head, body)
        asked_at = self._clock()
        values = {
            "lane": self.lane, "epoch": state.epoch, "beat": state.beat, "seq": state.seq,
            "head": state.head, "owner": owner, "ttl_s": self.lease.ttl_s, "body": body,
            "hash": head,
        }  # fmt: skip
        ((is_taken,),) = ask(self._connection, _TAKE, values)
        if not is_taken:
            raise Fenced(f"another process has taken the journal {self.url} just now")
        self._acknowledged(asked_at)
        self.seq, self.head = seq, head

    def _write(
        self, seq: int, head: str, write: Callable[[Connection], None], *, alone: bool
    ) -> None:
        if alone:
            write(self._connection)
            return
        with self._connection.transaction():
            values = {
                "lane": self.lane, "epoch": self.epoch, "seq": self.seq, "head": self.head,
                "new_seq": seq, "new_head": head,
            }  # fmt: skip
            ask(self._connection, _ADVANCE, values)
            write(self._connection)

    def _has_happened(self, seq: int, head: str, error: psycopg.Error) -> bool:
        """Return whether a transaction whose answer was lost became durable."""
        self._reconnect(error)
        with translated(self.url):
            ((epoch, *there),) = ask(self._connection, _POSITION, {"lane": self.lane})
        if epoch != self.epoch or tuple(there) not in {(seq, head), (self.seq, self.head)}:
            raise self._lose()
        self._confirm_server()
        if tuple(there) != (seq, head) or seq == self.seq:
            return False  # without an event it leaves no trace: it is written again, harmlessly
        # It may be visible here, and not on the standby yet: a commit of ours waits for both.
        self.renew()
        return True

    def _check_position(self) -> None:
        """See that another connection leads to a database that has the last commit."""
        with translated(self.url):
            (there,) = ask(self._connection, _POSITION, {"lane": self.lane})
        if there[:2] < (self.epoch, self.seq):
            raise self._lose()
        if there == (self.epoch, self.seq, self.head):
            self._confirm_server()

    def _reconnect(self, error: psycopg.Error) -> None:
        """Connect again, while the lease holds."""
        if error.sqlstate == FENCED:
            return  # the connection is sound: the transaction before it went on without us
        self._connection.close()
        while self.lease.holds() and not self._ended.is_set():
            try:
                self._connection = self._opened()
            except StorageError:
                time.sleep(RETRY_S)
            else:
                return
        raise as_storage_error(self.url, error) from error

    def _opened(self) -> Connection:
        connection = connect(self.url, lock_s=self._ttl_s)
        self._warning = None  # what was asked of another server is asked here once more
        connection.add_notice_handler(self._take_notice)
        with translated(self.url):
            self._mark = mark(connection)
            self.server = server_of(connection)
        return connection

    def _take_notice(self, notice: errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING" and notice.sqlstate not in _GOING_DOWN:
            self._warning = notice.message_primary

    def _acknowledged(self, asked_at: float) -> None:
        """Count a commit, unless the server warned that it may not be durable everywhere."""
        if self._warning is not None:
            raise StorageError(
                f"the server of the journal {self.url} warned at a commit ({self._warning}): it may"
                " be lost at a failover. See to the synchronous standby, then apply again"
            )
        self.lease.renewed(asked_at)
        self._renewed_at = asked_at

    def _failed(self, error: psycopg.Error) -> StorageError:
        return self._lose() if error.sqlstate == FENCED else as_storage_error(self.url, error)

    def _lose(self) -> StorageError:
        why = self._why_lost()
        self.lease.lose(why)
        return why

    def _why_lost(self) -> StorageError:
        """Return who has the lane now, or that the database has lost what this process wrote."""
        with suppress(psycopg.Error):
            ((epoch, *there),) = ask(self._connection, _POSITION, {"lane": self.lane})
            if (epoch, there[0]) < (self.epoch, self.seq):
                return refuse(self.url, "it lacks what this run wrote")
        return fenced(self.url)

    def _is_lost(self, error: psycopg.Error) -> bool:
        """Return whether the connection is gone, and with it the answer."""
        is_of_connection = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return is_of_connection and (self._connection.closed or self._connection.broken)

    def _keep(self) -> None:
        """Renew the lease while nothing else is written."""
        share_s = self.lease.ttl_s / RENEWALS
        while not self._ended.wait(share_s / 2):
            with self._one_at_a_time:
                if self._clock() - self._renewed_at < share_s or self.lease.lost is not None:
                    continue
                try:
                    if self._connection.closed:
                        self._connection = self._opened()
                        self._check_position()
                    self.renew()
                except Fenced as lost:
                    self.lease.lose(lost)
                except StorageError as failure:
                    if not self._connection.closed:  # the server answers, and is not to be trusted
                        self.lease.lose(failure)


def check_pooling(url: JournalUrl, connection: Connection) -> str:
    """Refuse a pooler that gives each transaction another session; return the session's mark.

    Raises `StorageError`.
    Another client, within a transaction, must not be given this client's session meanwhile.
    """
    told = mark(connection)
    with closing(connect(url)) as other, other.transaction():
        there = ask(other, _MARK)
        here = ask(connection, _MARK)
    if there == [(told,)] or here != [(told,)]:
        raise _pooled(url)
    return told


def _pooled(url: JournalUrl) -> StorageError:
    return StorageError(
        f"the journal {url} is reached by a pooler that gives each transaction another session;"
        " use session pooling, or name the server itself"
    )
