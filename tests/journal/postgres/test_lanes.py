"""Who may write a lane: lease, fence and takeover, on clocks that the tests set."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from runner.core.errors import Fenced, Locked, StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.core.transfer.states import Event
from runner.journal.postgres.access import LaneLock, PostgresJournal
from runner.journal.postgres.batch import RECORD, columns, row_of
from runner.journal.postgres.connection import Connection, JournalUrl
from runner.journal.postgres.lane_session import LaneSession
from runner.journal.postgres.lease import LaneState, Lease, Watcher, uptime
from runner.journal.postgres.owner import is_surely_dead, this_process
from runner.journal.postgres.store import Store
from runner.ports.journal_access import Lane
from tests.journal.builders import ORIGIN, manifest_rows, note
from tests.journal.contract.journals import started
from tests.journal.postgres.lanes import TTL_S, Clock, Database
from tests.postgres_server import fresh_database


@pytest.fixture
def database() -> Iterator[Database]:
    made = Database(fresh_database())
    with made.open:
        yield made


def session_of(store: Store) -> LaneSession:
    return store._session


def test_who_stands_still_for_longer_than_its_lease_is_followed_and_fenced(database: Database):
    owner, watcher = Clock(), Clock(5000.0)
    store = database.owned(owner)
    run = started(store, database.journal, manifest_rows(2))
    run.go("k0", Event.INTENT)
    seq = store.seq
    later = database.owned(watcher, timeout_s=60.0)
    assert watcher.at - 5000.0 >= TTL_S * 16 / 15
    with pytest.raises(Fenced):
        store.record([note()])
    with pytest.raises(Fenced):
        store.may_write()
    with pytest.raises(Fenced):
        store.record([note()])
    assert later.seq == seq + 1
    assert database.bodies()[-1]["event"] == "lane taken"
    assert database.bodies()[-1]["why"] == "its lease has run out"
    assert later.recover(at=1.0) == 1


def test_a_sender_that_was_only_fenced_may_still_send_and_one_that_ended_may_not(
    database: Database,
):
    owner, watcher = Clock(), Clock(5000.0)
    store = database.owned(owner)
    run = started(store, database.journal, manifest_rows(2))
    run.go("k0", Event.INTENT)
    database.owned(watcher, timeout_s=60.0).recover(at=1.0)
    with database.journal.open_history() as history:
        [(fenced,)] = database.ask("SELECT id FROM runner.transfers")
        assert "process" in str(history.fenced_sender(int(str(fenced))))
    database.ask(
        "UPDATE runner.events SET body = replace(body, 'its lease has run out', 'free') RETURNING 1"
    )
    with database.journal.open_history() as history:
        assert history.fenced_sender(int(str(fenced))) is None


def test_who_renews_is_not_followed(database: Database):
    owner, watcher = Clock(), Clock()
    store = database.owned(owner)
    started(store, database.journal, [])

    def sleep(seconds: float) -> None:
        watcher.sleep(seconds)
        store.record([note()])

    with pytest.raises(Locked, match="another run holds the journal: process"):
        database.lock(watcher).acquire(40.0, sleep)
    store.record([note()])


def test_who_waits_outlasts_a_server_that_ends_its_connections(database: Database):
    store = database.owned(Clock())
    started(store, database.journal, manifest_rows(1)).go("k0", Event.INTENT)
    watcher = Clock(5000.0)
    waiting: list[float] = []

    def sleep(seconds: float) -> None:
        watcher.sleep(seconds)
        waiting.append(seconds)
        if len(waiting) == 3:
            database.ask(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    lock = database.lock(watcher)
    lock.acquire(60.0, sleep)
    assert watcher.at - 5000.0 >= TTL_S * 16 / 15
    later = lock.open_store(environment="production", origin=ORIGIN)
    assert later.recover(at=1.0) == 1


def test_a_renewal_alone_moves_the_beat(database: Database):
    store = database.owned(Clock())
    before = database.ask("SELECT beat, seq FROM runner.lanes")
    session_of(store).renew()
    after = database.ask("SELECT beat - 1, seq FROM runner.lanes")
    assert before == after


def test_after_a_clean_end_nobody_waits(database: Database):
    clock = Clock()
    with database.lock(clock) as lock:
        lock.acquire(0.0)
        lock.open_store(environment="production", origin=ORIGIN)
    again = database.lock(clock)
    assert again.acquire(0.0) == 0.0
    assert [(e["epoch"], e["why"]) for e in database.bodies()] == [(1, "free"), (2, "free")]


def test_what_may_be_on_its_way_keeps_the_lane_until_the_lease_has_run_out(database: Database):
    clock = Clock()
    with database.lock(clock) as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        started(store, database.journal, manifest_rows(1)).go("k0", Event.INTENT)
    with pytest.raises(Locked):
        database.lock(Clock()).acquire(0.0)


@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({}, False),
        ({"started": "1"}, True),
        ({"started": "1", "boot": "another"}, False),
        ({"started": "1", "pid_namespace": "pid:[1]"}, False),
        ({"started": None}, False),
        ({"pid": 2**22 + 1}, True),
    ],
)
def test_a_process_of_this_boot_and_namespace_alone_is_proven_dead(
    database: Database, changes: dict[str, object], *, dead: bool
):
    owner = json.dumps(json.loads(this_process()) | changes)
    assert is_surely_dead(owner) is dead
    database.owned(Clock())
    database.ask(f"UPDATE runner.lanes SET owner = '{owner}'")
    assert (database.journal.holder() is None) is dead
    lock = database.lock(Clock())
    if dead:
        assert lock.acquire(0.0) == 0.0
    else:
        with pytest.raises(Locked):
            lock.acquire(0.0)


def test_a_lease_ends_for_its_owner_before_it_ends_for_a_watcher():
    clock = Clock(0.0)
    lease = Lease(TTL_S, 0.0, clock)
    assert lease.may_write()
    clock.at = TTL_S * 14 / 15 - 0.001
    assert lease.may_write()
    clock.at = TTL_S * 14 / 15
    assert not lease.may_write()
    lease.renewed(10.0)
    assert lease.may_write()
    lease.renewed(1.0)  # an older answer that comes late
    assert lease.may_write()
    lease.lose(StorageError("gone"))
    with pytest.raises(StorageError, match="gone"):
        lease.may_write()


def test_a_lease_that_lapsed_goes_on_with_the_next_renewal(database: Database):
    clock = Clock()
    store = database.owned(clock)
    clock.at += TTL_S
    assert not store.may_write()
    session_of(store).renew()
    assert store.may_write()


# An answer that is lost


def cut(database: Database, connection: Connection) -> None:
    """End a connection from the server's side."""
    database.ask(f"SELECT pg_terminate_backend({connection.info.backend_pid}, 5000)")


