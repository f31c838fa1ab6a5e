"""Group commit: who waits shares a transaction, and nobody is acknowledged by a failed one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from runner.core.errors import StorageError
from runner.core.transfer.states import Event
from runner.journal.sqlite.entry_rows import MOST_AT_ONCE
from runner.journal.sqlite.reader import Reader
from runner.journal.sqlite.store import Store
from runner.journal.writer import JournalWriter
from runner.ports import Entry, Note
from tests.journal import builders
from tests.journal.builders import (
    Written,
    asked,
    begun,
    chain_is_whole,
    manifest_rows,
    note,
    opened,
)


class SlowStore(Store):
    """A store whose commits wait until they are let through; it counts what each holds."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, environment="production", origin="o")
        self.go = threading.Event()
        self.began = threading.Event()
        self.sizes: list[int] = []
        builders.OPEN.append(self)

    def record(self, entries: Sequence[Entry | Note]) -> None:
        """Wait, then commit."""
        self.began.set()
        assert self.go.wait(180)
        self.sizes.append(len(entries))
        super().record(entries)


@asynccontextmanager
async def writing(store: Store) -> AsyncIterator[JournalWriter]:
    reader = Reader(store.path)
    writer = JournalWriter(store, reader)
    try:
        yield writer
    finally:
        await writer.close()
        reader.close()
        reader.close()


@pytest.fixture
def run(tmp_path: Path) -> Written:
    return begun(opened(tmp_path / "j.db"), manifest_rows(40))


async def test_what_is_acknowledged_is_durable(run: Written):
    async with writing(run.store) as writer:
        await writer.record(run.life("k0").intent())
        assert asked(run.store.path, "SELECT state FROM transfers") == [("sending",)]


async def test_what_waits_together_is_committed_together_in_order(tmp_path: Path):
    store = SlowStore(tmp_path / "j.db")
    run = begun(store, manifest_rows(40))
    async with writing(store) as writer:
        records = [writer.record(run.life("k0").intent())]
        await asyncio.to_thread(store.began.wait, 10)
        records += [writer.record(run.life(f"k{n}").intent()) for n in range(1, 40)]
        records.append(writer.record(run.life("k0").answer(Event.ACCEPTED), note("last")))
        store.go.set()
        await asyncio.gather(*records)
    assert store.sizes == [1, 41]
    keys = asked(store.path, "SELECT json_extract(body, '$.key') FROM events ORDER BY seq")
    assert keys == [(None,), *((f"k{n}",) for n in range(40)), ("k0",), (None,)]
    assert chain_is_whole(store.path)


async def test_of_much_that_waits_a_part_is_committed_at_a_time(tmp_path: Path):
    """So that the loop goes on with one part while the next is written; nothing is torn apart."""
    store = SlowStore(tmp_path / "j.db")
    begun(store, manifest_rows(1))
    async with writing(store) as writer:
        first = writer.record(note("first"))
        await asyncio.to_thread(store.began.wait, 10)
        records = [writer.record(note("a"), note("b"), note("c")) for _ in range(MOST_AT_ONCE)]
        store.go.set()
        await asyncio.gather(first, *records)
    assert store.sizes[0] == 1
    assert sum(store.sizes) == 1 + 3 * MOST_AT_ONCE
    assert {size % 3 for size in store.sizes[1:]} == {0}
    assert max(store.sizes) < MOST_AT_ONCE + 3
    assert chain_is_whole(store.path)


async def test_nothing_is_acknowledged_before_its_commit(tmp_path: Path):
    store = SlowStore(tmp_path / "j.db")
    run = begun(store, manifest_rows(1))
    async with writing(store) as writer:
        record = asyncio.ensure_future(writer.record(run.life("k0").intent()))
        await asyncio.to_thread(store.began.wait, 10)
        await asyncio.sleep(0)
        assert not record.done()
        store.go.set()
        await record


async def test_a_failure_fails_all_that_shared_it_and_all_that_follow(run: Written):
    """The store is not touched again, even where it could write."""
    async with writing(run.store) as writer:
        await writer.record(run.life("k0").intent())
        stale = run.life("k0").answer(Event.ACCEPTED)._replace(version=9)
        shared = [writer.record(stale), writer.record(note("innocent"))]
        told = await asyncio.gather(*shared, return_exceptions=True)
        assert isinstance(told[0], StorageError)
        with pytest.raises(StorageError) as later:
            await writer.record(note("later"))
        assert later.value is told[0]
        with pytest.raises(StorageError):
            await writer.perform(lambda: pytest.fail("the store was touched again"))
    run.store.close()
    assert asked(run.store.path, "SELECT count(*) FROM events") == [(2,)]


async def test_a_bug_in_writing_fails_as_storage_does(run: Written):
    async with writing(run.store) as writer:
        with pytest.raises(StorageError, match="not JSON serializable") as told:
            await writer.record(note(bad=object()))
        assert isinstance(told.value.__cause__, TypeError)


async def test_one_who_no_longer_waits_disturbs_nobody(run: Written):
    async with writing(run.store) as writer:
        gone = asyncio.ensure_future(writer.record(note("gone")))
        gone.cancel()
        await writer.record(note("stays"))
    assert len(asked(run.store.path, "SELECT * FROM events")) == 3


async def test_calls_keep_their_place_among_the_records(run: Written):
    async with writing(run.store) as writer:
        seen: list[int] = []
        waits = [
            writer.record(note("one")),
            writer.perform(lambda: seen.append(run.store.seq)),
            writer.record(note("two")),
            writer.perform(lambda: seen.append(run.store.seq)),
        ]
        await asyncio.gather(*waits)
    assert seen == [2, 3]


async def test_closing_writes_what_waits(tmp_path: Path):
    store = SlowStore(tmp_path / "j.db")
    begun(store, [])
    async with writing(store) as writer:
        waits = [writer.record(note(str(n))) for n in range(9)]
        asyncio.get_running_loop().call_later(0.01, store.go.set)
    assert len(await asyncio.gather(*waits)) == 9
    assert len(asked(store.path, "SELECT * FROM events")) == 10


async def test_ids_go_on_where_the_journal_ended(run: Written):
    run.go("k0", Event.INTENT)
    async with writing(run.store) as writer:
        assert [writer.new_transfer_id(), writer.new_transfer_id()] == [2, 3]


async def test_reading_goes_by_the_runs_plan(run: Written):
    life = run.go("k0", Event.INTENT, Event.LOST)
    assert life.message_id is not None
    async with writing(run.store) as writer:
        assert [row.key for row in await writer.pending(37, 9)] == ["k38", "k39"]
        assert await writer.message_ids(life.transfer_id) == {life.message_id}
        found = await writer.find(life.message_id)
        assert found is not None
        assert (found.row.key, found.state, found.version) == ("k0", "unknown", 2)
        assert await writer.find("foreign") is None
        (doubt,) = await writer.doubts()
        assert (doubt.standing.row.interaction_id, doubt.intent.text) == ("i0", '{"n":1}')
