"""A primary that dies under its lane's owner, and the synchronous standby that takes its place."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event
from runner.journal.postgres.access import LaneLock, PostgresJournal
from runner.journal.postgres.connection import JournalUrl
from runner.journals import create_journal
from runner.ports.journal_access import Durability
from tests.journal.builders import ORIGIN, manifest_rows, note
from tests.journal.contract.journals import started
from tests.postgres_server import beside_server, binary, execute, server_user

ROUNDS = 20 if os.environ.get("RUNNER_CHAOS") == "large" else 1

LEASE_S = 180.0  # however slowly the standby is promoted


@dataclass
class Pair:
    """A primary and its standby, each on a socket in its folder."""

    primary: Path
    standby: Path
    running: set[Path] = field(default_factory=set)

    def run(self, program: str, *arguments: str) -> None:
        command = [binary(program), *arguments]
        subprocess.run(command, check=True, user=server_user(), capture_output=True)

    def start(self, folder: Path) -> None:
        # What the standby copied of the primary's settings would let it wait for itself.
        alone = "-c synchronous_standby_names=" if folder == self.standby else ""
        options = f"-h '' -k {folder} {alone}"
        self.control(folder, "-l", f"{folder}/log", "-o", options, "start")
        self.running.add(folder)

    def control(self, folder: Path, *arguments: str) -> None:
        self.run("pg_ctl", "-w", "-D", f"{folder}/data", *arguments)

    def stop(self, folder: Path) -> None:
        self.running.discard(folder)
        self.control(folder, "-m", "immediate", "stop")

    def url(self, *folders: Path) -> str:
        hosts = ",".join(map(str, folders))
        return f"postgresql:///postgres?user=postgres&host={hosts}&target_session_attrs=read-write"


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair(beside_server("primary"), beside_server("standby"))
    new = ("--auth=trust", "--no-sync", "-U", "postgres")
    made.run("initdb", "--encoding=utf8", "-D", f"{made.primary}/data", *new)
    # From its start on: a server heeds a reload some commits later.
    with (made.primary / "data/postgresql.conf").open("a") as configuration:
        configuration.write("synchronous_standby_names = 'standby'\n")
    try:
        made.start(made.primary)
        source = f"host={made.primary} user=postgres application_name=standby"
        copy = ("-d", source, "-R", "-c", "fast", "--no-sync", "-D", f"{made.standby}/data")
        made.run("pg_basebackup", *copy)
        made.start(made.standby)
        # Its commit waits until the standby takes part.
        execute(made.url(made.primary), "CREATE TABLE probe (n integer)")
        yield made
    finally:
        for folder in list(made.running):
            made.stop(folder)


def fail_over(pair: Pair, is_busy: threading.Event) -> None:
    """Stop the primary at once while it commits, and let the standby take its place."""
    is_busy.wait()
    pair.stop(pair.primary)
    pair.control(pair.standby, "promote")


@pytest.mark.parametrize("round_no", range(ROUNDS))
def test_the_owner_goes_on_nothing_is_lost_and_the_next_one_is_not_refused(
    pair: Pair, round_no: int
):
    both = pair.url(pair.primary, pair.standby)
    create_journal(JournalLocation(both), Durability.SYNCHRONOUS)
    # Where the journal may not rely on a promotion, its owner's word is what the next one has.
    execute(both, "UPDATE runner.journal SET value = 'single' WHERE name = 'durability'")
    journal = PostgresJournal(JournalLocation(f"{both}&lane=edge"))
    with LaneLock(JournalUrl.parse(journal.address), ttl_s=LEASE_S) as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        run = started(store, journal, manifest_rows(3))
        run.go("k0", Event.INTENT, Event.ACCEPTED)
        acknowledged = []
        is_busy = threading.Event()
        failover = threading.Thread(target=fail_over, args=(pair, is_busy))
        failover.start()
        try:
            while failover.is_alive():
                store.record([note()])
                acknowledged.append((store.seq, store.head))
                if len(acknowledged) > round_no:
                    is_busy.set()
        finally:
            is_busy.set()
            failover.join()
        run.go("k1", Event.INTENT, Event.ACCEPTED)
        assert [each for each in acknowledged if not store.has_event(*each)] == []
        assert store.may_write()
    with journal.lock() as lock:
        lock.acquire(0.0)
        lock.open_store(environment="production", origin=ORIGIN)
    with journal.open_history() as history:
        assert history.run("latest").counts[Outcome.TRANSFERRED] == 2
        assert history.provenance().server.endswith("/2")


def test_a_standby_that_commits_do_not_wait_for_loses_them_which_is_found(pair: Pair):
    """The mistake is made on purpose: the check above has to see what it costs."""
    both = pair.url(pair.primary, pair.standby)
    create_journal(JournalLocation(both), Durability.ACCEPT_LOSS)
    journal = PostgresJournal(JournalLocation(f"{both}&lane=edge"))
    with LaneLock(JournalUrl.parse(journal.address), ttl_s=LEASE_S) as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
        execute(both, "ALTER SYSTEM SET synchronous_standby_names = ''")
        execute(both, "SELECT pg_reload_conf()")
        pair.stop(pair.standby)
        store.record([note()])
        acknowledged = (store.seq, store.head)
        pair.stop(pair.primary)
        pair.start(pair.standby)
        pair.control(pair.standby, "promote")
        with journal.open_history() as history:
            assert not history.has_event(*acknowledged)
        with pytest.raises(StorageError):  # its owner stops: another head than its own
            store.record([note()])
