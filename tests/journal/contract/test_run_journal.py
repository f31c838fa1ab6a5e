"""What the engine relies on, of every journal: see `ports.Journal`."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import Event, State
from runner.ports import Entry, Journal
from tests.journal.builders import Life, manifest_rows, note
from tests.journal.contract.journals import RUNS, OpenRun


@pytest.fixture(params=RUNS)
def open_run(request: pytest.FixtureRequest) -> OpenRun:
    return RUNS[request.param]


def life_of(row: PlannedRow, journal: Journal) -> Life:
    return Life(row, journal.new_transfer_id(), "contract", row.lineage)


async def test_pending_rows_come_page_by_page_in_order(open_run: OpenRun, tmp_path: Path):
    async with open_run(tmp_path, manifest_rows(5)) as (journal, plan):
        first = await journal.pending(-1, 2)
        rest = await journal.pending(first[-1].n, 9)
        assert [row.key for row in (*first, *rest)] == ["k0", "k1", "k2", "k3", "k4"]
        assert [*first, *rest] == list(plan)
        assert list(await journal.pending(4, 9)) == []
        assert list(await journal.pending(-1, 9, failed_before=True)) == []


async def test_every_transfer_id_is_new(open_run: OpenRun, tmp_path: Path):
    async with open_run(tmp_path, manifest_rows(1)) as (journal, _):
        ids = [journal.new_transfer_id() for _ in range(9)]
        assert ids == sorted(set(ids))
        assert min(ids) > 0


async def test_a_delivery_leads_to_its_transfer(open_run: OpenRun, tmp_path: Path):
    async with open_run(tmp_path, manifest_rows(2)) as (journal, plan):
        life = life_of(plan[1], journal)
        await journal.record(life.intent())
        found = await journal.find(life.message_id or "")
        assert found is not None
        assert (found.row.key, found.transfer_id, found.n) == ("k1", life.transfer_id, 1)
        assert (found.state, found.version) == (State.SENDING, 1)
        await journal.record(life.answer(Event.DENIED))
        found = await journal.find(life.message_id or "")
        assert found is not None
        assert (found.state, found.version, found.code) == (State.REJECTED, 2, "denied")
        assert await journal.find("unknown") is None


async def test_an_accepted_delivery_leads_to_a_carried_out_transfer_if_to_any(
    open_run: OpenRun, tmp_path: Path
):
    async with open_run(tmp_path, manifest_rows(1)) as (journal, plan):
        life = life_of(plan[0], journal)
        await journal.record(life.intent())
        await journal.record(life.answer(Event.ACCEPTED))
        found = await journal.find(life.message_id or "")
        assert found is None or found.state is State.TRANSFERRED


async def test_a_lineage_has_the_ids_of_its_deliveries(open_run: OpenRun, tmp_path: Path):
    async with open_run(tmp_path, manifest_rows(2)) as (journal, plan):
        life, other = (life_of(row, journal) for row in plan)
        await journal.record(life.intent(), other.intent())
        assert await journal.message_ids(life.transfer_id) == {life.message_id}
        assert await journal.message_ids(10_000) == frozenset()


async def test_what_is_recorded_together_and_in_turn_keeps_its_order(
    open_run: OpenRun, tmp_path: Path
):
    async with open_run(tmp_path, manifest_rows(3)) as (journal, plan):
        lives = [life_of(row, journal) for row in plan]
        entries: list[Entry] = [life.intent() for life in lives]
        entries += [life.answer(Event.DENIED) for life in lives]
        waiting = [journal.record(entry, note()) for entry in entries]
        for each in waiting:
            await each
        for life in lives:
            found = await journal.find(life.message_id or "")
            assert found is not None
            assert found.state is State.REJECTED


async def test_without_earlier_runs_nothing_is_in_doubt(open_run: OpenRun, tmp_path: Path):
    async with open_run(tmp_path, manifest_rows(1)) as (journal, _):
        assert list(await journal.doubts()) == []
