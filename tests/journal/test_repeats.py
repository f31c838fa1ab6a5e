"""Repeats of one message id, over several runs."""

from __future__ import annotations

from pathlib import Path

from runner.core.transfer.states import Event
from tests.journal.builders import begun, manifest_rows, opened, reader_of


def test_a_withdrawn_repeat_keeps_its_number(tmp_path: Path):
    """The next run numbers on behind it: a number that is used twice stops every later run."""
    store = opened(tmp_path / "journal.db")
    begun(store, manifest_rows(1)).go(
        "k0", Event.INTENT, Event.LOST, Event.REPEATED, Event.WITHDRAWN
    )
    begun(store, manifest_rows(1))
    reader = reader_of(store.path)
    (doubt,) = reader.doubts(store.run_no)
    assert doubt.standing.n == 2
    assert doubt.intent.n == 1, "the message is that of the delivery that may have left"
    reader.close()
    store.close()
