"""By what the gateway's owner finds a delivery."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.core.transfer.states import Event
from tests.journal.builders import asked, begun, chain_is_whole, manifest_rows, opened, reader_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


def told(path: Path) -> list[tuple[str, str | None]]:
    """Return what the newest run's report tells of each attempt."""
    reader = reader_of(path)
    source = reader.report_source(reader.run_number("latest"))
    return [(a.message_id, a.correlation_id) for t in source.transfers() for a in t.attempts]


def test_it_is_kept_with_the_delivery_and_in_the_audit_chain(path: Path):
    store = opened(path)
    life = begun(store, manifest_rows(1)).life("k0")
    store.record([life.intent()])
    store.record([life.answer(Event.ACCEPTED, correlation_id="corr-1")])
    assert [correlation for _, correlation in told(path)] == ["corr-1"]
    ((body,),) = asked(path, "SELECT body FROM events ORDER BY seq DESC LIMIT 1")
    assert json.loads(body)["correlation_id"] == "corr-1"
    assert chain_is_whole(path)


def test_a_late_yes_brings_its_own_and_none_takes_nothing_away(path: Path):
    store = opened(path)
    run = begun(store, manifest_rows(2))
    for key, late in (("k0", "corr-2"), ("k1", None)):
        life = run.life(key)
        store.record([life.intent()])
        lost = life.answer(Event.LOST, correlation_id=f"corr-of-{key}")
        store.record([lost._replace(status=None)])
        yes = life.entry(Event.ACCEPTED, message_id=life.message_id, status="transfer_initiated")
        store.record([yes._replace(correlation_id=late)])
    assert [correlation for _, correlation in told(path)] == ["corr-2", "corr-of-k1"]
