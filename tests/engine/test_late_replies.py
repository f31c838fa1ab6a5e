"""What the simulation found: late, doubled and early replies, and repeats that came too late."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from runner.core.manifest.model import Limits, Policy
from runner.core.transfer.doubt_evidence import Dedupes
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.states import State
from runner.engine.rules import Rules
from runner.ports import Doubt, JournalledTransfer
from runner.testing.gateway import Answer, FakeGateway
from runner.testing.journal import FakeJournal
from tests.engine.builders import HERE, NO_PREFLIGHT, left_behind, rows
from tests.engine.harness import Run, run_batch

YES = "transfer_initiated"


def test_a_late_yes_is_settled_once_though_its_double_comes_before_the_journal_has_it():
    """The time-out is durable at 10.6 s, the first yes at 10.9 s: the second must not ask the file."""
    run = run_batch(
        2,
        script=lambda _: [Answer(YES, 10.3), Answer(YES, 10.7)],
        journal=FakeJournal(commit_s=0.6),
        limits=Limits(in_flight=1),
    )
    assert run.journal.events("k0") == ["intent", "lost", "accepted"]
    assert run.ending.halted is None


def test_a_late_yes_to_an_earlier_run_stops_what_this_one_has_not_taken_up_yet():
    """The gateway had said no before; its yes comes while another transfer has the only slot."""
    plan = [*rows(1), replace(rows(2)[1], lineage=40)]
    old = JournalledTransfer(replace(plan[1], n=8), 40, 40, 2, State.REJECTED, 1)

    async def answered(run: Run) -> None:
        await asyncio.sleep(1)
        run.gateway.listener.replied(Answer(YES).reply_to("old"))

    run = run_batch(
        plan,
        Answer(YES, 5),
        journal=FakeJournal(past={"old": old}),
        limits=Limits(in_flight=1),
        meanwhile=answered,
    )
    assert [frame.interaction_id for frame in run.frames] == ["i0"]
    assert run.journal.events("k1") == ["accepted", "seen"]
    assert run.states() == {"k0": "transferred", "k1": "transferred"}


def test_a_late_yes_to_an_earlier_run_settles_also_what_has_failed_in_this_one():
    row = replace(rows(1)[0], lineage=40)
    old = JournalledTransfer(replace(row, n=8, key="k8"), 40, 40, 2, State.REJECTED, 1)

    async def answered(run: Run) -> None:
        await asyncio.sleep(1)
        run.gateway.listener.replied(Answer(YES).reply_to("old"))

    run = run_batch(
        [row, rows(2)[1]],
        script=lambda f: [Answer("transfer_rejected" if f.interaction_id == "i0" else YES, 2)],
        gateway=FakeGateway(interactions={"i0": Interaction("i0", found=False)}),
        journal=FakeJournal(past={"old": old}),
        policy=Policy(preflight=True),
        meanwhile=answered,
    )
    assert run.journal.events("k0") == ["denied", "accepted"]
    assert run.states()["k0"] == "transferred"


def test_a_repeat_that_waits_until_its_id_may_be_forgotten_does_not_leave():
    """It may be repeated for 18 s; asked at 10 s it may, and when its turn comes at 24 s no more."""

    async def silenced(run: Run) -> None:
        await asyncio.sleep(9)
        run.gateway.listener.paused(15, "the gateway asked for it")

    rules = Rules(NO_PREFLIGHT, Dedupes(20.0))
    run = run_batch(1, Answer(), rules=rules, meanwhile=silenced)
    assert len(run.frames) == 1
    assert run.states() == {"k0": "unknown"}
    assert "too late to send it again" in run.noted("stays in doubt")[-1]["reason"]


class Eager(FakeGateway):
    """Answers what an earlier run sent as soon as there is a session."""

    def _begin(self) -> None:
        super()._begin()
        self.listener.replied(Answer(YES).reply_to("old"))


def test_a_late_yes_may_come_before_anything_else_of_a_run():
    journal: FakeJournal = left_behind()
    (doubt,) = journal.left
    assert isinstance(doubt, Doubt)
    journal.past, journal.commit_s = {"old": doubt.standing}, 0.5
    seen: Any = Interaction("i8", found=True, state="active", destination_uri=HERE,
                            last_transfer_id="old")  # fmt: skip
    run = run_batch(1, gateway=Eager(interactions={"i8": seen}), journal=journal)
    assert run.journal.state("k8") is State.TRANSFERRED
    assert run.journal.events("k8") == ["accepted"]
    assert run.ending.halted is None
