"""Notices a database that is not the one a lane was written in: restored, copied or failed over.

Each lane keeps the server that its owners wrote to: the cluster's id, which a dump that is restored
elsewhere does not have, and the timeline, which every promotion and every restore to a point in time
raises. Copies of the database bring both along, so a host that never saw the lane notices, too.

A dump that is restored into the same cluster changes neither. So each lane, and the journal for lanes
that it does not have yet, keeps a row with the database's number and the transaction that wrote the
row. The server itself keeps the latter as the row's `xmin`, which a restore cannot bring along.
"""

from __future__ import annotations

from typing import NamedTuple, Self

from runner.core.errors import StorageError
from runner.core.next_steps import shell_line
from runner.journal.postgres.connection import Connection, JournalUrl, ask
from runner.ports.journal_access import Durability

# Of the log that is written now: a control file has the new timeline only after a checkpoint.
_SERVER = (
    "SELECT system_identifier::text,"
    " ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint"
    " FROM pg_control_system()"
)
_DATABASE = "(SELECT oid::text FROM pg_database WHERE datname = current_database())"
# What the journal keeps of itself stands for a lane that keeps nothing: a restore may have taken it away.
_KNOWN = (
    "SELECT (SELECT value FROM runner.meta WHERE lane IN (%(lane)s, 0) AND name = 'server'"  # noqa: S608 - of constants
    " ORDER BY lane DESC LIMIT 1),"
    f" (SELECT value = {_DATABASE} || '/' || xmin::text FROM runner.meta"
    " WHERE lane IN (%(lane)s, 0) AND name = 'place' ORDER BY lane DESC LIMIT 1),"
    " (SELECT value FROM runner.journal WHERE name = 'durability')"
)
_SET_PLACE = (
    "INSERT INTO runner.meta(lane, name, value) VALUES (%(lane)s, 'place',"  # noqa: S608 - of constants
    f" {_DATABASE} || '/' || pg_current_xact_id()::xid::text)"
    " ON CONFLICT (lane, name) DO UPDATE SET value = excluded.value"
)
_SET_SERVER = (
    "INSERT INTO runner.meta(lane, name, value) VALUES (%(lane)s, 'server', %(server)s)"
    " ON CONFLICT (lane, name) DO UPDATE SET value = excluded.value"
)

NO_LANE = 0
"""The number by which `meta` holds what the journal keeps of itself."""

LOSSLESS = frozenset({Durability.SYNCHRONOUS, Durability.PROVIDER})
"""By these a promotion keeps every commit that was acknowledged."""


class ServerIdentity(NamedTuple):
    """A cluster, and the timeline of its log."""

    system: str
    timeline: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote. Raises `ValueError`."""
        system, _, timeline = text.partition("/")
        return cls(system, int(timeline))

    def __str__(self) -> str:
        return f"{self.system}/{self.timeline}"

    def since(self, known: Self, *, is_lossless: bool) -> str | None:
        """Return what happened since a lane was written on `known`; None: nothing that may lose it."""
        if self.system != known.system:
            return "it was restored or copied into another cluster"
        if self.timeline < known.timeline:
            return (
                f"its timeline is {self.timeline} and was {known.timeline}: an old server is back"
            )
        if self.timeline > known.timeline and not is_lossless:
            return (
                f"its timeline is {self.timeline} and was {known.timeline}: it was restored to a point"
                " in time, or a standby that may have lagged behind took over"
            )
        return None


def server_of(connection: Connection) -> ServerIdentity:
    """Return the server that a connection leads to."""
    ((system, timeline),) = ask(connection, _SERVER)
    return ServerIdentity(str(system), int(timeline))


def what_happened(connection: Connection, here: ServerIdentity, lane: int) -> str | None:
    """Return what happened to the database since a lane was written; None: nothing that may lose it."""
    ((known, is_in_place, durability),) = ask(connection, _KNOWN, {"lane": lane})
    if known is not None:
        is_lossless = durability in LOSSLESS
        what = here.since(ServerIdentity.parse(known), is_lossless=is_lossless)
        if what is not None:
            return what
    if is_in_place is False:
        return "a dump was restored into it, or it is a copy of another database of this server"
    return None


def keep_place(connection: Connection, lane: int) -> None:
    """Keep that a lane is written in this database; to be called within no savepoint."""
    connection.execute(_SET_PLACE.encode(), {"lane": lane})


def keep_server(connection: Connection, lane: int, server: ServerIdentity) -> None:
    """Keep the server that a lane is written on, and its place there."""
    connection.execute(_SET_SERVER.encode(), {"lane": lane, "server": str(server)})
    keep_place(connection, lane)


def refuse(url: JournalUrl, what: str) -> StorageError:
    """Return the error of a database that may lack what a lane's owners wrote."""
    adopt = shell_line(("runner", "journal", "adopt", str(url), "--reason", "TEXT"))
    return StorageError(
        f"the database of the journal {url} is not the one that was written last: {what}. What was"
        " moved since may be missing in it, and would be moved twice. Bring the right database back,"
        f" or, if you know what is missing and have seen to it, accept it with: {adopt}"
    )
