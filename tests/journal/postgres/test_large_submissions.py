"""Rows of a large submission pass through, piece by piece: no process holds them all."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pytest

from runner.core.journal_location import JournalLocation
from runner.core.transfer.plan_decision import Decision
from runner.core.transfer.rows import PlannedRow
from runner.journal.postgres.fleet import PostgresFleetWorker
from runner.journal.postgres.store import Store
from runner.manifest.regular_file import open_regular
from runner.ports.fleet import NewSubmission
from runner.ports.journal_access import Lane
from runner.staging.rows import Selection, Staging
from tests.journal.builders import AT, ORIGIN, RUN, manifest_rows
from tests.journal.postgres.lanes import Clock, Database
from tests.postgres_server import execute, fresh_database

FILE_BYTES = 24 << 20
FEW_BYTES = 8 << 20


def peak_of(work: Callable[[], object]) -> int:
    """Return the most bytes that were held while work was done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_files_travel_piece_by_piece(tmp_path: Path):
    rows = tmp_path / "rows.csv"
    rows.write_bytes(b"0123456789abcdef" * (FILE_BYTES // 16))
    url = fresh_database()
    with closing(PostgresFleetWorker(JournalLocation(url), "w1")) as fleet:
        files: dict[str, Callable[[], BinaryIO]] = {
            "b.yaml": BytesIO,
            "rows.csv": partial(open_regular, rows),
        }
        new = NewSubmission("eu", "b", "b.yaml", files, "somebody")
        assert peak_of(lambda: fleet.submit([new])) < FEW_BYTES
        written = tmp_path / "written.csv"

        def read() -> None:
            with (
                fleet.journal_of(1, Lane(ORIGIN, "a" * 64)).content() as content,
                written.open("wb") as file,
            ):
                file.writelines(piece for name, piece in content.files if name == "rows.csv")

        assert peak_of(read) < FEW_BYTES
    assert written.read_bytes() == rows.read_bytes()
    assert execute(url, "SELECT count(*) FROM runner.submission_files") == [(25,)]


def test_a_plan_is_stored_as_it_is_read():
    database = Database(fresh_database())
    with database.open, Staging() as staging:
        store = database.owned(Clock())
        store.begin_run("run", asdict(RUN) | {"id": "run"}, at=AT)
        [row] = manifest_rows(1)
        for n in range(20_000):
            staging.add(replace(row, key=f"k{n}", interaction_id=f"i{n}"))
        with database.journal.open_history() as history:
            staging.plan(history, Selection())
        assert peak_of(lambda: store.store_plan(staging.planned)) < FEW_BYTES
    assert execute(database.url, "SELECT count(*) FROM runner.rows") == [(20_000,)]


@pytest.mark.parametrize("is_durable", [True, False])
def test_a_plan_whose_answer_is_lost_is_there_once(*, is_durable: bool):
    """Its transaction appends no event, so that the chain does not say whether it happened."""
    database = Database(fresh_database())
    with database.open, Staging() as staging:
        store = database.owned(Clock())
        store.begin_run("run", asdict(RUN) | {"id": "run"}, at=AT)
        for row in manifest_rows(3):
            staging.add(row)
        with database.journal.open_history() as history:
            staging.plan(history, Selection())
        reads = []

        def plan() -> Iterator[tuple[PlannedRow, Decision]]:
            reads.append(1)
            yield from staging.planned()
            if len(reads) == 1:
                cut(database, store)

        if is_durable:
            store.store_plan(staging.planned)
            store.store_plan(plan)
        else:
            store.store_plan(plan)
    assert len(reads) == (0 if is_durable else 2)
    assert execute(database.url, "SELECT key FROM runner.rows ORDER BY n") == [
        ("k0",), ("k1",), ("k2",),
    ]  # fmt: skip


def cut(database: Database, store: Store) -> None:
    """End the store's connection from the server's side."""
    database.ask(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        f" WHERE pid = {store._session._connection.info.backend_pid}"
    )
