"""What the journal tells: of a run for its report, of doubts, of what is owed."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.errors import StorageError, UsageError
from runner.core.records.audit_chain import link
from runner.core.records.run_record import ReportSource, TransferRecord
from runner.core.transfer.states import Event
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.store import Store
from runner.staging.rows import Selection
from tests.journal.builders import (
    AT,
    HERE,
    NARROW,
    THERE,
    VOICE,
    begun,
    manifest_rows,
    note,
    opened,
    outcomes,
    owed,
    reader_of,
)

INTENT, ACCEPTED, LOST, LIMITED = Event.INTENT, Event.ACCEPTED, Event.LOST, Event.LIMITED


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path / "production.db")


def source(store: Store, run: str = "latest") -> ReportSource:
    reader = reader_of(store.path)
    try:
        return reader.report_source(reader.run_number(run))
    finally:
        reader.close()


def told(store: Store, key: str = "k0") -> TransferRecord:
    (record,) = [t for t in source(store).transfers() if t.key == key]
    return record


def test_the_wave_of_a_transfer_is_told_by_its_place_among_those_sent(store: Store):
    begun(store, manifest_rows(1)).go("k0", INTENT, ACCEPTED)
    begun(store, manifest_rows(5), Selection(limit=3), waves=[1, 3])
    assert [t.wave for t in source(store).transfers()] == [None, 1, 2, 2, None]
    begun(store, manifest_rows(5))
    assert {t.wave for t in source(store).transfers()} == {None}


def test_what_failed_before_is_sent_last_and_in_the_last_wave(store: Store):
    first = begun(store, manifest_rows(5))
    first.go("k0", INTENT, Event.DENIED, reason="destination_unreachable")
    first.go("k3", Event.EXHAUSTED)
    begun(store, manifest_rows(5), waves=[1, 3, 5])
    reader = reader_of(store.path)
    fresh = [row.key for row in reader.pending(store.run_no, -1, 9)]
    again = [(row.key, row.failed_as) for row in reader.pending(
        store.run_no, -1, 9, failed_before=True)]  # fmt: skip
    reader.close()
    assert (fresh, again) == (["k1", "k2", "k4"], [("k0", "destination_unreachable"), ("k3", "")])
    assert [t.wave for t in source(store).transfers()] == [3, 1, 2, 3, 2]


def test_what_had_no_turn_is_told_why_the_run_ended(store: Store):
    begun(store, manifest_rows(1))
    reader = reader_of(store.path)
    (record,) = reader.report_source(store.run_no, "the window closed").transfers()
    reader.close()
    assert record.reason == "the window closed"


def test_outcomes_add_up_to_the_manifests_rows(store: Store):
    first = begun(store, manifest_rows(4))
    first.go("k0", INTENT, ACCEPTED)
    first.go("k1", INTENT, LOST)
    first.go("k2", Event.EXCLUDED)
    run = begun(store, manifest_rows(12), Selection(limit=6))
    run.go("k4", INTENT, ACCEPTED)
    run.go("k5", INTENT, Event.DENIED)
    run.go("k6", INTENT, LIMITED)
    run.go("k7", Event.EXHAUSTED)
    run.go("k8", INTENT)
    run.finish()
    assert outcomes(store.path) == {
        "k0": "unchanged",
        "k1": "in_doubt",
        "k2": "skipped",
        "k3": "unattempted",
        "k4": "transferred",
        "k5": "rejected",
        "k6": "unattempted",
        "k7": "failed",
        "k8": "in_doubt",
        "k9": "unattempted",
        "k10": "unattempted",
        "k11": "unattempted",
    }
    told = [t for t in source(store).transfers() if t.outcome == "unattempted"]
    reasons = Counter((t.reason, t.reason_code, t.before) for t in told)
    assert reasons["not selected", "not_selected", None] == 3
    assert reasons["the run ended before its turn", "no_turn", "limited"] == 1
    assert reasons["the run ended before its turn", "no_turn", None] == 1


def test_a_transfer_tells_its_deliveries(store: Store):
    run = begun(store, manifest_rows(2))
    life = run.go("k0", INTENT, LIMITED, INTENT)
    store.record([life.answer(ACCEPTED, "fine", media={"audio": {"codec": "g722"}})])
    record = told(store)
    assert (record.outcome, record.reason, record.latency_ms) == ("transferred", "fine", 20.0)
    assert (record.source, record.destination_uri) == ("m.yaml:0", HERE)
    assert record.media_requested == VOICE.to_json()
    assert record.media_negotiated == {"audio": {"codec": "g722"}}
    assert [(a.n, a.status, a.settled_at) for a in record.attempts] == [
        (1, "limited", AT),
        (2, "fine", AT),
    ]
    assert record.message_id == record.attempts[-1].message_id
    assert told(store, "k1").attempts == ()


def test_a_withdrawn_delivery_is_no_attempt_and_its_id_no_message(store: Store):
    run = begun(store, manifest_rows(2))
    run.go("k0", INTENT, Event.WITHDRAWN)
    run.go("k1", INTENT, LIMITED, INTENT, Event.WITHDRAWN)
    never, once = told(store, "k0"), told(store, "k1")
    assert (never.message_id, never.attempts) == (None, ())
    assert [a.n for a in once.attempts] == [1]
    assert once.message_id == once.attempts[0].message_id


def test_a_doubt_that_an_earlier_run_left_is_told_with_its_run(store: Store):
    first = begun(store, manifest_rows(1))
    life = first.go("k0", INTENT, LOST)
    begun(store, manifest_rows(1, destination_uri=THERE), batch="other")
    record = told(store)
    assert record.outcome == "in_doubt"
    assert record.reason == f"in doubt is the move to {HERE}: lost"
    assert record.earlier == (life.run, "night", "k0")
    assert record.message_id == life.message_id


def test_a_doubt_that_this_run_settled_has_its_outcome(store: Store):
    first = begun(store, manifest_rows(1))
    life = first.go("k0", INTENT, LOST)
    begun(store, manifest_rows(1))
    store.record([life.entry(Event.SEEN, message_id=life.message_id, reason="carried out")])
    assert (told(store).outcome, told(store).reason) == ("transferred", "carried out")


def test_a_repeated_delivery_is_an_attempt_of_the_run_that_made_it(store: Store):
    first = begun(store, manifest_rows(1))
    life = first.go("k0", INTENT, LOST)
    begun(store, manifest_rows(1))
    store.record([life.intent(Event.REPEATED)])
    store.record([life.answer(ACCEPTED)])
    record = told(store)
    assert record.outcome == "transferred"
    assert [a.message_id for a in record.attempts] == [life.message_id]


def test_unchanged_names_the_run_that_carried_it_out(store: Store):
    life = begun(store, manifest_rows(1)).go("k0", INTENT, ACCEPTED)
    begun(store, manifest_rows(1))
    record = told(store)
    assert record.outcome == "unchanged"
    assert record.reason == f"transferred by run {life.run} (batch night, key k0)"
    assert record.message_id is None


def test_a_run_that_ended_early_says_why_of_what_it_left(store: Store):
    run = begun(store, manifest_rows(1))
    assert told(store).reason == "its turn had not come when this was reported"
    run.finish("interrupted", 130)
    assert told(store).reason == "the run ended before its turn"


def test_callbacks_are_told_with_their_transfers(store: Store):
    run = begun(store, manifest_rows(2))
    for key in ("k0", "k1"):
        life = run.go(key, INTENT)
        store.record([life.answer(ACCEPTED, notifications=[owed(f"w-{key}")])])
    store.settle_callback("w-k1", state="delivered", attempts=2, reason=None, at=AT)
    assert [(c.name, c.state, c.attempts) for c in told(store, "k0").callbacks] == [
        ("crm", "pending", 0)
    ]
    assert [(c.webhook_id, c.state) for c in told(store, "k1").callbacks] == [("w-k1", "delivered")]


def test_what_is_owed_is_found_by_any_later_run(store: Store):
    run = begun(store, manifest_rows(3))
    for n in range(3):
        life = run.go(f"k{n}", INTENT)
        store.record([life.answer(ACCEPTED, notifications=[owed(f"w{n}")])])
    store.settle_callback("w1", state="failed", attempts=1, reason="x", at=AT)
    reader = reader_of(store.path)
    first = reader.outbox(0, 1)
    rest = reader.outbox(first[-1][0], 9)
    reader.close()
    assert [row[1] for row in first + rest] == ["w0", "w2"]


def test_a_report_can_be_read_twice(store: Store):
    begun(store, manifest_rows(3)).go("k1", INTENT, ACCEPTED)
    of = source(store)
    assert list(of.transfers()) == list(of.transfers())


def test_a_runs_audit_is_its_part_of_the_chain(store: Store):
    begun(store, manifest_rows(1)).go("k0", INTENT, ACCEPTED)
    head = store.head
    run = begun(store, manifest_rows(1))
    store.record([note("stray frame")])
    run.finish()
    of = source(store)
    assert of.audit is not None
    assert of.audit_previous == head
    for entry in of.audit():
        head = link(head, entry.body)
        assert entry.hash == head
    assert [json.loads(e.body)["event"] for e in of.audit()] == [
        "run begun", "stray frame", "run ended",
    ]  # fmt: skip


def test_figures_survive(store: Store):
    run = begun(store, [])
    run.finish()
    assert source(store).figures.timeline == ()
    assert source(store).run.outcome == "ok"


def test_a_run_that_does_not_exist_is_told_with_the_newest_that_do(store: Store):
    names = [begun(store, []).store.run_id for _ in range(2)]
    with pytest.raises(UsageError, match=f"no run x in .*: {names[1]}, {names[0]}"):
        source(store, "x")
    assert source(store, names[0]).run.id == names[0]


def test_an_empty_journal_has_no_runs(store: Store):
    with pytest.raises(UsageError, match="it has no runs yet"):
        source(store)


# Claims


def test_a_lineage_knows_every_id_of_its_transfers(store: Store):
    runs = (begun(store, manifest_rows(1)) for _ in range(3))
    ids = [run.go("k0", INTENT, Event.DENIED).message_id for run in runs]
    begun(store, manifest_rows(1))
    reader = reader_of(store.path)
    (row,) = reader.pending(store.run_no, -1, 9, failed_before=True)
    assert row.lineage is not None
    assert reader.message_ids(row.lineage) == set(ids)
    reader.close()


def test_a_doubt_comes_with_all_that_clearing_it_up_needs(store: Store):
    life = begun(store, manifest_rows(1)).go("k0", INTENT, LIMITED, INTENT, LOST)
    begun(store, manifest_rows(1))
    reader = reader_of(store.path)
    (doubt,) = reader.doubts(store.run_no)
    reader.close()
    assert doubt.listed
    assert not doubt.notified
    assert (doubt.standing.transfer_id, doubt.standing.version) == (life.transfer_id, life.version)
    assert doubt.standing.row.media == (VOICE, NARROW)
    assert (doubt.intent.message_id, doubt.intent.text, doubt.intent.n) == (
        life.message_id, '{"n":2}', 2,
    )  # fmt: skip
    assert doubt.intent.hand_over.boot == "boot"
    assert len(doubt.message_ids) == 2


@pytest.mark.parametrize(
    ("rows", "selection"),
    [
        (manifest_rows(0), Selection()),
        (manifest_rows(1, destination_uri=THERE), Selection()),
        (manifest_rows(1), Selection(only=("z*",))),
    ],
)
def test_a_doubt_that_this_run_must_not_send_again_is_told_as_such(
    store: Store, rows: list[object], selection: Selection
):
    """Not listed any more, to another destination, or left out by --only."""
    begun(store, manifest_rows(1)).go("k0", INTENT, LOST)
    begun(store, rows, selection)  # type: ignore[arg-type]
    reader = reader_of(store.path)
    (doubt,) = reader.doubts(store.run_no)
    reader.close()
    assert not doubt.listed
    assert doubt.standing.row.destination_uri == HERE


def test_doubts_that_no_row_names_are_listed(store: Store):
    life = begun(store, manifest_rows(1)).go("k0", INTENT, LOST)
    begun(store, [])
    reader = reader_of(store.path)
    assert reader.doubts_elsewhere(store.run_no) == [(life.run, "k0", "i0")]
    reader.close()


def test_a_doubt_whose_callbacks_know_is_not_told_again(store: Store):
    life = begun(store, manifest_rows(1)).go("k0", INTENT, LOST)
    stays = note("stays in doubt")
    store.record(
        [replace(stays, transfer_id=life.transfer_id, notifications=[owed("w", "in_doubt")])]
    )
    begun(store, manifest_rows(1))
    reader = reader_of(store.path)
    assert [d.notified for d in reader.doubts(store.run_no)] == [True]
    reader.close()


# What cannot be read


def test_a_file_that_is_missing_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot be read"):
        Reader(tmp_path / "none.db")


def test_a_damaged_file_is_a_storage_error_wherever_it_is_asked(store: Store):
    begun(store, manifest_rows(300)).go("k0", INTENT, LOST)
    store.close()
    whole = store.path.read_bytes()
    reader = reader_of(store.path)
    store.path.write_bytes(whole[:100] + b"\x7f" * (len(whole) - 100))
    for ask in (
        lambda: reader.pending(1, -1, 9),
        lambda: reader.message_ids(1),
        lambda: reader.find("x"),
        lambda: reader.doubts(1),
        lambda: reader.doubts_elsewhere(1),
        lambda: reader.outbox(0, 9),
        lambda: reader.run_number("latest"),
        lambda: reader.report_source(1),
    ):
        with pytest.raises(StorageError, match=r"cannot be read .*production|production.*cannot"):
            ask()
    reader.close()


@pytest.mark.parametrize(
    "damage",
    [
        "deliveries SET sent_at = 'x'",
        "deliveries SET settled_at = x'ff'",
        "transfers SET state = 'x'",
    ],
)
def test_a_damaged_value_is_a_storage_error_before_anything_renders_it(store: Store, damage: str):
    begun(store, manifest_rows(1)).go("k0", INTENT, LOST)
    with closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute(f"UPDATE {damage}")
    with pytest.raises(StorageError, match="a value in it is not as it was written"):
        list(source(store).transfers())


def test_nothing_can_be_written_through_a_reader(store: Store):
    reader = reader_of(store.path)
    with pytest.raises(Exception, match="readonly"):
        reader._connection.execute("DELETE FROM meta")
    reader.close()
