"""Where a selection found an interaction is kept with its row, by staging and by the journal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.transfer.lookup_verdict import FoundAt
from runner.core.transfer.states import Event
from tests.journal.builders import begun, manifest_rows, opened, reader_of

WAITED = FoundAt("genesys://queue/old", "Billing EU")
SERVED = FoundAt("genesys://queue/old", "Billing EU", "p-1")


@pytest.mark.parametrize("found_at", [WAITED, SERVED, None])
def test_a_row_keeps_where_it_was_found_until_its_turn(tmp_path: Path, found_at: FoundAt | None):
    store = opened(tmp_path / "journal.db")
    begun(store, [replace(row, found_at=found_at) for row in manifest_rows(2)])
    rows = reader_of(store.path).pending(store.run_no, -1, 9)
    assert [row.found_at for row in rows] == [found_at, found_at]


def test_a_doubt_keeps_it_too_so_that_it_is_sent_again_from_there_alone(tmp_path: Path):
    store = opened(tmp_path / "journal.db")
    rows = [replace(row, found_at=WAITED) for row in manifest_rows(1)]
    begun(store, rows).go("k0", Event.INTENT, Event.LOST)
    begun(store, [])
    (doubt,) = reader_of(store.path).doubts(store.run_no)
    assert doubt.standing.row.found_at == WAITED