def test_a_connection_that_ends_between_two_commits_is_opened_anew(database: Database):
    store = database.owned(Clock())
    run = started(store, database.journal, manifest_rows(2))
    cut(database, session_of(store).connection)
    run.go("k0", Event.INTENT, Event.ACCEPTED)
    with database.journal.open_history() as history:
        assert history.last_event() == (store.seq, store.head)
        cut(database, history._connection)
        assert history.count_held() == 0


@pytest.mark.parametrize("alone", [True, False])
def test_a_commit_whose_answer_is_lost_is_counted_once(database: Database, *, alone: bool):
    """It became durable before the connection ended: it is not written again."""
    store = database.owned(Clock())
    session = session_of(store)
    seq, head = session.seq + 1, "1" * 64
    calls = []

    def write(connection: Connection) -> None:
        calls.append(connection)
        if alone:
            values = [session.lane, session.epoch, session.seq, session.head, seq, head, 0, None]
            connection.execute(RECORD.encode(), [*values, *one_note(head)])
        cut(database, connection)
        connection.execute("SELECT 1")

    def write_once(connection: Connection) -> None:
        if len(calls) == 0:
            write(connection)

    session.commit(seq, head, write if alone else write_once, alone=alone)
    assert len(calls) == 1
    assert (session.seq, session.head) == (seq, head)
    assert database.ask("SELECT seq, head FROM runner.lanes") == [(seq, head)]


