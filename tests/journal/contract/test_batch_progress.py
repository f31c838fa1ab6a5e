"""What a run added to its batch, as each database tells it."""

from __future__ import annotations

from runner.core.records.batch_progress import BatchProgress
from runner.core.transfer.reasons import Code
from runner.core.transfer.states import Event
from runner.ports.journal_access import JournalAccess, JournalStore
from tests.journal.builders import RUN, Written, begun, manifest_rows
from tests.journal.contract.journals import started


def progress(journal: JournalAccess, run: str = "latest") -> BatchProgress | None:
    with journal.open_history() as history:
        return history.report_source(history.run_number(run)).progress()


def resolve(store: JournalStore, run: Written, key: str, event: Event, code: Code) -> None:
    store.record([run.life(key).entry(event, reason="seen by hand", reason_code=code)])


def test_a_run_is_compared_with_the_one_before_it_of_its_batch(
    journal: JournalAccess, store: JournalStore
):
    first = started(store, journal, manifest_rows(8))
    first.go("k0", Event.INTENT, Event.ACCEPTED)
    first.go("k1", Event.INTENT, Event.DENIED)
    for key in ("k2", "k3", "k4", "k5"):
        first.go(key, Event.INTENT, Event.LOST)
    assert progress(journal) is None
    begun(store, manifest_rows(1), batch="another", history=journal)  # type: ignore[arg-type]
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
