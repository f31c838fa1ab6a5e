"""A run of another process, followed by what its audit log grows by."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.records.latency import RecentLatency
from runner.core.records.recent_failures import RecentFailure
from runner.core.transfer.states import Event
from runner.journal.follower import Follower
from runner.journal.sqlite.run_events import SqliteRunEvents
from runner.journal.sqlite.store import Store
from runner.ports import Note, Notification, SessionState
from tests.journal.builders import AT, Written, begun, manifest_rows, opened


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


@pytest.fixture
def store(journal: Path) -> Store:
    return opened(journal)


def note(event: str, at: float = AT, **fields: object) -> Note:
    return Note(event, at, fields)


def figures(follower: Follower, at: float = AT) -> tuple[int, int, dict[str, int], int]:
    told = follower.look(at)
    return told.total, told.settled, dict(told.outcomes), told.in_flight


def test_what_happened_before_and_after_the_first_look_is_counted_alike(
    journal: Path, store: Store
):
    run = begun(store, manifest_rows(6))
    run.go("k0", Event.INTENT, Event.ACCEPTED)
    run.go("k1", Event.INTENT)
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        assert figures(follower) == (6, 1, {"transferred": 1}, 1)
        run.go("k1", Event.DENIED)
        run.go("k2", Event.INTENT, Event.LOST)
        run.go("k3", Event.INTENT)
        assert figures(follower) == (6, 3, {"transferred": 1, "rejected": 1, "in_doubt": 1}, 1)
        assert follower.has_news
        run.go("k2", Event.SEEN)
        run.go("k1", Event.SEEN)
        assert figures(follower) == (6, 3, {"transferred": 3}, 1)
        assert figures(follower) == (6, 3, {"transferred": 3}, 1)
        assert not follower.has_news


def test_transfers_of_other_runs_are_not_counted(journal: Path, store: Store):
    """Neither an earlier run's doubt that this one settles, nor what comes after it."""
    first = begun(store, manifest_rows(2))
    first.go("k0", Event.INTENT, Event.LOST)
    first.finish("in-doubt")
    second = begun(store, manifest_rows(3))
    number = store.run_no
    with Follower(SqliteRunEvents(journal, number), "j.db") as follower:
        store.record([first.life("k0").entry(Event.SEEN)])
        second.go("k1", Event.INTENT, Event.ACCEPTED)
        assert figures(follower) == (2, 1, {"transferred": 1}, 0)
        second.finish()
        begun(store, manifest_rows(4)).go("k3", Event.INTENT)
        assert figures(follower) == (2, 1, {"transferred": 1}, 0)


def test_a_plan_that_is_stored_later_is_seen_then(journal: Path, store: Store):
    begun(store, manifest_rows(0))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        assert follower.look(AT).total == 0


def test_problems_latency_rate_and_limit_are_told(journal: Path, store: Store):
    run = begun(store, manifest_rows(4))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        run.go("k0", Event.INTENT, Event.ACCEPTED)
        run.go("k1", Event.INTENT, Event.DENIED, reason="not_authorized")
        run.go("k2", Event.INTENT, Event.LOST, reason="no reply")
        run.go("k3", Event.INTENT)
        told = follower.look(AT + 2)
        assert told.recent_failures == (
            RecentFailure(AT, "rejected", "k1", "not_authorized"),
            RecentFailure(AT, "in_doubt", "k2", "no reply"),
        )
        assert told.latency_ms == RecentLatency(20.0, 20.0)
        assert told.sent_per_s == 2.0
        assert told.sent == 4
        assert follower.look(AT + 60).sent_per_s == 0.0


def test_the_limit_is_told_by_how_the_run_began(journal: Path, store: Store):
    record = {"batch": "b", "started_at": "2027", "manifest_sha256": "0" * 64}
    store.begin_run("r", record, at=AT, rate_per_s=25.0)
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        assert follower.look(AT).limit_per_s == 25.0


def test_the_limit_is_told_as_an_operator_changed_it(journal: Path, store: Store):
    """Before the first look, however long ago, and after it."""
    record = {"batch": "b", "started_at": "2027", "manifest_sha256": "0" * 64}
    store.begin_run("r", record, at=AT, rate_per_s=25.0)
    store.record([note(Note.CONTROL, who="anna", what="rate 10/s", why=None)])
    store.record([note("stray frame", n=n) for n in range(2500)])
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        assert (follower.look(AT).limit_per_s, follower.look(AT).rate_per_s) == (10.0, 10.0)
        store.record([note(Note.CONTROL, who="anna", what="rate 5/s", why=None)])
        store.record([note(Note.CONTROL, who="anna", what="approve", why=None)])
        store.record([note(Note.CONTROL, who="anna", what="in-flight 4", why=None)])
        assert (follower.look(AT).limit_per_s, follower.look(AT).rate_per_s) == (5.0, 5.0)


def test_the_limit_that_an_earlier_run_was_given_is_told(journal: Path, store: Store):
    record = {"batch": "b", "started_at": "2027", "manifest_sha256": "0" * 64}
    store.begin_run("r", record, at=AT, rate_per_s=25.0)
    store.record([note(Note.RATE_RESTORED, rate_per_s=2.0)])
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        assert follower.look(AT).limit_per_s == 2.0