def one_note(head: str) -> list[str]:
    return columns([row_of(note(), "{}", head)])


def test_without_a_lease_a_lost_connection_ends_the_run(database: Database):
    clock = Clock()
    store = database.owned(clock)
    started(store, database.journal, [])
    clock.at += TTL_S
    cut(database, session_of(store).connection)
    with pytest.raises(StorageError, match="cannot be used"):
        store.record([note()])


def test_a_warning_at_a_commit_is_a_failed_commit(database: Database):
    store = database.owned(Clock())
    session = session_of(store)

    def write(connection: Connection) -> None:
        connection.execute(
            "DO $$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; END $$"
        )

    with pytest.raises(StorageError, match="canceling wait"):
        session.commit(session.seq, session.head, write)


def test_every_commit_waits_for_the_disk_whatever_the_role_is_set_to(database: Database):
    store = database.owned(Clock())
    session = session_of(store)
    session.connection.execute("SET synchronous_commit = off")
    seen = []

    def write(connection: Connection) -> None:
        seen.extend(connection.execute("SHOW synchronous_commit").fetchall())

    session.commit(session.seq, session.head, write)
    assert seen == [("on",)]


def test_a_journal_for_synchronous_standbys_is_not_written_without(database: Database):
    store = database.owned(Clock())
    database.ask("UPDATE runner.journal SET value = 'synchronous' WHERE name = 'durability'")
    with pytest.raises(StorageError, match="synchronous_standby_names"):
        session_of(store).renew()


def test_a_session_that_is_not_ours_any_more_is_noticed(database: Database):
    """As behind a pooler that gives each transaction another session."""
    store = database.owned(Clock())
    session_of(store).connection.execute("SET runner.mark = 'of another client'")
    with pytest.raises(StorageError, match="pooler"):
        session_of(store).renew()


# Lanes


def test_one_of_several_lanes_has_to_be_named(database: Database):
    database.owned(Clock())
    whole = PostgresJournal(JournalLocation(database.url))
    with whole.open_history() as history:
        assert history.origin == ORIGIN
    other = LaneLock(JournalUrl.parse(f"{database.url}&lane=other"))
    with other:
        other.acquire(0.0)
        other.open_store(environment="staging", origin="wss://other:443")
    with pytest.raises(UsageError, match="several lanes"), whole.open_history():
        pass


def test_a_url_with_two_lanes_is_refused():
    with pytest.raises(UsageError, match="names 2 lanes; name one"):
        JournalUrl.parse("postgresql:///journal?lane=a&lane=b")


def test_a_lane_is_a_gateway_and_an_account_and_no_environment(database: Database):
    journal = PostgresJournal(JournalLocation(database.url))
    lane = Lane("wss://gw.example.net:443", "a")
    assert lane.name.startswith("gw.example.net-")
    assert journal.for_lane(lane).address.endswith(f"lane={lane.name}")
    assert lane.name != Lane("wss://gw.example.net:443", "b").name
    with pytest.raises(UsageError, match="leave lane= out"):
        journal.for_lane(lane).for_lane(Lane("wss://other:443", "a"))


def test_a_database_without_a_journal_says_how_to_make_one():
    url = fresh_database(journal=False)
    journal = PostgresJournal(JournalLocation(f"{url}&lane=edge"))
    assert not journal.exists()
    assert journal.holder() is None
    with journal.lock() as lock, pytest.raises(UsageError, match="runner journal create 'post"):
        lock.acquire(0.0)


