"""What commands rely on, of every database: see `ports.JournalAccess` and `ports.History`."""

from __future__ import annotations

import pytest

from runner.core.errors import Locked, StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.core.pacing.pace_left import FULL_PACE, HoldOff, PaceLeft, Slowdown
from runner.core.records.run_record import NOT_KEPT, Figures
from runner.core.records.undelivered import Undelivered
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event, State
from runner.journal.follower import LOOKED_BACK
from runner.ports import Note
from runner.ports.journal_access import JournalAccess, JournalStore
from tests.journal.builders import AT, HERE, ORIGIN, Written, manifest_rows, owed
from tests.journal.contract.journals import started


@pytest.fixture
def run(journal: JournalAccess, store: JournalStore) -> Written:
    """Begin a run: `k0` is carried out, `k1` in doubt, `k2` under way, `k3` not begun."""
    written = started(store, journal, manifest_rows(4))
    written.go("k0", Event.INTENT, Event.ACCEPTED)
    written.go("k1", Event.INTENT, Event.LOST)
    written.go("k2", Event.INTENT)
    return written


def test_a_journal_that_was_not_made_has_no_history(journal: JournalAccess):
    assert not journal.exists()
    assert not journal.is_reachable()
    assert journal.holder() is None
    with pytest.raises(UsageError, match="there is no journal"), journal.open_history():
        pass


def test_opening_the_store_makes_the_journal(journal: JournalAccess, store: JournalStore):
    assert store.is_new
    assert journal.exists()
    assert journal.is_reachable()
    assert journal.is_same(JournalLocation(journal.address))
    assert journal.is_same(JournalLocation(journal.real_address))
    with journal.open_history() as history:
        assert (history.environment, history.origin) == ("production", ORIGIN)
        assert history.lineage_id == store.lineage_id
        assert (history.last_transfer_id(), history.runs(9)) == (0, [])


@pytest.mark.usefixtures("store")
def test_one_process_at_a_time_may_write(journal: JournalAccess):
    assert journal.holder() is not None
    with journal.lock() as lock, pytest.raises(Locked, match="another run holds"):
        lock.acquire(0)


def test_another_gateway_is_refused_once_there_are_transfers(journal: JournalAccess):
    with journal.lock() as lock:
        lock.acquire(0)
        store = lock.open_store(environment="production", origin="wss://mistyped:443")
        store.close()
        store = lock.open_store(environment="production", origin=ORIGIN)
        started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
        store.close()
        with pytest.raises(StorageError, match="belongs to the gateway"):
            lock.open_store(environment="production", origin="wss://other:443")


def test_a_run_is_seen_while_it_goes_on(journal: JournalAccess, run: Written):
    with journal.open_history() as history:
        seen = history.run("latest")
        assert (seen.record.id, seen.finished, seen.under_way) == (run.store.run_id, False, 1)
        assert seen.counts == {
            Outcome.TRANSFERRED: 1, Outcome.IN_DOUBT: 2, Outcome.UNATTEMPTED: 1,
        }  # fmt: skip
        assert history.run_number(run.store.run_id) == seen.no
        assert [held.key for held in history.held_by_run(seen.no, 9)] == ["k1", "k2"]
        assert history.count_held() == 2
        with pytest.raises(UsageError, match="no run x"):
            history.run("x")


def test_a_transfer_is_found_by_its_key(journal: JournalAccess, run: Written):
    with journal.open_history() as history:
        seen = history.run("latest")
        found = history.find_by_key(seen, "k1")
        assert found is not None
        assert (found.state, found.run) == (State.UNKNOWN, run.store.run_id)
        assert history.find_by_key(seen, "k3") is None
        with pytest.raises(UsageError, match="has no key k9"):
            history.find_by_key(seen, "k9")


def test_claims_are_what_earlier_runs_did(journal: JournalAccess, run: Written):
    with journal.open_history() as history:
        found = dict(history.claims([("a", "i0"), ("b", "i1"), ("c", "i3")]))
        assert {mark: [claim.state for claim in of] for mark, of in found.items()} == {
            "a": [State.TRANSFERRED], "b": [State.UNKNOWN],
        }  # fmt: skip
        moved = history.moved_since(0)
        transfer_id = run.life("k0").transfer_id
        assert moved == {"i0": (HERE, transfer_id, run.store.run_id)}
        assert history.moved_since(transfer_id) == {}


