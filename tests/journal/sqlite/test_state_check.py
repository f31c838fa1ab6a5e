"""A journal whose tables disagree with its chain of events is not relied upon."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.core.transfer.states import Event
from runner.journal.sqlite.store import Store
from tests.journal.builders import ORIGIN, asked, begun, manifest_rows, opened

INTENT, ACCEPTED, LOST = Event.INTENT, Event.ACCEPTED, Event.LOST


def written(path: Path, *, finish: bool) -> None:
    store = opened(path)
    run = begun(store, manifest_rows(4))
    run.go("k0", INTENT, ACCEPTED)
    run.go("k1", INTENT, LOST)
    run.go("k2", INTENT)
    store.recover(at=1.0)
    run.go("k3", Event.EXCLUDED)
    if finish:
        run.finish()
    store.close()


def altered(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "production.db"


@pytest.mark.parametrize("finish", [True, False])
def test_a_journal_as_it_was_written_opens(path: Path, finish: bool):  # noqa: FBT001 - a case
    written(path, finish=finish)
    Store(path, environment="production", origin=ORIGIN).close()
    assert bool(asked(path, "SELECT 1 FROM meta WHERE name = 'seal'")) == finish


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE transfers SET state = 'rejected' WHERE key = 'k0'",
        "UPDATE transfers SET state = 'transferre`' WHERE key = 'k0'",
        "UPDATE transfers SET state = 'failed' WHERE key = 'k1'",
        "UPDATE transfers SET interaction_id = 'j0' WHERE key = 'k0'",
        "UPDATE transfers SET interaction = 'j0' WHERE key = 'k0'",
        "DELETE FROM transfers WHERE key = 'k0'",
        "DELETE FROM transfers WHERE key = 'k3'",
        """INSERT INTO transfers(id, lineage, run, n, key, interaction_id, destination_uri, state,
             version, interaction) VALUES (9, 9, 1, 9, 'k', 'i', 'd', 'ready', 1, 'i')""",
    ],
)
def test_a_transfer_that_its_events_do_not_tell_of_is_refused(
    path: Path,
    damage: str,
    finish: bool,  # noqa: FBT001 - a case
):
    written(path, finish=finish)
    altered(path, damage)
    with pytest.raises(StorageError, match="is damaged: "):
        opened(path)


def test_a_destination_that_changed_after_a_run_shows_by_its_seal(path: Path):
    written(path, finish=True)
    altered(path, "UPDATE transfers SET destination_uri = 'genesys://queue/hers' WHERE key = 'k3'")
    with pytest.raises(StorageError, match="changed since the last run ended"):
        opened(path)


@pytest.mark.parametrize("finish", [True, False])
def test_an_index_that_does_not_lead_to_a_transfer_is_refused(path: Path, finish: bool):  # noqa: FBT001 - a case
    """One flipped bit in it, and the history of an interaction is not found."""
    written(path, finish=finish)
    ((page,),) = asked(
        path, "SELECT rootpage FROM sqlite_schema WHERE name = 'transfers_of_interaction'"
    )
    ((size,),) = asked(path, "PRAGMA page_size")
    whole = bytearray(path.read_bytes())
    at = whole.index(b"i0", (page - 1) * size)
    assert at < page * size
    whole[at + 1] ^= 8  # `i8`
    path.write_bytes(whole)
    with pytest.raises(StorageError, match=r"its index does not lead to transfer \d+ \(key k0\)"):
        opened(path)


def test_a_destination_that_changed_after_a_run_died_shows_by_the_chain(path: Path):
    written(path, finish=False)
    altered(path, "UPDATE transfers SET destination_uri = 'genesys://queue/hers' WHERE key = 'k0'")
    with pytest.raises(StorageError, match=r"the destination of transfer 1 \(key k0\)"):
        opened(path)


def test_an_event_that_changed_is_found_where_the_chain_is_read(path: Path):
    written(path, finish=False)
    altered(path, "UPDATE events SET body = replace(body, 'run', 'rum') WHERE seq = 3")
    with pytest.raises(StorageError, match="does not follow"):
        opened(path)


def test_a_seal_that_cannot_be_read_costs_a_reading_of_the_chain(path: Path):
    written(path, finish=True)
    altered(path, "UPDATE meta SET value = '7' WHERE name = 'seal'")
    opened(path)


def test_what_comes_after_a_run_ended_is_no_damage(path: Path):
    """A late answer, or a run that died: the seal is out of date."""
    store = opened(path)
    run = begun(store, manifest_rows(2))
    run.go("k0", INTENT, LOST)
    run.finish()
    run.go("k0", ACCEPTED)
    store.close()
    opened(path)
