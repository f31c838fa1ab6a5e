"""The journal's file: made whole, refused where it cannot be trusted, written in one piece."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.records.audit_chain import GENESIS
from runner.core.transfer.states import Event
from runner.journal.sqlite.access import SqliteJournal
from runner.journal.sqlite.reader import _BY_MESSAGE
from tests.journal.builders import (
    AT,
    HERE,
    RUN,
    THERE,
    asked,
    begun,
    chain_is_whole,
    manifest_rows,
    note,
    opened,
    owed,
    reader_of,
)

INTENT, ACCEPTED, LOST = Event.INTENT, Event.ACCEPTED, Event.LOST


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "production.db"


# Opening


def test_a_new_journal_is_whole_private_and_knows_its_origin(path: Path):
    store = opened(path)
    assert store.is_new
    meta = dict(asked(path, "SELECT name, value FROM meta"))
    assert (meta["format"], meta["environment"], meta["origin"]) == (
        "3", "production", "wss://gw.example.net:443",
    )  # fmt: skip
    assert len(meta["lineage"]) == 32
    assert store.lineage_id == meta["lineage"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not list(path.parent.glob("*.new"))


def test_what_lies_beside_it_is_private_too(path: Path):
    store = opened(path)
    begun(store, manifest_rows(1))
    modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert f"{path.name}-wal" in modes


def test_commits_are_durable_when_they_return(path: Path):
    store = opened(path)
    pragmas = {
        name: store._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync")
    }
    assert pragmas == {
        "journal_mode": "wal", "synchronous": 2, "fullfsync": 1, "checkpoint_fullfsync": 1,
    }  # fmt: skip


def test_two_journals_have_two_lineages(tmp_path: Path):
    assert opened(tmp_path / "a.db").lineage_id != opened(tmp_path / "b.db").lineage_id


def test_what_was_written_is_there_again(path: Path):
    store = opened(path)
    begun(store, manifest_rows(2)).go("k0", INTENT, ACCEPTED)
    seq, head = store.seq, store.head
    store.close()
    again = opened(path)
    assert (again.is_new, again.seq, again.head, again.last_transfer_id) == (False, seq, head, 1)
    assert again.has_event(seq, head)
    assert not again.has_event(seq, GENESIS)
    assert not again.has_event(seq + 1, head)


def test_another_origin_is_refused(path: Path):
    store = opened(path)
    begun(store, manifest_rows(1)).go("k0", INTENT)
    store.close()
    with pytest.raises(StorageError, match=r"belongs to the gateway wss://gw.*--journal") as told:
        opened(path, origin="wss://other.example.net:443")
    assert str(path) in str(told.value)


def test_while_no_transfer_was_taken_up_the_gateway_may_still_be_mended(path: Path):
    store = opened(path, origin="wss://mistyped.example.net:443")
    begun(store, manifest_rows(1))
    store.close()
    store = opened(path, origin="wss://other.example.net:443")
    begun(store, manifest_rows(1)).go("k0", INTENT)
    store.close()
    with pytest.raises(StorageError, match="belongs to the gateway wss://other"):
        opened(path, origin="wss://mistyped.example.net:443")


def test_another_format_is_refused(path: Path):
    opened(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'format'")
    connection.close()
    with pytest.raises(StorageError, match="is of format 2, this program writes 3"):
        opened(path)
    history = SqliteJournal(JournalLocation(str(path))).open_history()
    with pytest.raises(StorageError, match="is of format 2, this program writes 3"), history:
        pytest.fail("it was read")


def test_damage_behind_the_first_pages_is_a_storage_error_too(path: Path):
    """Not a trace of the database library's own error."""
    store = opened(path)
    begun(store, manifest_rows(300)).finish()
    store.close()
    ((root,),) = asked(path, "SELECT rootpage FROM sqlite_master WHERE name = 'events'")
    whole = bytearray(path.read_bytes())
    whole[(root - 1) * 4096 : root * 4096] = b"\x7f" * 4096
    path.write_bytes(whole)
    with pytest.raises(StorageError, match="damaged"):
        opened(path)