def test_what_a_dead_run_left_is_put_in_doubt_for_the_next(
    journal: JournalAccess, store: JournalStore, run: Written
):
    del run
    assert store.recover(at=AT) == 1
    assert store.recover(at=AT) == 0
    later = started(store, journal, manifest_rows(3)[1:])
    with journal.open_history() as history:
        doubts = history.doubts(later.store.run_no)
        assert [(doubt.standing.row.key, doubt.listed) for doubt in doubts] == [
            ("k1", True), ("k2", True),
        ]  # fmt: skip
        last = started(store, journal, [])
        assert [key for _, key, _ in history.doubts_elsewhere(last.store.run_no)] == ["k1", "k2"]


def test_the_stale_version_of_a_transfer_is_refused(run: Written):
    life = run.life("k1")
    life.version -= 1
    with pytest.raises(StorageError):
        run.store.record([life.answer(Event.VOUCHED)])


def test_callbacks_are_owed_until_they_are_settled(journal: JournalAccess, store: JournalStore):
    run = started(store, journal, manifest_rows(1, callbacks=("crm",)))
    life = run.life("k0")
    store.record([life.intent()])
    store.record([life.answer(Event.ACCEPTED, notifications=[owed("w1"), owed("w2")])])
    with journal.open_history() as history:
        first, second = history.outbox(0, 9)
        assert (first.webhook_id, first.callback, first.attempts) == ("w1", "crm", 0)
        assert history.outbox(first.no, 9) == [second]
        run.store.settle_callback("w1", state="delivered", attempts=1, reason=None, at=AT)
        assert [each.webhook_id for each in history.outbox(0, 9)] == ["w2"]
        assert history.callbacks_owed() == 1


def test_the_chain_goes_on_from_run_to_run(
    journal: JournalAccess, store: JournalStore, run: Written
):
    first = store.seq, store.head
    first_run = store.run_id
    run.finish()
    started(store, journal, [])
    with journal.open_history() as history:
        assert history.last_event() == (store.seq, store.head)
        assert history.has_event(*first)
        assert store.has_event(*first)
        assert not history.has_event(first[0], "0" * 64)
        assert [entry.seq for entry in history.chain()] == list(range(1, store.seq + 1))
        assert all(each.recorded == each.actual for each in history.heads_before_runs())
        assert history.run(first_run).finished
        report = history.report_source(history.run_number(first_run))
        assert (report.figures, history.report_source(store.run_no).figures) == (
            Figures(),
            NOT_KEPT,
        )
        assert [transfer.outcome for transfer in report.transfers()] == [
            "transferred", "in_doubt", "in_doubt", "unattempted",
        ]  # fmt: skip


def test_histories_that_were_waived_stay_so(journal: JournalAccess, store: JournalStore):
    started(store, journal, [])
    store.waive(["h1"], at=AT)
    store.waive(["h2"], at=AT)
    with journal.open_history() as history:
        assert history.waived() == store.waived() == {"h1", "h2"}


def test_a_run_is_followed_from_another_process(journal: JournalAccess, run: Written):
    with journal.follow(run.store.run_no) as follower:
        assert follower.look(AT).in_flight == 1
        run.store.record([run.life("k2").answer(Event.ACCEPTED)])
        progress = follower.look(AT)
        assert follower.has_news
        assert (progress.in_flight, progress.settled, progress.total) == (0, 3, 4)
        assert follower.run()[1:] == (False, True)


def test_a_limit_that_was_changed_long_ago_is_still_told(journal: JournalAccess, run: Written):
    told = {"who": "alice", "what": "rate 7/s", "why": None}
    run.store.record([Note(Note.CONTROL, AT, told)])
    run.store.record([Note("stray frame", AT, {"n": n}) for n in range(LOOKED_BACK + 1)])
    with journal.follow(run.store.run_no) as follower:
        assert follower.look(AT).limit_per_s == 7.0


