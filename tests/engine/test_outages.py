"""An outage of the REST side fails no transfer: they wait, and the run ends if it lasts too long."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from runner.core.errors import GatewayError, LookUpFailed, LookUpForbidden, LookUpUnanswered
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits, Policy
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.states import State
from runner.ports import Note
from runner.testing.gateway import CARRIED_OUT, Answer, FakeGateway
from runner.testing.journal import FakeJournal
from tests.engine.builders import NO_PREFLIGHT, left_behind, past, rows
from tests.engine.harness import Run, run_batch

BREAKER = BreakerPolicy(failures=8, cool_down_s=10, give_up_s=60)
PREFLIGHT = replace(NO_PREFLIGHT, preflight=True, circuit_breaker=BREAKER)
NOTHING_ELSE = Policy(preflight=False, retry=NO_PREFLIGHT.retry, circuit_breaker=BREAKER)


@dataclass
class RestOutage(FakeGateway):
    """Answers no look-up from one second to another: of anyone, or of one interaction."""

    begins_s: float = 0.0
    ends_s: float = math.inf
    only: str | None = None
    takes_s: float = 0.8
    TRIES: ClassVar = 4  # as an adapter makes them, over the better part of a second

    async def look_up(self, interaction_id: str) -> Interaction:
        now = asyncio.get_running_loop().time()
        if self.begins_s <= now < self.ends_s and self.only in {None, interaction_id}:
            await asyncio.sleep(self.takes_s)
            self.look_ups.append((asyncio.get_running_loop().time(), interaction_id))
            error = LookUpUnanswered(environment="t", url="https://x", what="503", check="wait")
            error.tries = self.TRIES
            raise error
        return await super().look_up(interaction_id)


def states(run: Run) -> set[str]:
    return set(run.states().values())


@pytest.mark.parametrize("transfers", [1, 40])
def test_an_outage_of_twenty_seconds_fails_nobody(transfers: int):
    run = run_batch(
        transfers,
        gateway=RestOutage(begins_s=0.5, ends_s=20.5),
        policy=PREFLIGHT,
        limits=Limits(rate_per_s=20),
    )
    assert run.ending.halted is None
    assert states(run) == {"transferred"}
    assert len(run.frames) == transfers


def test_an_outage_that_lasts_ends_the_run_and_fails_nobody():
    """Half of them were sent before; what waits is left for the next run."""
    run = run_batch(
        40,
        gateway=RestOutage(begins_s=1.0),
        policy=PREFLIGHT,
        limits=Limits(rate_per_s=20, in_flight=8),
    )
    assert states(run) == {"transferred", "ready"}
    assert run.ending.halted is ExitCode.STOPPED
    assert run.ending.explanation == (
        "the gateway's REST side has answered no look-up for 60 s"
        " (policy.circuit_breaker.give_up); see to the gateway, then run apply again"
    )
    assert 60 < run.took_s < 70


def test_a_rest_side_that_never_answered_is_unreachable_and_nothing_was_sent():
    run = run_batch(5, gateway=RestOutage(), policy=PREFLIGHT)
    assert run.frames == []
    assert states(run) == {"ready"}
    assert run.ending.halted is ExitCode.UNREACHABLE


def test_while_the_circuit_is_open_a_single_look_up_probes():
    gateway = RestOutage(begins_s=0.5, ends_s=45.0)
    run = run_batch(200, gateway=gateway, policy=PREFLIGHT, limits=Limits(rate_per_s=50))
    assert states(run) == {"transferred"}
    probes = [at for at, _ in gateway.look_ups if 10 < at < 45]
    assert 2 <= len(probes) <= 5
    assert Note.LOOK_UPS_HELD in [event for event, _ in run.observer.warnings]
    assert any(
        told.waiting_for == "look-ups to be answered again (open circuit)"
        for told in run.observer.progress
    )


def test_a_refusal_about_one_row_remains_that_rows():
    refused = LookUpFailed(environment="t", url="https://x", what="400", check="check the id")
    run = run_batch(3, gateway=FakeGateway(interactions={"i1": refused}), policy=PREFLIGHT)
    assert run.states() == {"k0": "transferred", "k1": "failed", "k2": "transferred"}
    assert run.ending.halted is None


def many_left_behind(number: int) -> FakeJournal:
    """Return a journal in which an earlier run left so many in doubt, `i0` and so on."""
    (one,) = left_behind(listed=False).left
    return FakeJournal(
        left=[
            replace(
                one,
                standing=replace(one.standing, row=row, transfer_id=40 + n, lineage=40 + n),
                message_ids=frozenset({f"old{n}"}),
            )
            for n, row in enumerate(rows(number))
        ]
    )


def test_an_outage_is_waited_out_by_what_earlier_runs_left():
    """Each look-up takes as long as four tries that are never answered."""
    policy = replace(PREFLIGHT, circuit_breaker=replace(BREAKER, give_up_s=6))
    run = run_batch(0, gateway=RestOutage(takes_s=46), journal=many_left_behind(50), policy=policy)
    assert run.ending.explanation == (
        "the gateway's REST side has answered no look-up for 6 s"
        " (policy.circuit_breaker.give_up); see to the gateway, then run apply again"
    )
    assert len(run.noted("stays in doubt")) == 50
    assert run.took_s < 46 + 6 + 2


def test_what_earlier_runs_left_is_looked_up_once_an_outage_is_over():
    gateway = RestOutage(takes_s=1, ends_s=15)
    run = run_batch(0, gateway=gateway, journal=many_left_behind(50), policy=PREFLIGHT)
    assert run.ending.halted is None
    assert len({name for at, name in gateway.look_ups if at > 15}) > 30
    assert 15 < run.took_s < 30


def test_without_preflight_what_earlier_runs_left_holds_nobody_up_for_long():
    gateway = RestOutage(takes_s=46)
    journal = many_left_behind(50)
    run = run_batch(rows(60)[50:], gateway=gateway, journal=journal, policy=NOTHING_ELSE)
    assert run.ending.halted is None
    assert len(run.frames) == 10
    assert len(run.noted("stays in doubt")) == 50
    assert len(gateway.look_ups) == 16
    assert run.took_s < 50


FORBIDDEN = LookUpForbidden(environment="t", url="https://x", what="403", check="the scope")


@pytest.mark.parametrize("in_flight", [1, 64])
def test_a_403_is_about_one_row_once_others_are_shown(in_flight: int):
    """It is the first to be looked up, and would stop each later run."""
    gateway = FakeGateway(interactions={"i0": FORBIDDEN})
    run = run_batch(5, gateway=gateway, policy=PREFLIGHT, limits=Limits(in_flight=in_flight))
    assert run.ending.halted is None
    assert run.states() == {"k0": "rejected"} | {f"k{n}": "transferred" for n in range(1, 5)}
    assert run.reason() == "the interaction may not be seen by this client"
    assert [e.reason_code for e in run.journal.entries if e.row.key == "k0"] == [
        "interaction_hidden"
    ]


@pytest.mark.parametrize("transfers", [1, 40])
def test_where_every_look_up_is_forbidden_the_run_ends_and_rejects_nobody(transfers: int):
    gateway = FakeGateway(interactions={f"i{n}": FORBIDDEN for n in range(transfers)})
    run = run_batch(transfers, gateway=gateway, policy=PREFLIGHT, limits=Limits(in_flight=8))
    assert run.frames == []
    assert states(run) == {"ready"}
    assert isinstance(run.ending.error, GatewayError)
    assert run.took_s < 5


def test_without_preflight_a_403_holds_nobody_up():
    gateway = FakeGateway(interactions={"i0": FORBIDDEN})
    answers = (Answer("rate_limited", retry_after_s=1), CARRIED_OUT)
    run = run_batch(2, *answers, gateway=gateway, policy=NOTHING_ELSE)
    assert states(run) == {"transferred"}


def test_a_row_whose_look_ups_alone_go_unanswered_is_that_rows_failure_in_the_end():
    """The others are answered all the while, for longer than an outage would be waited out."""
    run = run_batch(
        200,
        gateway=RestOutage(only="i3"),
        policy=replace(PREFLIGHT, circuit_breaker=replace(BREAKER, failures=100)),
        limits=Limits(rate_per_s=2),
    )
    assert run.ending.halted is None
    assert run.states().pop("k3") == "failed"
    assert sorted(run.states().values()).count("transferred") == 199


def test_without_preflight_an_outage_of_look_ups_holds_nothing_up():
    run = run_batch(
        20,
        Answer("rate_limited", retry_after_s=1),
        CARRIED_OUT,
        gateway=RestOutage(),
        policy=NOTHING_ELSE,
    )
    assert states(run) == {"transferred"}
    assert run.ending.halted is None


def test_what_an_earlier_run_sent_waits_for_its_look_up_also_without_preflight():
    (row,) = rows(1, lineage=40)
    run = run_batch(
        [row],
        gateway=RestOutage(ends_s=15.0),
        journal=FakeJournal(past=past("old", State.FAILED, row)),
        policy=NOTHING_ELSE,
    )
    assert run.states() == {"k0": "transferred"}
    assert run.times[0] > 15
