"""Notices a database that is not the one a lane was written in: restored, copied or failed over.

Each lane keeps the server that its owners wrote to: the cluster's id, which a dump that is restored
elsewhere does not have, and the timeline, which every promotion and every restore to a point in time
raises. Copies of the database bring both along, so a host that never saw the lane notices, too.
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
_KNOWN = (
    "SELECT (SELECT value FROM runner.meta WHERE lane = %(lane)s AND name = 'server'),"
    " (SELECT value FROM runner.journal WHERE name = 'durability')"
)

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


def known_server(connection: Connection, lane: int) -> tuple[ServerIdentity | None, bool]:
    """Return the server that a lane was written on, and whether promotions lose nothing there.

    None: its owners were of a version that did not keep it, or there was none.
    """
    ((known, durability),) = ask(connection, _KNOWN, {"lane": lane})
    return None if known is None else ServerIdentity.parse(known), durability in LOSSLESS


def refuse(url: JournalUrl, what: str) -> StorageError:
    """Return the error of a database that may lack what a lane's owners wrote."""
    adopt = shell_line(("runner", "journal", "adopt", str(url), "--reason", "TEXT"))
    return StorageError(
        f"the database of the journal {url} is not the one that was written last: {what}. What was"
        " moved since may be missing in it, and would be moved twice. Bring the right database back,"
        f" or, if you know what is missing and have seen to it, accept it with: {adopt}"
    )
