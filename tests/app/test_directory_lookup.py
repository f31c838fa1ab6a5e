"""What the history and the manifest say of those whom a selection may take."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.app.directory_lookup import standings_of
from runner.core.manifest.queue_selection import Standing
from runner.core.transfer.states import Event
from runner.staging.rows import Staging
from tests.journal import builders
from tests.journal.builders import HERE, THERE, begun, manifest_rows, opened, reader_of


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    yield
    while builders.OPEN:
        builders.OPEN.pop().close()


def test_who_will_not_be_sent_and_who_failed_before_is_known_from_the_history(tmp_path: Path):
    store = opened(tmp_path / "j.db")
    earlier = begun(store, manifest_rows(5))
    earlier.go("k0", Event.INTENT, Event.ACCEPTED)
    earlier.go("k1", Event.INTENT, Event.LOST)
    earlier.go("k2", Event.INTENT, Event.DENIED)
    earlier.go("k4", Event.INTENT, Event.DENIED)
    with Staging() as staging:
        staging.protect("I9", "protected.csv:2")
        staging.protect("i4", "protected.csv:3")
        ids = [f"i{n}" for n in range(6)] + ["I9"]
        history = reader_of(store.path)
        assert standings_of(staging, history, ids, HERE, again=False) == {
            "i0": Standing.NOT_SENT,
            "i1": Standing.NOT_SENT,
            "i2": Standing.FAILED_BEFORE,
            "i4": Standing.NOT_SENT,
            "I9": Standing.NOT_SENT,
        }
        assert "i0" not in standings_of(staging, history, ids, HERE, again=True)
        assert "i0" not in standings_of(staging, history, ids, THERE, again=False)
        assert standings_of(staging, None, ids, HERE, again=False) == {
            "i4": Standing.NOT_SENT,
            "I9": Standing.NOT_SENT,
        }