@pytest.mark.parametrize("content", [b"", b"not a database, but long enough to look like one" * 9])
def test_a_file_that_is_no_journal_is_refused_and_left_alone(tmp_path: Path, content: bytes):
    path = tmp_path / "other.db"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"other\.db cannot be opened"):
        opened(path)
    assert path.read_bytes() == content or not content


def test_a_damaged_journal_is_refused(path: Path):
    store = opened(path)
    begun(store, manifest_rows(300)).finish()
    store.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\x7f" * (len(whole) - 4096))
    with pytest.raises(StorageError, match="damaged"):
        opened(path)


def test_a_folder_in_its_place_is_refused(tmp_path: Path):
    with pytest.raises(StorageError, match="cannot be opened"):
        opened(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be opened"):
        opened(tmp_path / "file" / "journal.db")


# Writing


def test_every_event_is_chained_to_the_one_before(path: Path):
    run = begun(opened(path), manifest_rows(3))
    run.go("k0", INTENT, ACCEPTED)
    run.go("k1", INTENT, LOST)
    run.store.record([note("stray frame", text="x")])
    run.finish()
    assert chain_is_whole(path)
    events = [json.loads(body)["event"] for (body,) in asked(path, "SELECT body FROM events")]
    assert events == [
        "run begun", "intent", "accepted", "intent", "lost", "stray frame", "run ended",
    ]  # fmt: skip


def test_the_chain_goes_on_from_run_to_run(path: Path):
    begun(opened(path), manifest_rows(1)).finish()
    store = opened(path)
    before = store.head
    begun(store, manifest_rows(1))
    assert asked(path, "SELECT previous FROM runs ORDER BY no DESC")[0] == (before,)
    assert chain_is_whole(path)


def test_a_changed_event_breaks_the_chain(path: Path):
    begun(opened(path), manifest_rows(2)).go("k0", INTENT, ACCEPTED)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE events SET body = replace(body, 'k0', 'k1') WHERE seq = 2")
    connection.close()
    assert not chain_is_whole(path)


def test_an_intent_holds_the_messages_exact_bytes(path: Path):
    life = begun(opened(path), manifest_rows(1)).go("k0", INTENT)
    (body,) = asked(
        path, "SELECT body FROM deliveries JOIN events ON seq = intent WHERE message_id = ?",
        life.message_id,
    )[0]  # fmt: skip
    told = json.loads(body)
    assert (told["message"], told["n"], told["key"]) == ('{"n":1}', 1, "k0")


def counts(path: Path) -> list[int]:
    tables = ("events", "transfers", "deliveries", "outbox")
    return [asked(path, f"SELECT count(*) FROM {table}")[0][0] for table in tables]


def test_a_wrong_version_writes_nothing_at_all(path: Path):
    run = begun(opened(path), manifest_rows(2))
    life = run.go("k0", INTENT)
    before, head = counts(path), run.store.head
    stale = life.answer(ACCEPTED, notifications=[owed("w")])._replace(version=7)
    fine = run.life("k1").intent()
    with pytest.raises(StorageError, match=r"a transfer is not as expected.*nothing more"):
        run.store.record([fine, stale])
    run.store.close()
    assert counts(path) == before
    assert asked(path, "SELECT state, version FROM transfers") == [("sending", 1)]
    again = opened(path)
    assert again.head == head
    assert chain_is_whole(path)


def test_a_batch_of_more_than_one_statement_is_one_transaction_too(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT)
    events, *others = counts(path)
    run.store.record([note(n=n) for n in range(600)])
    assert counts(path) == [events + 600, *others]
    stale = life.answer(ACCEPTED)._replace(version=7)
    with pytest.raises(StorageError, match="a transfer is not as expected"):
        run.store.record([*(note(n=n) for n in range(600)), stale])
    run.store.close()
    assert counts(path) == [events + 600, *others]
    assert chain_is_whole(path)


def test_a_batch_is_written_in_its_order(path: Path):
    """What one transfer of it lets go of, another may hold."""
    store = opened(path)
    first = begun(store, manifest_rows(1)).go("k0", INTENT)
    second = begun(store, manifest_rows(1, destination_uri=THERE), batch="other").life("k0")
    store.record([first.answer(ACCEPTED), second.intent()])
    assert asked(path, "SELECT state FROM transfers ORDER BY id") == [
        ("transferred",),
        ("sending",),
    ]


def test_an_answer_to_a_delivery_that_is_not_known_writes_nothing(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT)
    life.n = 9
    with pytest.raises(StorageError, match="a delivery is not as expected"):
        run.store.record([life.answer(ACCEPTED)])


@pytest.mark.parametrize("events", [[INTENT], [INTENT, LOST], [INTENT, LOST, Event.REPEATED]])
def test_a_second_transfer_of_a_held_interaction_is_refused_by_the_database(
    path: Path, events: list[Event]
):
    """Whatever the plan, the batch and the key say."""
    store = opened(path)
    begun(store, manifest_rows(1)).go("k0", *events)
    other = begun(store, manifest_rows(1, destination_uri=THERE), batch="other")
    before = counts(path)
    with pytest.raises(StorageError, match=r"transfers\.interaction"):
        other.go("k0", INTENT)
    assert counts(path) == before


def test_an_interaction_that_is_not_held_may_be_taken_up_again(path: Path):
    store = opened(path)
    begun(store, manifest_rows(1)).go("k0", INTENT, Event.DENIED)
    begun(store, manifest_rows(1)).go("k0", INTENT, ACCEPTED)
    assert asked(path, "SELECT state FROM transfers ORDER BY id") == [
        ("rejected",),
        ("transferred",),
    ]


def test_a_message_id_is_a_transfers_own(path: Path):
    run = begun(opened(path), manifest_rows(1))
    run.go("k0", INTENT, LOST, Event.REPEATED, LOST)
    ids = asked(path, "SELECT DISTINCT message_id, transfer FROM deliveries")
    assert len(ids) == 1


def test_a_run_that_died_leaves_doubts(path: Path):
    store = opened(path)
    run = begun(store, manifest_rows(4))
    run.go("k0", INTENT)
    run.go("k1", INTENT, LOST, Event.REPEATED)
    run.go("k2", INTENT, ACCEPTED)
    run.go("k3", INTENT, Event.LIMITED)
    store.close()
    store = opened(path)
    begun(store, [])
    assert store.recover(at=AT) == 2
    assert store.recover(at=AT) == 0
    states = [s for (s,) in asked(path, "SELECT state FROM transfers ORDER BY id")]
    assert states == ["unknown", "unknown", "transferred", "ready"]
    assert asked(path, "SELECT n, event, reason FROM deliveries WHERE event = 'lost' ORDER BY transfer, n") == [
        (1, "lost", "the run ended before a reply came"),
        (1, "lost", "lost"),
        (2, "lost", "the run ended before a reply came"),
    ]  # fmt: skip
    assert chain_is_whole(path)


def test_a_plan_is_kept_as_it_was(path: Path):
    run = begun(opened(path), manifest_rows(3))
    assert len(run.plan) == 3
    rows = asked(path, "SELECT n, key, interaction_id, destination_uri, action FROM rows")
    assert rows == [(n, f"k{n}", f"i{n}", HERE, "send") for n in range(3)]
    assert len(asked(path, "SELECT * FROM ladders")) == 1


def test_a_finished_run_tells_how_it_ended(path: Path):
    begun(opened(path), []).finish("failures")
    ((record, finished_at),) = asked(path, "SELECT record, finished_at FROM runs")
    assert (json.loads(record)["outcome"], finished_at) == ("failures", "2027-01-15T08:00:09Z")


def test_two_runs_cannot_share_an_id(path: Path):
    store = opened(path)
    store.begin_run("same", asdict(RUN), at=AT)
    with pytest.raises(StorageError, match="could not be written"):
        store.begin_run("same", asdict(RUN), at=AT)


def test_a_full_disk_is_told_with_the_file_and_the_mend(path: Path):
    run = begun(opened(path), manifest_rows(1))
    pages = run.store._connection.execute("PRAGMA page_count").fetchone()[0]
    run.store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="full") as told:
        run.store.record([note(text="x" * 100_000)])
    assert str(path) in str(told.value)
    assert "run apply again" in str(told.value)


