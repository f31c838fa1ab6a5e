"""The cause of an outcome is kept with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.core.transfer.reasons import Code
from runner.core.transfer.states import Event
from runner.staging.rows import Selection
from tests.journal.builders import asked, begun, chain_is_whole, manifest_rows, opened, reader_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


def told(path: Path) -> list[tuple[str | None, str | None]]:
    """Return the newest run's reasons with their codes."""
    reader = reader_of(path)
    source = reader.report_source(reader.run_number("latest"))
    return [(t.reason, t.reason_code) for t in source.transfers()]


def lost(path: Path) -> None:
    store = opened(path)
    life = begun(store, manifest_rows(1)).life("k0")
    store.record([life.intent()])
    answer = life.answer(Event.LOST, reason="no reply within 10 s")
    store.record([answer._replace(reason_code=Code.NO_REPLY)])
    store.close()


def test_it_is_kept_with_the_transfer_and_in_the_audit_chain(path: Path):
    lost(path)
    assert told(path) == [("no reply within 10 s", "no_reply")]
    ((body,),) = asked(path, "SELECT body FROM events ORDER BY seq DESC LIMIT 1")
    assert json.loads(body)["reason_code"] == "no_reply"
    assert chain_is_whole(path)


def test_the_next_run_tells_a_doubt_by_its_cause(path: Path):
    lost(path)
    begun(opened(path), manifest_rows(1))
    assert told(path) == [("no reply within 10 s", "no_reply")]


def test_a_run_that_died_is_a_cause(path: Path):
    store = opened(path)
    begun(store, manifest_rows(1)).go("k0", Event.INTENT)
    store.recover(at=1.0)
    assert told(path) == [("the run ended before a reply came", "run_died")]


def test_a_doubt_that_only_leaves_out_is_not_sent_again_whatever_it_is_called(path: Path):
    store = opened(path)
    begun(store, manifest_rows(2)).go("k0", Event.INTENT, Event.LOST, reason="not selected")
    begun(store, manifest_rows(2), Selection(only=("k1",)))
    reader = reader_of(path)
    assert [doubt.listed for doubt in reader.doubts(store.run_no)] == [False]
    begun(store, manifest_rows(2), Selection(only=("k0",)))
    assert [doubt.listed for doubt in reader.doubts(store.run_no)] == [True]
