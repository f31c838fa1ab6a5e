"""Servers and poolers that a journal refuses, or does not believe: real ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import psycopg
import pytest

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.transfer.states import Event
from runner.journal.postgres.access import PostgresJournal
from runner.journal.postgres.adoption import adopt
from runner.journals import check_journal, create_journal
from runner.ports.journal_access import Durability
from tests.journal.builders import ORIGIN, manifest_rows
from tests.journal.contract.journals import started
from tests.postgres_server import (
    beside_server,
    binary,
    execute,
    fresh_database,
    server_user,
    url_of,
)

POOLER = """
[databases]
* = host={host} user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
pidfile = {folder}/pooler.pid
auth_type = any
pool_mode = {mode}
max_prepared_statements = 100
ignore_startup_parameters = extra_float_digits
"""


def journal_of(url: str) -> PostgresJournal:
    return PostgresJournal(JournalLocation(f"{url}&lane=edge"))


def use(journal: PostgresJournal) -> None:
    with journal.lock() as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)


def test_a_database_that_holds_what_is_no_text_is_refused():
    """One row that a submitter made of it would keep every worker from reading all others."""
    execute("postgres", "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(StorageError, match="has the encoding SQL_ASCII; make one with"):
        create_journal(JournalLocation(url_of("bytes")), Durability.SINGLE)


@contextmanager
def pooled(url: str, mode: str) -> Iterator[str]:
    program = shutil.which("pgbouncer")
    if program is None:
        if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
            pytest.fail("pgbouncer is not installed, and RUNNER_REQUIRE_ALL=1 asks for every test")
        pytest.skip("pgbouncer is not installed")
    folder = beside_server("pooler")
    host = url.partition("host=")[2]
    (folder / "pooler.ini").write_text(POOLER.format(host=host, folder=folder, mode=mode))
    with subprocess.Popen(
        [program, "-q", str(folder / "pooler.ini")], user=server_user(), stderr=subprocess.DEVNULL
    ) as process:
        through = url.replace(f"host={host}", f"host={folder}&port=6432")
        try:
            for _ in range(6000):
                if (folder / ".s.PGSQL.6432").exists():
                    break
                process.poll()
                threading.Event().wait(0.02)
            yield through
        finally:
            process.terminate()


def test_a_pooler_that_parts_transactions_is_refused():
    with (
        pooled(fresh_database(), "transaction") as through,
        pytest.raises(StorageError, match="pooler"),
    ):
        use(journal_of(through))


def test_a_pooler_that_keeps_sessions_together_is_used():
    with pooled(fresh_database(), "session") as through:
        use(journal_of(through))


def test_a_standby_is_refused_and_once_promoted_needs_a_persons_word():
    url = fresh_database()
    journal = journal_of(url)
    use(journal)
    folder = beside_server("standby")
    host = url.partition("host=")[2]
    backup = [
        binary("pg_basebackup"),
        "-h",
        host,
        "-U",
        "postgres",
        "-R",
        "-c",
        "fast",
        "-D",
        f"{folder}/data",
    ]
    subprocess.run(backup, check=True, user=server_user(), capture_output=True)
    pg_ctl = [binary("pg_ctl"), "-w", "-D", f"{folder}/data", "-l", f"{folder}/log"]
    options = ["-o", f"-h '' -k {folder}", "start"]
    subprocess.run([*pg_ctl, *options], check=True, user=server_user(), capture_output=True)
    try:
        standby = journal_of(url.replace(host, str(folder)))
        assert not standby.is_reachable()
        with pytest.raises(StorageError, match="standby"):
            standby.exists()
        with pytest.raises(StorageError, match="standby"), standby.open_history():
            pass
        both = journal_of(
            url.replace(host, f"{folder},{host}") + "&target_session_attrs=read-write"
        )
        assert both.exists()
        subprocess.run([*pg_ctl, "promote"], check=True, user=server_user(), capture_output=True)
        with pytest.raises(StorageError, match="timeline is 2 and was 1"):
            use(standby)
        adopt(standby.location, reason="the primary is gone", by="ann@db", timeout_s=0.0)
        use(standby)
    finally:
        subprocess.run([*pg_ctl, "-m", "immediate", "stop"], check=True, user=server_user())


def test_a_commit_that_no_standby_confirmed_does_not_count():
    """The server ends the wait with a warning alone, and says that the commit succeeded."""
    url = fresh_database()
    journal = journal_of(url)
    with journal.lock() as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        run = started(store, journal, manifest_rows(1))
        with (
            commits_that_nobody_confirms(url),
            pytest.raises(StorageError, match="warned at a commit"),
        ):
            run.go("k0", Event.INTENT)


@contextmanager
def commits_that_nobody_confirms(url: str) -> Iterator[None]:
    """In this block each commit waits for a standby that does not exist, until its wait is ended.

    The server heeds the changed setting some time after the reload: a commit that is warned shows
    that it does.
    """
    execute(url, "CREATE TABLE probe (n integer)")
    execute(url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    over = threading.Event()
    canceller = threading.Thread(target=cancel_waits, args=[url, over])
    canceller.start()
    try:
        execute(url, "SELECT pg_reload_conf()")
        with psycopg.connect(url, autocommit=True) as connection:
            warnings: list[str | None] = []
            connection.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
            while not warnings:
                connection.execute("INSERT INTO probe VALUES (1)")
        yield
    finally:
        over.set()
        canceller.join()
        execute(url, "ALTER SYSTEM RESET synchronous_standby_names")
        execute(url, "SELECT pg_reload_conf()")


def cancel_waits(url: str, over: threading.Event) -> None:
    """End each wait of a commit for a standby once, as an administrator may."""
    ended: set[tuple[int, datetime]] = set()
    with psycopg.connect(url, autocommit=True) as connection:
        while not over.wait(0.01):
            waiting = connection.execute(
                "SELECT pid, query_start FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            ).fetchall()
            for pid, began in waiting:
                if (pid, began) not in ended:
                    ended.add((pid, began))
                    connection.execute("SELECT pg_cancel_backend(%s)", (pid,))


def test_a_journal_of_another_format_is_refused_to_read_and_to_write():
    url = fresh_database()
    execute(url, "UPDATE runner.journal SET value = '2' WHERE name = 'format'")
    journal = journal_of(url)
    refusal = "of format 2, this program writes 3"
    with pytest.raises(StorageError, match=refusal):
        check_journal(JournalLocation(url))
    with pytest.raises(StorageError, match=refusal), journal.open_history():
        pytest.fail("it was read")
    with pytest.raises(StorageError, match=refusal):
        journal.lock().acquire(0.0)