def test_a_late_reply_finds_its_delivery_by_an_index_of_those_not_accepted(path: Path):
    run = begun(opened(path), manifest_rows(2))
    lost = run.go("k0", INTENT, LOST).message_id or ""
    accepted = run.go("k1", INTENT, ACCEPTED).message_id or ""
    reader = reader_of(path)
    assert reader.find(lost) is not None
    assert reader.find(accepted) is None
    search = "EXPLAIN QUERY PLAN " + _BY_MESSAGE.format(row="r.n")
    assert "deliveries_unaccepted (message_id=?)" in str(asked(path, search, lost))


# Callbacks


def test_callbacks_are_owed_from_the_same_transaction_on(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT)
    run.store.record([life.answer(ACCEPTED, notifications=[owed("w1"), owed("w2")])])
    assert asked(path, "SELECT webhook_id, outcome, state, attempts FROM outbox") == [
        ("w1", "transferred", "pending", 0),
        ("w2", "transferred", "pending", 0),
    ]


def test_a_doubts_callbacks_come_with_a_note(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT, LOST)
    stays = replace(
        note("stays in doubt"), transfer_id=life.transfer_id, notifications=[owed("w", "in_doubt")]
    )
    run.store.record([stays])
    assert asked(path, "SELECT transfer, outcome FROM outbox") == [(life.transfer_id, "in_doubt")]


