"""A yes that comes for an earlier run's delivery, as the next run's report tells it."""

from __future__ import annotations

from pathlib import Path

from runner.core.transfer.states import Event
from tests.journal.builders import begun, manifest_rows, opened, outcomes


def test_what_had_no_turn_and_was_carried_out_by_an_earlier_run_is_transferred(tmp_path: Path):
    """The gateway had said no; its yes came while a later run had not got to the row yet."""
    store = opened(tmp_path / "journal.db")
    first = begun(store, manifest_rows(2))
    first.go("k0", Event.INTENT, Event.DENIED)
    first.go("k1", Event.INTENT, Event.DENIED)
    begun(store, manifest_rows(2))
    first.go("k0", Event.ACCEPTED)
    assert outcomes(store.path) == {"k0": "transferred", "k1": "unattempted"}
    store.close()


def test_what_a_later_run_carried_out_changes_no_earlier_report(tmp_path: Path):
    store = opened(tmp_path / "journal.db")
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.DENIED)
    stopped = begun(store, manifest_rows(1))
    run = store.run_id
    assert stopped.plan[0].lineage is not None
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    assert outcomes(store.path, run) == {"k0": "unattempted"}
    store.close()
