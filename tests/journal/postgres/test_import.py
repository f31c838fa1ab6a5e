"""A file's history in a lane: the same answers, the same chain, and one place where it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from runner.core.errors import StorageError, UsageError
from runner.core.journal_location import JournalLocation
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import Event
from runner.journal.postgres.connection import JournalUrl
from runner.journal.postgres.lane_import import import_history
from runner.journal.sqlite.export import SqliteExport
from runner.journals import import_journal, journal_at
from runner.ports.history import History
from runner.ports.journal_access import JournalAccess
from tests.journal.builders import AT, ORIGIN, asked, begun, manifest_rows, opened, owed
from tests.journal.contract.journals import postgres, sqlite, started
from tests.postgres_server import execute


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Make a journal of two runs: what is moved, in doubt, failed, owed, waived and left out."""
    path = tmp_path / "production.db"
    with closing(opened(path)) as store:
        run = begun(store, manifest_rows(5, callbacks=("crm",)))
        run.go("k0", Event.INTENT, Event.ACCEPTED)
        run.go("k1", Event.INTENT, Event.LOST)
        run.go("k2", Event.INTENT, Event.DENIED, reason="no such queue")
        life = run.life("k3")
        store.record([life.intent()])
        store.record([life.answer(Event.ACCEPTED, notifications=[owed("w1"), owed("w2")])])
        store.settle_callback("w1", state="failed", attempts=2, reason="nul \x00", at=AT)
        store.waive(["h1"], at=AT)
        run.finish()
        begun(store, manifest_rows(5)).go("k4", Event.INTENT)  # and dies
    return path


@pytest.fixture
def lane(tmp_path: Path) -> JournalAccess:
    return postgres(tmp_path)


def test_a_lane_answers_as_the_file_did(file: Path, lane: JournalAccess):
    with journal_at(JournalLocation(str(file))).open_history() as history:
        before = answers(history)
    imported = import_journal(file, lane.location)
    assert imported.is_new
    with lane.open_history() as history:
        assert answers(history) == before
        *copied, event = history.chain()
        assert [(each.seq, each.body, each.hash) for each in copied] == asked(
            file, "SELECT seq, body, hash FROM events ORDER BY seq"
        )
        assert '"journal imported"' in event.body


def answers(history: History) -> dict[str, Any]:
    """Return what commands see of a history, but for numbers that are the database's own."""
    runs = history.runs(9)
    return {
        "meta": (history.lineage_id, history.environment, history.origin, history.waived()),
        "runs": [(run.record, run.finished, run.counts) for run in runs],
        "reports": [
            [
                str(each).replace(r"\x00", "\u2400")
                for each in history.report_source(run.no).transfers()
            ]
            for run in runs
        ],
        "segments": [
            list(source.audit())
            for source in map(history.report_source, [run.no for run in runs])
            if source.audit is not None
        ],
        "claims": [found for _, found in history.claims([(n, f"i{n}") for n in range(6)])],
        "held": [history.held_by_run(run.no, 9) for run in runs],
        "doubts": history.doubts(runs[0].no),
        "owed": [each[1:] for each in history.outbox(0, 9)],
        "heads": history.heads_before_runs(),
        "last": history.last_transfer_id(),
    }


def test_the_lane_goes_on_where_the_file_ended(file: Path, lane: JournalAccess):
    import_journal(file, lane.location)
    with lane.lock() as lock:
        lock.acquire(0.0)
        store = lock.open_store(environment="production", origin=ORIGIN)
        assert store.recover(at=AT) == 1
        later = started(store, lane, manifest_rows(6))
        later.go("k5", Event.INTENT, Event.ACCEPTED)
    with lane.open_history() as history:
        assert [run.record.id for run in history.runs(1)] == [later.store.run_id]
        assert {doubt.standing.row.key for doubt in history.doubts(later.store.run_no)} == {
            "k1", "k4",
        }  # fmt: skip
        assert history.run("latest").counts[Outcome.UNCHANGED] == 2
        assert all(each.recorded == each.actual for each in history.heads_before_runs())


def test_the_file_is_refused_from_then_on_and_its_name_is_no_copy(file: Path, lane: JournalAccess):
    imported = import_journal(file, lane.location)
    journal = journal_at(JournalLocation(str(file)))
    assert not journal.is_reachable()
    with pytest.raises(StorageError, match="goes on there") as error, journal.open_history():
        pass
    assert imported.journal in str(error.value)
    with journal.lock() as lock:
        lock.acquire(0.0)
        with pytest.raises(StorageError, match="goes on there"):
            lock.open_store(environment="production", origin=ORIGIN)
    [(known,)] = asked(file, "SELECT value FROM meta WHERE name = 'format'")
    assert known == f"imported into {imported.journal}"  # which earlier versions print


class Killed(BaseException):
    """The import's process ends."""


class DyingExport(SqliteExport):
    """Ends the import while a table is read."""

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        if table == "deliveries":
            raise Killed
        return super().rows(table)

    def unmark(self) -> None:
        """Do nothing: the process is gone."""


def test_an_import_that_was_killed_is_finished_by_the_same_one_alone(
    file: Path, lane: JournalAccess
):
    url = JournalUrl.parse(lane.address)
    with pytest.raises(Killed), DyingExport(file) as export:
        import_history(url, export)
    assert not lane.exists()
    with pytest.raises(UsageError, match="only that one can be finished"):
        import_journal(file, JournalLocation(str(url.at("other"))))
    assert import_journal(file, lane.location).is_new
    assert not import_journal(file, lane.location).is_new
    with pytest.raises(UsageError, match="only that one can be finished"):
        import_journal(file, JournalLocation(str(url.at("other"))))


class FailingExport(SqliteExport):
    """Has rows that the database refuses."""

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        for row in super().rows(table):
            yield row
            if table == "runs":
                yield row


def test_an_import_that_fails_leaves_the_file_as_it_was(file: Path, lane: JournalAccess):
    with pytest.raises(StorageError, match="cannot be imported"), FailingExport(file) as export:
        import_history(JournalUrl.parse(lane.address), export)
    assert journal_at(JournalLocation(str(file))).is_reachable()
    assert not lane.exists()


def test_a_lane_with_a_history_of_its_own_takes_no_other(
    tmp_path: Path, file: Path, lane: JournalAccess
):
    with lane.lock() as lock:
        lock.acquire(0.0)
        lock.open_store(environment="production", origin=ORIGIN)
    with pytest.raises(UsageError, match="has a history of its own"):
        import_journal(file, lane.location)
    assert sqlite(tmp_path).is_reachable()


def test_a_copy_of_what_was_imported_is_not_imported_beside_it(
    tmp_path: Path, file: Path, lane: JournalAccess
):
    copy = tmp_path / "copy.db"
    copy.write_bytes(file.read_bytes())
    import_journal(file, lane.location)
    other = JournalLocation(str(JournalUrl.parse(lane.address).at("other")))
    with pytest.raises(UsageError, match="is in the lane edge"):
        import_journal(copy, other)


def test_a_damaged_chain_is_not_imported(file: Path, lane: JournalAccess):
    with SqliteExport(file) as export:
        with closing(sqlite3.connect(file)) as connection, connection:
            connection.execute("UPDATE events SET hash = '0' WHERE seq = 3")
        with pytest.raises(StorageError, match="event 3 does not follow"):
            import_history(JournalUrl.parse(lane.address), export)
    assert execute(lane.address.partition("&lane")[0], "SELECT 1 FROM runner.lanes") == [(1,)]
