"""Connects to the journal's database, and refuses one that may forget or be overheard."""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from runner.core.errors import Fenced, StorageError, Unfit, UsageError
from runner.core.frozen import frozen
from runner.core.urls import is_loopback
from runner.journal.postgres.schema import FENCED, FORMAT

Connection = psycopg.Connection[tuple[Any, ...]]

LANE = "lane"
"""The parameter of a journal's URL that names the lane; the database's client does not know it."""

_TLS = frozenset({"require", "verify-ca", "verify-full"})
_PATIENCE: Mapping[str, int] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""What ends the wait for a network that answers nothing; the URL may say otherwise."""

LOCK_S = 15.0
"""How long a statement waits for a lock that others hold, an administrator for instance."""

_FULL = ("too many connections", "too many clients", "connection slots are reserved")
"""What a server says that has no connection left: libpq does not hand over by which code."""

_SERVER = (
    "SELECT pg_is_in_recovery(), current_setting('fsync'), current_setting('full_page_writes'),"
    " to_regclass('runner.journal') IS NOT NULL, current_setting('server_encoding')"
)
_SET_PATH = "SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false)"
"""Finds functions and operators among the system's alone: others may make some in `public`."""

_SET_LOCK = "SELECT set_config('lock_timeout', %(ms)s, false)"
_IDENTITY = (
    "SELECT (SELECT system_identifier FROM pg_control_system()),"
    " (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@frozen
class JournalUrl:
    """A journal's URL: the database's, and which lane of it."""

    database: str
    lane: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL. Raises `UsageError`, which does not repeat a password."""
        try:
            parts = urlsplit(text)
            parameters = parse_qsl(parts.query, keep_blank_values=True)
            has_password = parts.password is not None
        except ValueError as error:
            raise UsageError(
                "the journal's URL cannot be read; write postgresql://HOST/DATABASE"
            ) from error
        if has_password or any(name in {"password", "sslpassword"} for name, _ in parameters):
            raise UsageError(
                "the journal's URL holds a password, which would be kept in reports and shown in"
                " lists of processes; write it into a password file and name that with PGPASSFILE"
            )
        lanes = [value for name, value in parameters if name == LANE]
        if len(lanes) > 1:
            raise UsageError(f"the journal's URL names {len(lanes)} lanes; name one")
        rest = urlencode(
            [each for each in parameters if each[0] != LANE], quote_via=quote, safe="/"
        )
        # Not by `urlunsplit`, which drops the slashes before an empty host.
        place = f"{parts.scheme}://{parts.netloc}{parts.path}"
        url = cls(f"{place}?{rest}" if rest else place, next(iter(lanes), None))
        try:
            conninfo_to_dict(url.database)
        except psycopg.Error as error:
            raise UsageError(f"the journal's URL {url} cannot be read ({error})") from error
        return url

    def at(self, lane: str) -> Self:
        """Return the URL of a lane of the same database."""
        return replace(self, lane=lane)

    def whole(self) -> Self:
        """Return the URL of the database, without a lane."""
        return replace(self, lane=None)

    def __str__(self) -> str:
        if self.lane is None:
            return self.database
        joint = "&" if urlsplit(self.database).query else "?"
        return f"{self.database}{joint}{LANE}={quote(self.lane)}"

    def check_encryption(self) -> None:
        """Raise `UsageError` for a connection that leaves this machine without TLS."""
        known = _parameters(self.database)
        hosts = f"{known.get('hostaddr') or known.get('host') or ''}".split(",")
        if all(not host or host.startswith(("/", "@")) or is_loopback(host) for host in hosts):
            return
        if known.get("sslmode") not in _TLS:
            raise UsageError(
                f"the journal {self} is on another machine, and nothing asks for TLS;"
                " add ?sslmode=verify-full to the URL, or set PGSSLMODE=verify-full"
            )


def _parameters(url: str) -> dict[str, Any]:
    """Return a URL's parameters, with what the environment says in the places of others."""
    defaults = {
        each.keyword.decode(): each.val.decode()
        for each in psycopg.pq.Conninfo.get_defaults()
        if each.val
    }
    return defaults | conninfo_to_dict(url)


def connect(url: JournalUrl, *, lock_s: float = LOCK_S) -> Connection:
    """Return a connection to the primary, where every statement is a transaction.

    A statement that waits for a lock for longer than `lock_s` fails.

    Raises `StorageError`, and `UsageError` where it would not be encrypted.
    """
    url.check_encryption()
    with translated(url):
        named = conninfo_to_dict(url.database)
        patience = {name: value for name, value in _PATIENCE.items() if name not in named}
        connection = _opened(url, make_conninfo(url.database, **patience, client_encoding="utf8"))
        try:
            ask(connection, _SET_PATH)
            _check_server(connection, url)
            ask(connection, _SET_LOCK, {"ms": f"{lock_s * 1000:.0f}ms"})
        except BaseException:
            connection.close()
            raise
    return connection


def _opened(url: JournalUrl, parameters: str) -> Connection:
    """Return a connection. Raises `Unfit` if a server answers and lets nobody in with these."""
    has_answered = False
    while True:
        try:
            return psycopg.connect(parameters, autocommit=True, prepare_threshold=0)
        except psycopg.OperationalError as error:
            answer = psycopg.pq.PGconn.ping(parameters.encode())
            if answer != psycopg.pq.Ping.OK:  # it starts, ends, or is not there
                raise
            if any(words in str(error) for words in _FULL):
                raise
            if has_answered:  # and so it had not just come up, either
                raise Unfit(str(as_storage_error(url, error))) from error
            has_answered = True


def _check_server(connection: Connection, url: JournalUrl) -> None:
    host = connection.info.host
    is_local = not host or host.startswith(("/", "@")) or is_loopback(host)
    if not is_local and not connection.pgconn.ssl_in_use:
        raise UsageError(f"the connection to the journal {url} is not encrypted; set sslmode")
    is_standby, fsync, full_page_writes, _, encoding = ask(connection, _SERVER)[0]
    if is_standby:
        raise StorageError(
            f"the journal {url} is a standby, which may lag behind: who was moved already would be"
            " moved again. Name the primary, or several hosts with ?target_session_attrs=read-write"
        )
    if (fsync, full_page_writes) != ("on", "on"):
        raise Unfit(
            f"the server of the journal {url} runs with fsync or full_page_writes off, and forgets"
            " at a crash what it acknowledged; switch both on"
        )
    if encoding != "UTF8":  # it holds what no client reads as text, or cannot hold each name
        raise Unfit(
            f"the database of the journal {url} has the encoding {encoding}; make one with:"
            " CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"
        )


def ask(
    connection: Connection, query: str, values: Mapping[str, Any] | None = None
) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    return connection.execute(query.encode(), values).fetchall()


def is_made(connection: Connection) -> bool:
    """Return whether the database has a journal's tables. Raises `StorageError` for those of another format."""
    if not ask(connection, _SERVER)[0][3]:
        return False
    ((text,),) = ask(connection, "SELECT value FROM runner.journal WHERE name = 'format'")
    if text != str(FORMAT):
        raise Unfit(
            f"the journal's tables are of format {text}, this program writes {FORMAT};"
            " use the version of the program that made them to finish its batches, and only then a"
            " new database, which does not know whom this one moved"
        )
    return True


def check_made(connection: Connection, url: JournalUrl) -> None:
    """Raise `UsageError` if the database has no journal's tables, naming what makes them."""
    if not is_made(connection):
        raise UsageError(
            f"the database of {url} has no journal; make it once with:"
            f" runner journal create {shlex.quote(url.database)}"
        )


def identity_of(connection: Connection) -> tuple[Any, ...]:
    """Return what no copy of the database has: the cluster's id and the database's."""
    return ask(connection, _IDENTITY)[0]


def mark(connection: Connection) -> str:
    """Set something that the session alone knows, and return it."""
    text = secrets.token_hex(8)
    ask(connection, "SELECT set_config('runner.mark', %(mark)s, false)", {"mark": text})
    return text


@contextmanager
def translated(url: JournalUrl) -> Iterator[None]:
    """Raise `StorageError` for the database's errors, and `Fenced` for a lost lane."""
    try:
        yield
    except psycopg.Error as error:
        raise as_storage_error(url, error) from error


def as_storage_error(url: JournalUrl, error: psycopg.Error) -> StorageError:
    """Return the error as this program reports it."""
    if error.sqlstate == FENCED:
        return fenced(url)
    words = " ".join(str(error).split()) or type(error).__name__
    return StorageError(f"the journal {url} cannot be used ({words})")


def fenced(url: JournalUrl) -> Fenced:
    """Return the error of a process whose lane another one has taken."""
    return Fenced(
        f"another process has taken the journal {url} over; nothing more was sent from here."
        " It carries the batch on, or apply again once it has ended"
    )
