"""An interaction is one, and a destination is one, however a manifest writes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.core.transfer.plan_decision import Action
from runner.core.transfer.rows import TransferRow
from runner.core.transfer.states import Event
from runner.staging.rows import Selection, Staging
from tests.journal.builders import VOICE, begun, opened, outcomes, reader_of

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
NUMBER, HYPHENATED = "tel:+441234567", "tel:+44-1234567"
INTENT, ACCEPTED, LOST = Event.INTENT, Event.ACCEPTED, Event.LOST


def row(key: str, interaction_id: str = UUID, destination_uri: str = NUMBER) -> TransferRow:
    return TransferRow(key, interaction_id, destination_uri, (VOICE,), (), "m.yaml:1")


def staged(journal: Path | None, *rows: TransferRow) -> list[Action]:
    with Staging() as staging:
        for each in rows:
            staging.add(each)
        staging.plan(None if journal is None else reader_of(journal), Selection())
        return [verdict.action for _, verdict in staging.planned()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


OTHERS = [row("k", UUID.upper()), row("k", UUID, HYPHENATED), row("k", UUID.upper(), HYPHENATED)]


@pytest.mark.parametrize("other", OTHERS)
def test_what_was_carried_out_is_unchanged_in_another_spelling(path: Path, other: TransferRow):
    store = opened(path)
    begun(store, [row("k")]).go("k", INTENT, ACCEPTED)
    assert staged(path, other) == [Action.UNCHANGED]
    begun(store, [other])
    assert outcomes(path) == {"k": "unchanged"}


def test_a_doubt_is_listed_by_a_row_that_spells_it_otherwise(path: Path):
    store = opened(path)
    begun(store, [row("k")]).go("k", INTENT, LOST)
    begun(store, [row("k", UUID.upper(), HYPHENATED)])
    (doubt,) = reader_of(path).doubts(store.run_no)
    assert doubt.listed
    assert doubt.standing.row.destination_uri == NUMBER  # as it was sent


def test_one_interaction_in_two_spellings_is_a_repeat():
    with Staging() as staging:
        staging.add(row("a", UUID))
        staging.add(row("b", UUID.upper()))
        (repeat,) = staging.repeats(10)
        assert (repeat.kind, repeat.value) == ("interaction", UUID.upper())
        assert staging.has_interaction(UUID.upper())


def test_keys_that_differ_by_their_case_alone_are_two():
    with Staging() as staging:
        staging.add(row(UUID, UUID))
        staging.add(row(UUID.upper(), UUID.upper()))
        assert [repeat.kind for repeat in staging.repeats(10)] == ["interaction"]


def test_the_database_refuses_a_second_spelling_of_what_is_held(path: Path):
    store = opened(path)
    begun(store, [row("a")]).go("a", INTENT)
    other = begun(store, [row("b", "other")], batch="other")
    other.plan = [replace(planned, interaction_id=UUID.upper()) for planned in other.plan]
    with pytest.raises(StorageError, match=r"transfers\.interaction"):
        other.go("b", INTENT)
