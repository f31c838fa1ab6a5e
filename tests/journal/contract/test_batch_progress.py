"""What a run added to its batch, as each database tells it."""

from __future__ import annotations

from typing import Any, cast

from runner.core.records.batch_progress import BatchProgress
from runner.core.transfer.reasons import Code
from runner.core.transfer.rows import TransferRow
from runner.core.transfer.states import Event
from runner.ports.journal_access import JournalAccess, JournalStore
from runner.staging.rows import Selection
from tests.journal.builders import RUN, THERE, Written, begun, manifest_rows
from tests.journal.contract.journals import started


def progress(journal: JournalAccess, run: str = "latest") -> BatchProgress | None:
    with journal.open_history() as history:
        return history.report_source(history.run_number(run)).progress()


def resolve(store: JournalStore, run: Written, key: str, event: Event, code: Code) -> None:
    store.record([run.life(key).entry(event, reason="seen by hand", reason_code=code)])


def another(store: JournalStore, journal: JournalAccess, rows: list[TransferRow]) -> Written:
    """Begin a run of another batch."""
    return begun(cast("Any", store), rows, batch="another", history=journal)


def only(store: JournalStore, journal: JournalAccess, key: str) -> Written:
    """Begin a run of the batch that selects one key."""
    selection = Selection(only=(key,))
    return begun(cast("Any", store), manifest_rows(4), selection, history=journal)


def settled(journal: JournalAccess) -> tuple[int, int]:
    made = progress(journal)
    assert made is not None
    return made.settled_transferred, made.settled_otherwise


def test_a_run_is_compared_with_the_one_before_it_of_its_batch(
    journal: JournalAccess, store: JournalStore
):
    first = started(store, journal, manifest_rows(8))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    first.go("k1", Event.INTENT, Event.DENIED)
    for key in ("k2", "k3", "k4", "k5"):
        first.go(key, Event.INTENT, Event.LOST)
    assert progress(journal) is None
    another(store, journal, manifest_rows(1))
    assert progress(journal) is None
    resolve(store, first, "k4", Event.VOUCHED, Code.RESOLVED_TRANSFERRED)
    resolve(store, first, "k5", Event.DISOWNED, Code.RESOLVED_FAILED)
    second = started(store, journal, manifest_rows(9))
    first.go("k2", Event.SEEN)
    second.go("k1", Event.INTENT, Event.DENIED)
    second.go("k6", Event.INTENT, Event.ACCEPTED)
    second.go("k7", Event.INTENT, Event.DENIED)
    second.go("k8", Event.INTENT, Event.LOST)
    expected = BatchProgress(
        first.lives["k0"].run, RUN.started_at, runs=2, moved_in_all=4,
        transferred=1, failed=1, failed_again=1, in_doubt=1, still_in_doubt=1,
        settled_transferred=2, settled_otherwise=1,
    )  # fmt: skip
    assert progress(journal) == expected
    # What was settled before the previous run is no news, and what comes later changes nothing.
    started(store, journal, manifest_rows(9))
    later = progress(journal)
    assert later is not None
    assert (later.runs, later.moved_in_all) == (3, 4)
    assert (later.settled_transferred, later.settled_otherwise, later.still_in_doubt) == (0, 0, 2)


def test_a_run_that_planned_nothing_is_no_previous_one(journal: JournalAccess, store: JournalStore):
    first = started(store, journal, manifest_rows(1))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    started(store, journal, [])
    started(store, journal, manifest_rows(1))
    made = progress(journal)
    assert made is not None
    assert (made.previous_run, made.runs) == (first.lives["k0"].run, 2)


def test_what_a_person_settled_is_said_once_whatever_later_runs_select(
    journal: JournalAccess, store: JournalStore
):
    first = started(store, journal, manifest_rows(4))
    for key in ("k0", "k1", "k2"):
        first.go(key, Event.INTENT, Event.LOST)
    another(store, journal, manifest_rows(1))
    resolve(store, first, "k0", Event.VOUCHED, Code.RESOLVED_TRANSFERRED)
    resolve(store, first, "k1", Event.DISOWNED, Code.RESOLVED_FAILED)
    started(store, journal, manifest_rows(4))
    assert settled(journal) == (1, 1)
    only(store, journal, "k3")
    assert settled(journal) == (0, 0)
    another(store, journal, manifest_rows(1))
    resolve(store, first, "k2", Event.VOUCHED, Code.RESOLVED_TRANSFERRED)
    only(store, journal, "k3")
    assert settled(journal) == (1, 0)  # although it is not selected
    started(store, journal, manifest_rows(4))
    assert settled(journal) == (0, 0)


def test_what_another_batchs_run_settled_is_settled(journal: JournalAccess, store: JournalStore):
    died = started(store, journal, manifest_rows(3))
    died.go("k0", Event.INTENT, Event.LOST)
    died.go("k1", Event.INTENT, Event.LOST)
    elsewhere = another(store, journal, manifest_rows(4)[3:])
    died.go("k0", Event.SEEN)
    died.go("k1", Event.CLEARED)
    elsewhere.go("k3", Event.INTENT, Event.ACCEPTED)  # its own, and never in doubt
    started(store, journal, manifest_rows(3))
    assert settled(journal) == (1, 1)


def test_another_batchs_doubt_that_the_previous_run_had_is_settled_too(
    journal: JournalAccess, store: JournalStore
):
    theirs = another(store, journal, manifest_rows(2))
    theirs.go("k0", Event.INTENT, Event.LOST)
    theirs.go("k1", Event.INTENT, Event.LOST)
    started(store, journal, manifest_rows(1))
    another(store, journal, manifest_rows(1))
    resolve(store, theirs, "k0", Event.DISOWNED, Code.RESOLVED_FAILED)
    resolve(store, theirs, "k1", Event.VOUCHED, Code.RESOLVED_TRANSFERRED)
    started(store, journal, manifest_rows(1))
    assert settled(journal) == (0, 1)  # the other one is none of this batch's business


def test_a_doubt_that_came_after_the_previous_run_is_new(
    journal: JournalAccess, store: JournalStore
):
    first = started(store, journal, manifest_rows(2))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    first.go("k1", Event.INTENT, Event.LOST)
    undo = another(store, journal, manifest_rows(1, destination_uri=THERE))
    undo.go("k0", Event.INTENT, Event.LOST)
    started(store, journal, manifest_rows(2))
    made = progress(journal)
    assert made is not None
    assert (made.in_doubt, made.still_in_doubt) == (1, 1)
    started(store, journal, manifest_rows(2))
    made = progress(journal)
    assert made is not None
    assert (made.in_doubt, made.still_in_doubt) == (0, 2)


def test_a_doubt_about_another_destination_is_settled_as_it_was(
    journal: JournalAccess, store: JournalStore
):
    """The row itself was not begun: only a new plan takes it up."""
    theirs = another(store, journal, manifest_rows(1, destination_uri=THERE))
    theirs.go("k0", Event.INTENT, Event.LOST)
    started(store, journal, manifest_rows(1))
    started(store, journal, manifest_rows(1))
    theirs.go("k0", Event.SEEN)
    assert settled(journal) == (1, 0)