def test_a_report_shows_what_people_and_gates_decided(
    journal: JournalAccess, store: JournalStore, run: Written
):
    said = {"who": "alice", "what": "pause", "why": "full"}
    asked = {"gate": "crm", "wave": 2, "verdict": "pass", "text": "200"}
    store.record([Note(Note.CONTROL, AT, said), Note(Note.GATE, AT, asked)])
    with journal.open_history() as history:
        source = history.report_source(run.store.run_no)
    assert [(each.who, each.what, each.why) for each in source.decisions] == [
        ("alice", "pause", "full")
    ]
    assert [(each.gate, each.wave, each.verdict, each.text) for each in source.gates] == [
        ("crm", 2, "pass", "200")
    ]


def test_what_the_runs_of_one_batch_did_is_found(journal: JournalAccess, store: JournalStore):
    """The second run continues the first; the third is another's, and is left out."""
    first = started(store, journal, manifest_rows(4))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    first.go("k1", Event.INTENT)
    store.record([Note("wave begun", AT, {"wave": 1, "of": 2, "transfers": 3})])
    first_no, first_id = store.run_no, store.run_id
    store.recover(at=AT)
    store.begin_run(
        "later",
        {"batch": "b", "started_at": "t", "manifest_sha256": "0"},
        at=AT,
        continues=first_id,
    )
    said = {"who": "alice", "what": "pause", "why": None}
    store.record([Note(Note.CONTROL, AT, said), Note("stays in doubt", AT, {})])
    store.begin_run("other", {"batch": "b", "started_at": "t", "manifest_sha256": "0"}, at=AT)
    store.record([Note("wave begun", AT, {"wave": 9, "of": 9, "transfers": 1})])
    with journal.open_history() as history:
        found = history.earlier_runs(first_no)
    assert found.first_run == first_id
    assert {name: last.state for name, last in found.transfers.items()} == {
        "i0": State.TRANSFERRED, "i1": State.UNKNOWN,
    }  # fmt: skip
    assert [event["event"] for event in found.events] == ["wave begun", "control"]


def test_what_the_gateway_asked_of_earlier_runs_is_found(
    journal: JournalAccess, store: JournalStore
):
    started(store, journal, manifest_rows(1))
    with journal.open_history() as history:
        assert history.pace_left() == FULL_PACE
    for rate in (8.0, 4.0):
        store.record([Note(Note.SLOWED_DOWN, AT, {"rate_per_s": rate, "base_per_s": 16.0})])
    store.record([Note(Note.HELD_OFF, AT, {"wait_s": 30.0, "why": "retry_after"})])
    store.begin_run("later", {"batch": "b", "started_at": "t", "manifest_sha256": "0"}, at=AT)
    with journal.open_history() as history:
        assert history.pace_left() == PaceLeft(
            Slowdown(AT, 4.0, 16.0), HoldOff(AT, 30.0, "retry_after")
        )


def test_what_receivers_were_not_told_is_counted_by_callback_and_batch(
    journal: JournalAccess, store: JournalStore
):
    run = started(store, journal, manifest_rows(1, callbacks=("crm",)))
    life = run.life("k0")
    store.record([life.intent()])
    names = [owed(name) for name in ("w1", "w2", "w3", "w4")]
    store.record([life.answer(Event.ACCEPTED, notifications=names)])
    settled = [
        ("w1", "delivered", None),
        ("w2", "failed", "answered 404"),
        ("w3", "pending", "late"),
    ]
    for name, state, reason in settled:
        run.store.settle_callback(name, state=state, attempts=1, reason=reason, at=AT)
    first = run.store.run_no
    run.finish()
    later = started(store, journal, []).store.run_no
    with journal.open_history() as history:
        assert history.undelivered(first) == [Undelivered("crm", 2, 1, None)]
        assert history.report_source(first).undelivered == [Undelivered("crm", 2, 1, None)]
        assert history.undelivered(later) == [Undelivered("crm", 2, 0, None)], (
            "given up is told once"
        )
        run.store.settle_callback("w4", state="delivered", attempts=1, reason=None, at=AT)
        assert history.undelivered(later) == [Undelivered("crm", 1, 0, "late")]
        run.store.settle_callback("w3", state="delivered", attempts=1, reason=None, at=AT)
        assert history.undelivered(first) == [Undelivered("crm", 0, 1, "answered 404")]
        assert history.undelivered(later) == []
