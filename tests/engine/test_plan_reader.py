"""The plan's rows come in pages, the next one read while the last one is carried."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from runner.core.errors import StorageError
from runner.core.manifest.destinations import NO_LIMITS
from runner.core.transfer.rows import PlannedRow
from runner.engine.audit_notes import AuditNotes
from runner.engine.destination_metrics import DestinationMetrics
from runner.engine.destinations import Destinations
from runner.engine.plan_reader import PAGE, PlanReader
from runner.engine.stop import StopSignal
from runner.testing.journal import FakeJournal
from runner.testing.loop_clock import LoopClock
from runner.testing.observer import RecordingObserver
from tests.engine.builders import rows


class HeldJournal(FakeJournal):
    """Reads a page when it is let to, and notes behind which row each begins."""

    def __init__(self, plan: Sequence[PlannedRow]) -> None:
        super().__init__(plan)
        self.reads: list[int] = []
        self.may_read = asyncio.Event()
        self.fault: StorageError | None = None

    async def pending(
        self,
        after: int,
        limit: int,
        *,
        failed_before: bool = False,
        destination_uri: str | None = None,
    ) -> Sequence[PlannedRow]:
        """Return the rows behind `after`, or fail."""
        self.reads.append(after)
        await self.may_read.wait()
        if self.fault is not None:
            raise self.fault
        return await super().pending(
            after, limit, failed_before=failed_before, destination_uri=destination_uri
        )


def reader(journal: FakeJournal) -> PlanReader:
    clock, stop = LoopClock(), StopSignal()
    destinations = Destinations(
        NO_LIMITS,
        clock=clock,
        observer=RecordingObserver(),
        notes=AuditNotes(journal, clock, stop, asyncio.TaskGroup()),
        metrics=DestinationMetrics(0.0),
    )
    return PlanReader(journal, destinations, clock, stop)


async def taken(feed: PlanReader, number: int) -> list[int]:
    """Return the places of the next rows."""
    return [row.n for _ in range(number) if (row := await feed.next()) is not None]


async def test_a_page_is_read_while_the_rows_before_it_are_carried():
    journal = HeldJournal(rows(3 * PAGE // 2))
    feed = reader(journal)
    feed.allow(3 * PAGE // 2)
    journal.may_read.set()
    assert await taken(feed, PAGE // 2) == list(range(PAGE // 2))
    await asyncio.sleep(0)
    assert journal.reads == [-1]
    journal.may_read.clear()
    assert await taken(feed, PAGE // 2) == list(range(PAGE // 2, PAGE))
    await asyncio.sleep(0)
    assert journal.reads == [-1, PAGE - 1]
    last = asyncio.ensure_future(taken(feed, PAGE))
    await asyncio.sleep(0)
    assert not last.done()
    journal.may_read.set()
    assert await last == list(range(PAGE, 3 * PAGE // 2))
    assert journal.reads == [-1, PAGE - 1, -1]  # the last: of those that failed before
    assert feed.last_turn == (False, 3 * PAGE // 2 - 1)


@pytest.mark.parametrize("fresh", [0, 1, PAGE - 1, PAGE, PAGE + 1])
@pytest.mark.parametrize("failed", [0, 1, PAGE, PAGE + 1])
async def test_what_failed_before_is_given_out_after_all_others(fresh: int, failed: int):
    """Whatever its place in the manifest: here it stands in front."""
    total = fresh + failed
    plan = [replace(row, failed_as="" if row.n < failed else None) for row in rows(total)]
    feed = reader(FakeJournal(plan))
    feed.allow(total + 9)
    assert await taken(feed, total + 9) == [*range(failed, total), *range(failed)]


async def test_a_plan_of_whole_pages_ends_too():
    feed = reader(FakeJournal(rows(PAGE)))
    feed.allow(2 * PAGE)
    assert len(await taken(feed, 2 * PAGE)) == PAGE


async def test_no_more_is_given_out_than_is_allowed_and_the_rest_later():
    journal = HeldJournal(rows(10))
    feed = reader(journal)
    journal.may_read.set()
    assert await feed.next() is None
    assert journal.reads == []
    feed.allow(3)
    assert await taken(feed, 9) == [0, 1, 2]
    feed.allow(10)
    assert await taken(feed, 9) == [3, 4, 5, 6, 7, 8, 9]


async def test_who_waits_for_a_page_that_cannot_be_read_is_told():
    journal = HeldJournal(rows(2))
    journal.fault = StorageError("damaged")
    feed = reader(journal)
    feed.allow(2)
    waiting = asyncio.ensure_future(feed.next())
    await asyncio.sleep(0)
    journal.may_read.set()
    with pytest.raises(StorageError, match="damaged"):
        await waiting


async def test_closing_waits_for_what_is_being_read_and_minds_no_fault():
    journal = HeldJournal(rows(2))
    journal.fault = StorageError("damaged")
    feed = reader(journal)
    await feed.close()
    feed.allow(2)
    asking = asyncio.ensure_future(feed.next())
    await asyncio.sleep(0)
    asking.cancel()  # the run is stopped
    closing = asyncio.ensure_future(feed.close())
    await asyncio.sleep(0)
    assert not closing.done()
    journal.may_read.set()
    await closing
