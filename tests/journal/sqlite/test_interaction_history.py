"""The history of interactions is found page by page, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.core.transfer.states import Event
from runner.journal.sqlite.interaction_history import PAGE, claims_of
from runner.journal.sqlite.store import Store
from tests.journal.builders import begun, manifest_rows, opened


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(tmp_path / "production.db")


def test_each_mark_comes_back_with_its_history_oldest_first(store: Store):
    first = begun(store, manifest_rows(2)).go("k0", Event.INTENT, Event.DENIED)
    second = begun(store, manifest_rows(2)).go("k0", Event.INTENT, Event.ACCEPTED)
    found = dict(claims_of(store.path, [("a", "i1"), ("b", "i0"), ("c", "unknown")]))
    assert {mark: [c.transfer_id for c in history] for mark, history in found.items()} == {
        "b": [first.transfer_id, second.transfer_id]
    }
    assert [c.state.value for c in found["b"]] == ["rejected", "transferred"]


def test_histories_on_both_sides_of_a_page_are_found(store: Store):
    begun(store, manifest_rows(1)).go("k0", Event.INTENT, Event.ACCEPTED)
    wanted = [(n, "i0" if n in {0, PAGE - 1, PAGE, 2 * PAGE} else f"x{n}") for n in range(2001)]
    assert [mark for mark, _ in claims_of(store.path, wanted)] == [0, PAGE - 1, PAGE, 2 * PAGE]


def test_what_a_run_records_between_two_pages_is_not_seen(store: Store):
    run = begun(store, manifest_rows(2))
    run.go("k0", Event.INTENT, Event.ACCEPTED)

    def wanted() -> Iterator[tuple[int, str]]:
        yield from ((n, "i0") for n in range(PAGE))
        run.go("k1", Event.INTENT)
        yield PAGE, "i1"

    assert [mark for mark, _ in claims_of(store.path, wanted())] == list(range(PAGE))


def test_without_transfers_no_interaction_is_asked_for(store: Store):
    begun(store, manifest_rows(1))

    def wanted() -> Iterator[tuple[int, str]]:
        raise AssertionError("it was asked")
        yield 0, "i0"

    assert list(claims_of(store.path, wanted())) == []
