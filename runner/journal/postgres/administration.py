"""Makes a journal's tables in a database, and checks what a journal relies on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.journal.postgres.connection import (
    Connection,
    JournalUrl,
    ask,
    check_made,
    connect,
    is_made,
    translated,
)
from runner.journal.postgres.control_schema import CONTROL
from runner.journal.postgres.fleet_schema import FLEET
from runner.journal.postgres.lane_session import SYNCHRONOUS, check_pooling
from runner.journal.postgres.schema import FORMAT, MADE, SCHEMA
from runner.journal.postgres.server_identity import NO_LANE, keep_server, server_of, what_happened
from runner.ports.journal_access import Durability, ServerCheck

_ADD = "INSERT INTO runner.journal(name, value) VALUES (%(name)s, %(value)s)"
_SETTINGS = (
    "SELECT current_setting('server_version'), current_setting('data_checksums'),"
    " current_setting('synchronous_standby_names'),"
    " (SELECT value FROM runner.journal WHERE name = 'durability'),"
    " (SELECT count(*) FROM runner.lanes)"
)


def create(location: JournalLocation, durability: Durability) -> None:
    """Make the journal's tables and functions in a database that has none.

    Raises `UsageError` if it has them, `StorageError` if the server is not to be relied on.
    """
    url = JournalUrl.parse(location.text)
    with closing(connect(url)) as connection, translated(url):
        if is_made(connection):
            raise UsageError(f"the database of {url} has a journal already; nothing was changed")
        if durability == SYNCHRONOUS:
            _check_standbys(connection, url)
        with connection.transaction():
            connection.execute((SCHEMA + FLEET + CONTROL).encode(), prepare=False)
            for name, value in (("format", str(FORMAT)), ("durability", durability.value)):
                connection.execute(_ADD.encode(), {"name": name, "value": value})
            keep_server(connection, NO_LANE, server_of(connection))


def check(location: JournalLocation) -> Sequence[ServerCheck]:
    """Return what a journal relies on, each with whether it holds.

    Raises `UsageError` if the database has no journal, `StorageError` if it cannot be used at all.
    """
    url = JournalUrl.parse(location.text)
    with closing(connect(url)) as connection, translated(url):
        check_made(connection, url)
        check_pooling(url, connection)
        version, checksums, standbys, durability, lanes = ask(connection, _SETTINGS)[0]
        has_standbys = bool(standbys)
        return [
            ServerCheck(f"server {version}, fsync and full_page_writes on", holds=True),
            ServerCheck(
                "the primary, reached without a pooler that parts transactions", holds=True
            ),
            ServerCheck(f"data_checksums {checksums}", holds=checksums == "on"),
            ServerCheck(
                f"durability {durability}, synchronous_standby_names {standbys or 'empty'}",
                holds=durability != SYNCHRONOUS or has_standbys,
            ),
            ServerCheck(f"{lanes} lane(s)", holds=True),
            *_check_lanes(connection),
        ]


def _check_lanes(connection: Connection) -> Iterator[ServerCheck]:
    """Yield the lanes, and the journal itself, that this database may not hold whole."""
    here = server_of(connection)
    lanes = [(lane, f"lane {name}") for lane, name in ask(connection, MADE)]
    for lane, name in [*lanes, (NO_LANE, "the journal")]:
        if (what := what_happened(connection, here, lane)) is not None:
            yield ServerCheck(f"{name} is whole: {what}, see `journal adopt`", holds=False)


def _check_standbys(connection: Connection, url: JournalUrl) -> None:
    ((standbys,),) = ask(connection, "SELECT current_setting('synchronous_standby_names')")
    if not standbys:
        raise UsageError(
            f"--durability synchronous: the server of {url} has no synchronous standby; set"
            " synchronous_standby_names, or choose single, provider or accept-loss"
        )
