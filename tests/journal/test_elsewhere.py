"""Rows whose interaction is in doubt on its way to another place than theirs."""

from __future__ import annotations

from pathlib import Path

from runner.core.transfer.states import Event
from runner.journal.sqlite.reader import Reader
from tests.journal.builders import HERE, THERE, begun, manifest_rows, opened


def told(path: Path) -> tuple[str, str | None]:
    """Return outcome and reason of the one row of the newest run."""
    reader = Reader(path)
    (record,) = reader.report_source(reader.run_number("latest")).transfers()
    reader.close()
    return record.outcome.value, record.reason


def test_what_arrived_elsewhere_is_no_success_of_a_row_that_wants_it_here(tmp_path: Path):
    """The doubt is settled while the second run goes on; only a new plan can take the row up."""
    store = opened(tmp_path / "journal.db")
    first = begun(store, manifest_rows(1, destination_uri=THERE))
    first.go("k0", Event.INTENT, Event.LOST)
    begun(store, manifest_rows(1, destination_uri=HERE))
    assert told(store.path) == ("in_doubt", f"in doubt is the move to {THERE}: lost")
    first.go("k0", Event.SEEN)
    arrived = f"its doubt, to {THERE}, was settled as transferred after the plan"
    assert told(store.path) == ("unattempted", arrived)
    (row,) = begun(store, manifest_rows(1, destination_uri=HERE)).plan
    assert told(store.path)[0] == "unattempted"
    assert row.destination_uri == HERE
    store.close()


def test_a_plan_tells_what_was_carried_elsewhere_before(tmp_path: Path):
    store = opened(tmp_path / "journal.db")
    begun(store, manifest_rows(1, destination_uri=THERE)).go("k0", Event.INTENT, Event.ACCEPTED)
    begun(store, manifest_rows(2, destination_uri=HERE))
    reader = Reader(store.path)
    rows = reader.pending(reader.run_number("latest"), -1, 9)
    assert [row.was_elsewhere for row in rows] == [True, False]
    reader.close()
    store.close()