def test_a_copy_of_the_database_is_not_the_journal(database: Database):
    database.owned(Clock())
    database.open.close()
    copy = fresh_database(like=database.url)
    assert database.journal.is_same(JournalLocation(f"{database.url}&lane=edge"))
    assert not database.journal.is_same(JournalLocation(f"{copy}&lane=edge"))
    assert not database.journal.is_same(JournalLocation("postgresql:///nowhere?host=/nowhere"))


@pytest.mark.parametrize(
    ("url", "accepted"),
    [
        ("postgresql:///x?host=/run/postgresql", True),
        ("postgresql://localhost/x", True),
        ("postgresql://127.0.0.1:5433/x", True),
        ("postgresql://[::1]/x", True),
        ("postgresql://db.example.net/x", False),
        ("postgresql://localhost,db.example.net/x", False),
        ("postgresql://localhost/x?hostaddr=192.0.2.1", False),
        ("postgresql://db.example.net/x?sslmode=prefer", False),
        ("postgresql://db.example.net/x?sslmode=require", True),
        ("postgresql://db.example.net/x?sslmode=verify-full", True),
    ],
)
def test_whatever_leaves_the_machine_is_encrypted(url: str, *, accepted: bool):
    check: Callable[[], None] = JournalUrl.parse(url).check_encryption
    if accepted:
        check()
    else:
        with pytest.raises(UsageError, match="verify-full"):
            check()


def test_what_the_environment_says_of_encryption_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    JournalUrl.parse("postgresql://db.example.net/x").check_encryption()
    monkeypatch.setenv("PGHOST", "db.example.net")
    monkeypatch.delenv("PGSSLMODE")
    with pytest.raises(UsageError):
        JournalUrl.parse("postgresql:///x").check_encryption()


@pytest.mark.parametrize(
    "url", ["postgresql://u:p4ss@h/x", "postgresql:///x?password=p4ss", "postgresql://u:p4ss@[/x"]
)
def test_a_password_is_refused_without_repeating_it(url: str):
    with pytest.raises(UsageError) as refused:
        JournalUrl.parse(url)
    assert "p4ss" not in str(refused.value)


def test_a_server_that_does_not_answer_is_a_storage_error(tmp_path: Path):
    journal = PostgresJournal(JournalLocation(f"postgresql:///x?host={tmp_path}&lane=a"))
    assert not journal.is_reachable()
    with pytest.raises(StorageError, match="cannot be used"):
        journal.exists()


def test_the_batch_reads_no_table_as_a_whole_even_while_its_plan_is_new(database: Database):
    """Such a plan is kept, and each batch would take longer than the one before it."""
    store = database.owned(Clock())
    run = started(store, database.journal, manifest_rows(300))
    for key in range(300):
        run.go(f"k{key}", Event.INTENT)
    with psycopg.connect(database.url) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
    before = scanned(database)
    run.go("k7", Event.ACCEPTED)
    session_of(store).connection.execute("SELECT pg_stat_force_next_flush()")
    session_of(store).connection.execute("SELECT 1")
    assert scanned(database) - before < 50


def scanned(database: Database) -> int:
    ((rows,),) = database.ask(
        "SELECT sum(seq_tup_read + idx_tup_fetch)::bigint FROM pg_stat_user_tables"
        " WHERE schemaname = 'runner' AND relname IN ('transfers', 'deliveries', 'events')"
    )
    assert isinstance(rows, int)
    return rows


def test_a_step_of_the_time_of_day_ends_no_lease(monkeypatch: pytest.MonkeyPatch):
    state = LaneState(1, 1, 1, this_process(), TTL_S, 0, "")
    watcher, trusting = Watcher(), Watcher(lambda: time.time() + 0)
    for each in (watcher, trusting):
        each.saw(state)
    lease = Lease(TTL_S, uptime())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3600.0)
    assert not watcher.has_lapsed(state)
    assert lease.holds()
    assert trusting.has_lapsed(state)  # so a watcher that trusts it would take a lane that is held
