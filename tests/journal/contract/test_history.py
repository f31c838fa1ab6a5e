"""What a history says of lives that took a turn, in every database."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from runner.core.errors import StorageError
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.audit_chain import GENESIS
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.lookup_verdict import FoundAt
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import Action
from runner.core.transfer.reasons import Code
from runner.core.transfer.states import Event, State
from runner.ports import Note
from runner.ports.journal_access import JournalAccess, JournalStore
from runner.staging.rows import Selection, Staging
from tests.journal.builders import (
    AT,
    HERE,
    RUN,
    THERE,
    begun,
    manifest_rows,
    note,
)
from tests.journal.contract.journals import started

WAITED = FoundAt("genesys://queue/old", "Billing EU")
UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def reported(journal: JournalAccess, run: str = "latest") -> list[TransferRecord]:
    with journal.open_history() as history:
        return list(history.report_source(history.run_number(run)).transfers())


def outcomes(journal: JournalAccess, run: str = "latest") -> dict[str, str]:
    return {each.key: each.outcome.value for each in reported(journal, run)}


def test_a_late_yes_to_an_earlier_run_is_the_outcome_of_what_had_no_turn(
    journal: JournalAccess, store: JournalStore
):
    first = started(store, journal, manifest_rows(2))
    first.go("k0", Event.INTENT, Event.DENIED)
    first.go("k1", Event.INTENT, Event.DENIED)
    started(store, journal, manifest_rows(2))
    first.go("k0", Event.ACCEPTED)
    assert outcomes(journal) == {"k0": "transferred", "k1": "unattempted"}


def test_what_a_full_destination_left_says_so(journal: JournalAccess, store: JournalStore):
    rows = [
        replace(row, destination_uri=HERE if n % 2 else THERE)
        for n, row in enumerate(manifest_rows(4))
    ]
    run = started(store, journal, rows)
    run.go("k0", Event.INTENT, Event.ACCEPTED)
    said = {"destination": "Billing", "why": "waiting is 9, not < 3", "after": "30 min"}
    store.record([Note(Note.DESTINATION_GIVEN_UP, AT, {**said, "uri": HERE})])
    assert [(each.outcome.value, each.reason_code) for each in reported(journal)[1:]] == [
        ("unattempted", "destination_full"),
        ("unattempted", "no_turn"),
        ("unattempted", "destination_full"),
    ]


def test_rows_counted_together_add_up_to_the_report_by_destination_media_and_outcome(
    journal: JournalAccess, store: JournalStore
):
    opus, pcmu = ({"audio": {"codec": codec}} for codec in ("opus", "pcmu"))
    first = started(store, journal, manifest_rows(3))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    first.go("k1", Event.INTENT, Event.LOST)
    first.go("k2", Event.EXCLUDED)
    rows = [
        replace(row, destination_uri=HERE if n % 2 else THERE)
        for n, row in enumerate(manifest_rows(10))
    ]
    second = started(store, journal, [*manifest_rows(3), *rows[3:]])
    for key, media in (("k4", opus), ("k5", opus), ("k6", opus), ("k8", pcmu)):
        store.record([second.go(key, Event.INTENT).answer(Event.ACCEPTED, media=media)])
    second.go("k7", Event.INTENT, Event.DENIED)
    with journal.open_history() as history:
        source = history.report_source(store.run_no)
        assert source.counts is not None
        counted = [(_shared(record), alike) for record, alike in source.counts()]
        each = Counter(map(_shared, source.transfers()))
    assert counted == list(each.items())  # in the order of the first of each
    assert len(each) > 6


def _shared(record: TransferRecord) -> tuple[str, str, str, str]:
    media = (str(record.media_requested), str(record.media_negotiated))
    return record.destination_uri, record.outcome.value, *media


def test_what_a_later_run_carried_out_changes_no_earlier_report(
    journal: JournalAccess, store: JournalStore
):
    started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.DENIED)
    stopped = started(store, journal, manifest_rows(1))
    run = store.run_id
    assert stopped.plan[0].lineage is not None
    started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    assert outcomes(journal, run) == {"k0": "unattempted"}


def test_what_was_rejected_before_comes_after_the_others(
    journal: JournalAccess, store: JournalStore
):
    started(store, journal, manifest_rows(1)).go("k0", Event.INTENT, Event.DENIED)
    started(store, journal, manifest_rows(3))
    with journal.open_history() as history:
        assert [r.key for r in history.pending(store.run_no, -1, 9)] == ["k1", "k2"]
        (failed,) = history.pending(store.run_no, -1, 9, failed_before=True)
        assert (failed.key, failed.failed_as) == ("k0", "denied")


def test_what_arrived_elsewhere_is_no_success_of_a_row_that_wants_it_here(
    journal: JournalAccess, store: JournalStore
):
    first = started(store, journal, manifest_rows(1, destination_uri=THERE))
    first.go("k0", Event.INTENT, Event.LOST)
    started(store, journal, manifest_rows(1, destination_uri=HERE))
    with journal.open_history() as history:
        (doubt,) = history.doubts(store.run_no)
        assert (doubt.listed, doubt.standing.row.destination_uri) == (False, THERE)
    first.go("k0", Event.SEEN)
    (record,) = reported(journal)
    assert record.outcome is Outcome.UNATTEMPTED
    assert record.reason == f"its doubt, to {THERE}, was settled as transferred after the plan"
    with journal.open_history() as history:
        assert history.run("latest").counts == {record.outcome: 1}
    started(store, journal, manifest_rows(2, destination_uri=HERE))
    with journal.open_history() as history:
        rows = history.pending(store.run_no, -1, 9)
        assert [row.was_elsewhere for row in rows] == [True, False]


def test_where_a_selection_found_a_row_stays_with_it_and_with_its_doubt(
    journal: JournalAccess, store: JournalStore
):
    rows = [replace(row, found_at=WAITED) for row in manifest_rows(2)]
    started(store, journal, rows).go("k0", Event.INTENT, Event.LOST)
    with journal.open_history() as history:
        assert [r.found_at for r in history.pending(store.run_no, -1, 9)] == [WAITED, WAITED]
        started(store, journal, [])
        (doubt,) = history.doubts(store.run_no)
        assert doubt.standing.row.found_at == WAITED


def test_a_withdrawn_repeat_keeps_its_number(journal: JournalAccess, store: JournalStore):
    started(store, journal, manifest_rows(1)).go(
        "k0", Event.INTENT, Event.LOST, Event.REPEATED, Event.WITHDRAWN
    )
    started(store, journal, manifest_rows(1))
    with journal.open_history() as history:
        (doubt,) = history.doubts(store.run_no)
        assert (doubt.standing.n, doubt.intent.n) == (2, 1)
        assert not doubt.notified
        assert doubt.message_ids == {doubt.intent.message_id}


def test_the_cause_and_the_correlation_stay_with_the_transfer(
    journal: JournalAccess, store: JournalStore
):
    run = started(store, journal, manifest_rows(2))
    for key, late in (("k0", "corr-2"), ("k1", None)):
        life = run.life(key)
        store.record([life.intent()])
        lost = life.answer(Event.LOST, reason="no reply", correlation_id=f"corr-of-{key}")
        store.record([lost._replace(status=None, reason_code=Code.NO_REPLY)])
        assert reported(journal)[life.row.n - run.plan[0].n].reason_code == "no_reply"
        yes = life.entry(Event.ACCEPTED, message_id=life.message_id, status="transfer_initiated")
        store.record([yes._replace(correlation_id=late)])
    assert [a.correlation_id for t in reported(journal) for a in t.attempts] == [
        "corr-2", "corr-of-k1",
    ]  # fmt: skip
    assert [t.reason_code for t in reported(journal)] == ["transfer_initiated"] * 2


def test_one_interaction_in_two_spellings_has_one_history(
    journal: JournalAccess, store: JournalStore
):
    (row,) = manifest_rows(1)
    begun_run = started(store, journal, [replace(row, interaction_id=UUID)])
    begun_run.go("k0", Event.INTENT, Event.ACCEPTED)
    with Staging() as staging, journal.open_history() as history:
        staging.add(replace(row, interaction_id=UUID.upper()))
        staging.plan(history, Selection())
        assert [verdict.action for _, verdict in staging.planned()] == [Action.UNCHANGED]
        assert list(history.moved_since(0)) == [UUID]


def test_an_interaction_that_is_held_is_not_taken_up_again(
    journal: JournalAccess, store: JournalStore
):
    rows = manifest_rows(2)
    run = started(store, journal, rows)
    run.go("k0", Event.INTENT)
    life = run.life("k1")
    life.row = replace(life.row, interaction_id="i0")
    with pytest.raises(StorageError):
        store.record([life.intent()])


def test_a_doubt_that_only_leaves_out_is_not_listed(journal: JournalAccess, store: JournalStore):
    started(store, journal, manifest_rows(2)).go("k0", Event.INTENT, Event.LOST)
    for only, listed in ((("k1",), False), (("k0",), True)):
        begun(store, manifest_rows(2), Selection(only=only), history=journal)  # type: ignore[arg-type]
        with journal.open_history() as history:
            assert [doubt.listed for doubt in history.doubts(store.run_no)] == [listed]


def test_a_transfer_may_come_twice_in_a_batch_and_notes_between(
    journal: JournalAccess, store: JournalStore
):
    run = started(store, journal, manifest_rows(3))
    one, other = run.life("k0"), run.life("k1")
    store.record(
        [
            one.intent(), note(), other.intent(), one.answer(Event.LIMITED), one.intent(),
            note(), one.answer(Event.ACCEPTED), other.answer(Event.LOST),
        ]
    )  # fmt: skip
    assert outcomes(journal) == {"k0": "transferred", "k1": "in_doubt", "k2": "unattempted"}
    (first, _, _) = reported(journal)
    assert [attempt.status for attempt in first.attempts] == ["limited", "accepted"]
    with journal.open_history() as history:
        assert [entry.seq for entry in history.chain()] == list(range(1, store.seq + 1))


@pytest.mark.parametrize("said", ["\x1f", "\x1e", "a\x1fb\x1ec", "", "\\N", "{}'\"", "ä\U0001f600"])
def test_whatever_the_gateway_says_is_kept_as_it_was_said(
    journal: JournalAccess, store: JournalStore, said: str
):
    run = started(store, journal, manifest_rows(2))
    life, other = run.life("k0"), run.life("k1")
    store.record([life.intent(), other.intent()])
    answer = life.answer(Event.DENIED)._replace(reason=said, status=said, correlation_id=said)
    store.record([answer, other.answer(Event.DENIED)._replace(reason=None)])
    first, second = reported(journal)
    (attempt,) = first.attempts
    assert (first.reason, attempt.status, attempt.correlation_id) == (said, said, said)
    assert second.reason is None


def test_nul_does_not_stop_the_journal(journal: JournalAccess, store: JournalStore):
    life = started(store, journal, manifest_rows(1)).life("k0")
    store.record([life.intent()])
    store.record([life.answer(Event.DENIED, reason="no\x00queue")])
    (record,) = reported(journal)
    assert record.reason is not None
    assert record.reason.startswith("no")
    assert record.reason.endswith("queue")


def test_the_manifest_is_kept_once_for_its_runs(journal: JournalAccess, store: JournalStore):
    excerpt = ManifestExcerpt(("version: 1", "name: night"), 2)
    record = {"batch": "night", "started_at": RUN.started_at, "manifest_sha256": "0" * 64}
    for run in ("r-1", "r-2"):
        whole = {**{f: getattr(RUN, f) for f in RUN.__dataclass_fields__}, **record, "id": run}
        store.begin_run(run, whole, at=AT, manifest=excerpt)
    with journal.open_history() as history:
        for run in ("r-1", "r-2"):
            assert history.report_source(history.run_number(run)).manifest == excerpt
        number = history.run_number("r-1")
        assert not history.is_newest(number, "r-1")
        assert history.is_newest(history.run_number("r-2"), "r-2")


def test_before_the_first_event_is_the_beginning(journal: JournalAccess, store: JournalStore):
    started(store, journal, [])
    with journal.open_history() as history:
        assert history.has_event(0, GENESIS)
        assert history.run_number("latest") == store.run_no
        assert history.find("unknown") is None
        assert history.message_ids(99) == frozenset()
        assert not history.has_event(store.seq + 1, store.head)


def test_a_run_that_died_is_a_cause_and_leaves_nothing_under_way(
    journal: JournalAccess, store: JournalStore
):
    run = started(store, journal, manifest_rows(2))
    run.go("k0", Event.INTENT)
    store.recover(at=AT)
    with journal.open_history() as history:
        seen = history.run("latest")
        assert seen.under_way == 0
        (held,) = history.held_by_run(seen.no, 9)
        assert held.state is State.UNKNOWN
    assert reported(journal)[0].reason_code == "run_died"