def test_what_became_of_a_callback_is_kept(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT)
    run.store.record([life.answer(ACCEPTED, notifications=[owed("w1")])])
    run.store.settle_callback("w1", state="failed", attempts=3, reason="410", at=AT)
    assert asked(path, "SELECT state, attempts, reason FROM outbox") == [("failed", 3, "410")]
    (body,) = asked(path, "SELECT body FROM events ORDER BY seq DESC")[0]
    assert json.loads(body)["event"] == "callback failed"


# What an entry changes


def transfer(path: Path) -> tuple[object, ...]:
    return asked(path, "SELECT state, reason, message_id, latency_ms, media FROM transfers")[0]


def test_an_accepted_delivery_fills_the_transfer(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT)
    run.store.record([life.answer(ACCEPTED, "fine", media={"audio": {"codec": "g722"}})])
    assert transfer(path) == (
        "transferred", "fine", life.message_id, 20.0, '{"audio":{"codec":"g722"}}',
    )  # fmt: skip


def test_two_steps_of_a_transfer_may_share_a_transaction(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.life("k0")
    run.store.record([life.intent(), life.answer(Event.LIMITED), life.entry(Event.EXHAUSTED)])
    assert asked(path, "SELECT state, version FROM transfers") == [("failed", 3)]


def test_a_late_yes_marks_the_delivery_that_it_is_about(path: Path):
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT)
    first = life.message_id
    run.store.record([life.answer(LOST)._replace(status=None)])
    run.store.record([life.entry(ACCEPTED, message_id=first, status="codec_negotiated")])
    assert asked(path, "SELECT event, status FROM deliveries") == [("accepted", "codec_negotiated")]


def test_what_comes_after_an_effect_does_not_reword_it(path: Path):
    """The first delivery was carried out after all; the second is told "too fast"."""
    run = begun(opened(path), manifest_rows(1))
    life = run.go("k0", INTENT, Event.LIMITED, INTENT)
    first = "of the first"
    run.store.record([life.entry(ACCEPTED, message_id=first, reason="fine", status="x")])
    run.store.record([life.answer(Event.LIMITED, "rate_limited")])
    assert transfer(path)[:3] == ("transferred", "fine", first)
    assert asked(path, "SELECT n, event, reason FROM deliveries")[1] == (
        2,
        "limited",
        "rate_limited",
    )
