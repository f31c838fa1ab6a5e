"""No transfers wait for each other, whatever limits, answers, waves and commands come together.

`transfer_worker` has the order in which a transfer takes what it needs.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.core.exit_code import ExitCode
from runner.core.gates import parse_bound
from runner.core.manifest.destinations import DestinationLimits, DestinationTable
from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.manifest.quantity import Share
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Dedupes, Expires
from runner.engine.rules import Rules
from runner.testing.gateway import CARRIED_OUT, SILENCE, Answer, Frame
from runner.testing.journal import FakeJournal
from tests.engine.builders import NO_PREFLIGHT, left_behind, rows
from tests.engine.harness import Run, run_batch
from tests.engine.observed_gateway import ObservedGateway

ENTRY, QUEUE, OPEN = (f"genesys://queue/{name}" for name in ("entry", "queue", "open"))
DESTINATIONS = (ENTRY, QUEUE, OPEN)

STUCK_S = 300.0
"""Longer than everything that may lawfully keep a whole run waiting in these worlds."""

ANSWERS = [
    Answer("transfer_initiated"), Answer("transfer_initiated"), Answer("rate_limited"),
    Answer("transfer_rejected"), Answer("not sent", unsent=True), SILENCE,
]  # fmt: skip


def drawn_limits(chance: random.Random) -> DestinationTable:
    def limits(pattern: str) -> DestinationLimits:
        is_observed = chance.random() < 0.4
        return DestinationLimits(
            pattern=pattern,
            rate_per_s=chance.choice((None, 0.2, 2.0)),
            in_flight=chance.choice((None, 1, 1, 2)),
            bounds={"waiting": parse_bound("< 3")} if is_observed else {},
            give_up_s=chance.choice((20.0, 120.0)),
        )

    return DestinationTable(tuple(map(limits, (ENTRY, QUEUE, "*"))))


def drawn_script(chance: random.Random) -> Callable[[Frame], list[Answer]]:
    pool = [*ANSWERS[: chance.randint(1, len(ANSWERS))], *chance.choices(ANSWERS, k=3)]

    def script(_frame: Frame) -> list[Answer]:
        answer = chance.choice(pool)
        after_s = chance.choice((0.001, 0.05, 3.0))
        return [replace(answer, after_s=after_s)] if answer is not SILENCE else [SILENCE]

    return script


def drawn_policy(chance: random.Random, number: int) -> Policy:
    return Policy(
        preflight=chance.random() < 0.5,
        negotiation_timeout_s=chance.choice((2.0, 10.0)),
        retry=RetryPolicy(chance.choice((1, 2, 4)), 0.5, 5.0),
        circuit_breaker=BreakerPolicy(failures=8, cool_down_s=5.0, give_up_s=60.0),
        waves=chance.choice(((), (1, Share(0.5), Share(1.0)))),
        max_failures=chance.choice((None, 0, 1, number)),
    )


def command(chance: random.Random) -> tuple[str, str | None]:
    return chance.choice(
        [
            ("pause", None),
            ("resume", None),
            ("in-flight", chance.choice(("1", "2"))),
            ("rate", "1/s"),
            ("max-failures", chance.choice(("0", "1", "2"))),
        ]
    )


def play(seed: int) -> tuple[Run, list[str]]:
    """Run a batch that a seed decides; return it, and where it was stuck, if it was."""
    chance, stuck = random.Random(seed), list[str]()
    number = chance.choice((12, 18, 30))
    uris = chance.choices(DESTINATIONS, weights=(4, 3, 1), k=number)
    plan = [replace(row, destination_uri=uri) for row, uri in zip(rows(number), uris, strict=True)]
    gateway = ObservedGateway(figures={"waiting": 0.0})
    commanding, calming_s = chance.random() < 0.5, chance.choice((10.0, 60.0))

    def seen(run: Run) -> int:
        return len(gateway.log) + len(gateway.look_ups) + len(run.journal.entries)

    async def meanwhile(run: Run) -> None:
        began = asyncio.get_running_loop().time()
        count, changed_at = -1, began
        while True:
            await asyncio.sleep(chance.choice((0.1, 1.0, 7.0)))
            now = asyncio.get_running_loop().time()
            is_early = now - began < calming_s
            if chance.random() < 0.3 and is_early and gateway.generation:
                gateway.lose()
            if commanding:
                await run.command(*(command(chance) if is_early else ("resume", None)))
            waiting = chance.choice((0, 2, 9, None))
            gateway.tell(None if waiting is None else {"waiting": float(waiting)})
            if seen(run) != count:
                count, changed_at = seen(run), now
            elif now - changed_at > STUCK_S:
                stuck.append(f"at {changed_at:.1f} s: {run.states()}")
                run.stop_signal.set(ExitCode.BUG, "stuck")
                return

    journal: FakeJournal | None = left_behind() if chance.random() < 0.3 else None
    if journal is not None:  # what is in doubt is not to be sent by the plan
        plan = [row for row in plan if row.n and row.interaction_id != "i8"]
    run = run_batch(
        plan,
        script=drawn_script(chance),
        gateway=gateway,
        journal=journal,
        limits=Limits(rate_per_s=chance.choice((None, 3.0)), in_flight=chance.choice((1, 2, 8))),
        rules=Rules(
            drawn_policy(chance, number),
            chance.choice((None, Dedupes(24 * 3600), Expires(12.0, 1.0))),
        ),
        destinations=drawn_limits(chance),
        observed=DESTINATIONS,
        meanwhile=meanwhile,
        longest_s=100_000.0,
    )
    return run, stuck


FINAL = {"transferred", "rejected", "failed", "skipped", "unknown"}


@pytest.mark.parametrize("seed", range(60))
def test_no_batch_is_ever_stuck(seed: int):
    run, stuck = play(seed)
    assert not stuck
    assert run.ending.halted in {None, ExitCode.STOPPED}, run.ending
    if run.ending.halted is None:
        assert set(run.states().values()) <= FINAL


CLOSED = DestinationLimits(pattern=ENTRY, bounds={"waiting": parse_bound("< 3")}, give_up_s=600.0)


def test_a_retry_for_a_full_destination_keeps_no_seat_from_others():
    gateway = ObservedGateway(figures={"waiting": 0.0})

    def script(frame: Frame) -> list[Answer]:
        if frame.body["destination_uri"] != ENTRY:
            return [CARRIED_OUT]
        gateway.tell({"waiting": 9.0})  # it fills while the first one is answered
        return [Answer("rate_limited")]

    plan = [
        replace(row, destination_uri=uri)
        for row, uri in zip(rows(4), (ENTRY, OPEN, OPEN, OPEN), strict=True)
    ]
    run = run_batch(
        plan,
        script=script,
        gateway=gateway,
        policy=replace(NO_PREFLIGHT, max_failures=0),
        destinations=DestinationTable((CLOSED,)),
        observed=[ENTRY],
    )
    times: dict[str, Any] = {frame.interaction_id: frame.at for frame in run.frames}
    assert all(times[each] < 30 for each in ("i1", "i2", "i3"))
    assert run.ending.halted is ExitCode.STOPPED
    assert "destination full" in str(run.ending.explanation)


def test_a_doubt_keeps_its_place_while_it_waits_for_a_seat():
    """Its telephone may ring: no other transfer goes there because a seat is taken elsewhere."""
    plan = [
        replace(row, destination_uri=uri)
        for row, uri in zip(rows(4), (ENTRY, QUEUE, ENTRY, QUEUE), strict=True)
    ]

    def script(frame: Frame) -> list[Answer]:
        if frame.body["destination_uri"] == ENTRY:
            return [SILENCE if frame.nth == 1 and frame.interaction_id == "i0" else CARRIED_OUT]
        return [Answer("rate_limited" if frame.nth < 4 else "transfer_initiated", after_s=1.0)]

    run = run_batch(
        plan,
        script=script,
        rules=Rules(replace(NO_PREFLIGHT, max_failures=0), Dedupes(24 * 3600)),
        destinations=DestinationTable((DestinationLimits(pattern=ENTRY, in_flight=1),)),
    )
    sent = [f.interaction_id for f in run.frames if f.body["destination_uri"] == ENTRY]
    assert sent == ["i0", "i0", "i2"]
    assert set(run.states().values()) == {"transferred"}