def test_the_wave_and_the_pauses_after_it_are_told_however_long_ago_it_began(
    journal: Path, store: Store
):
    begun(store, manifest_rows(1))
    store.record([note(Note.WAVE_BEGUN, wave=2, of=4, transfers=9, pauses_left_s=600.0)])
    store.record([note("stray frame", n=n) for n in range(2500)])
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        told = follower.look(AT)
        assert (told.stage, told.pauses_left_s) == ("wave 2 of 4", 600.0)


def test_a_slower_pace_is_told_and_climbs_as_the_run_s_own_does(journal: Path, store: Store):
    record = {"batch": "b", "started_at": "2027", "manifest_sha256": "0" * 64}
    store.begin_run("r", record, at=AT, rate_per_s=20.0)
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        store.record([note(Note.SLOWED_DOWN, rate_per_s=10.0, base_per_s=20.0, why="429")])
        told = follower.look(AT)
        assert (told.rate_per_s, told.limit_per_s) == (10.0, 20.0)
        assert 10.0 < (follower.look(AT + 2).rate_per_s or 0) < 20.0
        assert follower.look(AT + 3600).rate_per_s == 20.0


def test_the_session_and_what_holds_all_up_are_told(journal: Path, store: Store):
    run = begun(store, manifest_rows(1))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        told = follower.look(AT)
        assert (told.session, told.waiting_for) == (SessionState.DIALLING, "the session")
        store.record([note(Note.SESSION_OPENED)])
        assert follower.look(AT).waiting_for is None
        store.record([note(Note.ASKED_TO_WAIT, wait_s=20.0, why="Retry-After")])
        assert follower.look(AT + 5).waiting_for == "15 s more (Retry-After)"
        assert follower.look(AT + 21).waiting_for is None
        store.record([note(Note.CIRCUIT_OPEN)])
        assert str(follower.look(AT + 30).waiting_for).startswith("open circuit")
        store.record([note(Note.GOING_ON)])
        assert follower.look(AT + 31).waiting_for is None
        store.record([note(Note.WAVE_BEGUN, wave=2, of=5, transfers=9)])
        assert follower.look(AT).stage == "wave 2 of 5"
        store.record([note(Note.SESSION_CLOSED)])
        assert follower.look(AT).session is SessionState.LOST
    run.go("k0", Event.INTENT)
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as later:
        assert later.look(AT).session is SessionState.OPEN


def test_a_run_that_has_ended_waits_for_nothing(journal: Path, store: Store):
    """It closed its session itself; who saw it run a moment ago still asks what holds it."""
    run = begun(store, manifest_rows(1))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        run.go("k0", Event.INTENT, Event.ACCEPTED)
        store.record([note(Note.SESSION_CLOSED)])
        run.finish()
        assert follower.look(AT).waiting_for is None


def test_callbacks_that_are_owed_are_counted(journal: Path, store: Store):
    run = begun(store, manifest_rows(1, callbacks=("crm",)))
    life = run.life("k0")
    store.record([life.intent()])
    owed = Notification("w1", "crm", "transferred", "{}")
    store.record([life.answer(Event.ACCEPTED, notifications=(owed,))])
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        assert follower.look(AT).callbacks_owed == 1


def test_a_pause_is_told_with_the_command_that_ends_it_whatever_the_session(
    journal: Path, store: Store
):
    begun(store, manifest_rows(1))
    with Follower(SqliteRunEvents(journal, store.run_no), "a journal.db") as follower:
        store.record([note(Note.CONTROL, who="anna", what="pause", why="full")])
        shown = follower.look(AT)
        assert "paused by anna since" in str(shown.waiting_for)
        assert shown.command == "runner control resume --journal 'a journal.db'"
        store.record([note(Note.CONTROL, who="anna", what="resume", why=None)])
        assert (follower.look(AT).waiting_for, follower.look(AT).command) == ("the session", None)


def test_its_record_tells_whether_it_ended_and_is_the_newest(journal: Path, store: Store):
    run = begun(store, manifest_rows(1))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        record, finished, newest = follower.run()
        assert (record.id, finished, newest) == (run.store.run_id, False, True)
        run.finish("failures")
        assert follower.run()[0].outcome == "failures"
        assert follower.run()[1]
        begun(store, manifest_rows(1))
        assert not follower.run()[2]


def test_it_holds_no_transaction_between_looks(journal: Path, store: Store):
    """A checkpoint of everything succeeds beside it: nothing of the log is pinned by a reader."""
    run = begun(store, manifest_rows(3))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        run.go("k0", Event.INTENT, Event.ACCEPTED)
        follower.look(AT)
        [(busy, logged, done)] = store._connection.execute(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        ).fetchall()
        assert (busy, logged, done) == (0, 0, 0)


def test_a_run_faster_than_a_look_can_read_is_caught_up_with(journal: Path, store: Store):
    run: Written = begun(store, manifest_rows(3))
    with Follower(SqliteRunEvents(journal, store.run_no), "j.db") as follower:
        store.record([note("stray frame", n=n) for n in range(25_000)])
        run.go("k0", Event.INTENT, Event.ACCEPTED)
        assert follower.look(AT).settled == 0
        assert follower.look(AT).settled == 1
