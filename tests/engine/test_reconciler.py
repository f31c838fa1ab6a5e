"""Doubts: cleared up as far as the gateway's promise allows, and never at another's expense."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from runner.core.errors import GatewayError, LookUpFailed, LookUpForbidden
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Baseline, Dedupes, Expires, Promise
from runner.core.transfer.lookup_verdict import Arrival, Interaction
from runner.core.transfer.states import State
from runner.engine.rules import Rules
from runner.testing.gateway import BEFORE, CARRIED_OUT, SILENCE, Answer, FakeGateway, Frame
from runner.testing.loop_clock import WALL_S
from tests.engine.builders import HERE, NO_PREFLIGHT, DatedGateway, left_behind, rows
from tests.engine.harness import Run, run_batch

EXPIRES = Expires(30.0, 2.0)
DEDUPES = Dedupes(3600.0)


def error(kind: type[GatewayError]) -> GatewayError:
    return kind(environment="t", url="https://x", what="503", check="wait")


def carried(promise: Promise, *answers: Answer | str, **more: object) -> Run:
    if isinstance(promise, Dedupes):
        more.setdefault("gateway", DatedGateway())
    return run_batch(1, *answers, rules=Rules(NO_PREFLIGHT, promise), **more)  # type: ignore[arg-type]


# Nothing promised


class LaggingGateway(DatedGateway):
    """After the frame it shows once where the interaction was before history moved it elsewhere."""

    async def look_up(self, interaction_id: str) -> Interaction:
        """Look up, once too late."""
        seen = await super().look_up(interaction_id)
        lags = len(self.look_ups) == len(self.frames) + 1 == 2
        return replace(seen, destination_uri=HERE) if lags else seen


def test_an_effect_where_history_has_been_before_is_believed_at_a_second_look():
    (row,) = rows(1, was_elsewhere=True)
    rules = Rules(NO_PREFLIGHT, EXPIRES)
    run = run_batch([row], SILENCE, CARRIED_OUT, rules=rules, gateway=LaggingGateway())
    assert (len(run.frames), run.states()) == (2, {"k0": "transferred"})
    assert len(run.gateway.moves) == 1


def test_without_a_promise_a_doubt_is_looked_up_and_never_sent_again():
    run = carried(None, SILENCE)
    assert (len(run.frames), run.states()) == (1, {"k0": "unknown"})
    assert run.gateway.look_ups
    (note,) = run.noted("stays in doubt")
    assert note["key"] == "k0"


def test_an_effect_that_a_look_up_shows_settles_it():
    run = carried(None, Answer("pending", effect=True))
    assert run.states() == {"k0": "transferred"}
    assert run.journal.events("k0") == ["intent", "lost", "seen"]
    assert run.reason() == "carried out: seen by its id"


def test_an_effect_that_shows_late_is_seen_by_a_second_look():
    policy = Policy(preflight=True, negotiation_timeout_s=1)
    gateway = FakeGateway(script=lambda _: [])

    async def moved(run: Run) -> None:
        await asyncio.sleep(2)
        gateway.moves.append(run.frames[0])

    run = run_batch(1, gateway=gateway, policy=policy, meanwhile=moved)
    assert run.states() == {"k0": "transferred"}


# Expires


def test_a_message_that_expired_unseen_is_sent_anew_after_the_fence():
    run = carried(EXPIRES, SILENCE, CARRIED_OUT, gateway=DatedGateway())
    assert run.journal.events("k0") == ["intent", "lost", "cleared", "intent", "accepted"]
    first, second = run.frames
    assert second.at - first.at > EXPIRES.fence_s
    assert first.message_id != second.message_id
    assert all(e.intent.baseline for e in run.journal.entries if e.intent is not None)


def test_a_gateway_whose_clock_is_behind_is_waited_for():
    gateway = DatedGateway()
    gateway.ahead_s = -25.0
    run = carried(EXPIRES, SILENCE, CARRIED_OUT, gateway=gateway)
    first, second = run.frames
    assert second.at - first.at > EXPIRES.fence_s + 25


def test_a_gateway_whose_clock_is_ahead_saves_no_local_time():
    gateway = DatedGateway()
    gateway.ahead_s = 3600.0
    run = carried(EXPIRES, SILENCE, CARRIED_OUT, gateway=gateway)
    first, second = run.frames
    assert second.at - first.at > EXPIRES.fence_s


class SlowGateway(DatedGateway):
    """It reads an interaction when asked; the first answer after a frame comes late, with that Date."""

    slow_s = 25.0

    async def look_up(self, interaction_id: str) -> Interaction:
        """Look up at once, and answer late."""
        seen = await super().look_up(interaction_id)
        seen = replace(seen, last_transfer_id=None)
        if not self.frames or not self.slow_s:
            return seen
        slow_s, self.slow_s = self.slow_s, 0.0
        await asyncio.sleep(slow_s)
        assert seen.date_s is not None
        return replace(seen, date_s=seen.date_s + slow_s)


def test_a_look_up_that_began_before_the_fence_clears_nothing():
    """The message is carried out at 29 s; a look-up that began at 10 s is answered past the fence."""
    gateway = SlowGateway()

    async def moved(run: Run) -> None:
        await asyncio.sleep(29)
        gateway.moves.append(run.frames[0])

    run = carried(EXPIRES, SILENCE, CARRIED_OUT, gateway=gateway, meanwhile=moved)
    assert run.journal.events("k0") == ["intent", "lost", "seen"]
    assert len(run.frames) == 1


def test_an_effect_within_the_fence_is_never_repeated():
    run = carried(EXPIRES, Answer("pending", effect=True), gateway=DatedGateway())
    assert (len(run.frames), run.states()) == (1, {"k0": "transferred"})


def test_without_the_gateways_date_the_fence_cannot_be_judged():
    run = carried(EXPIRES, SILENCE, gateway=FakeGateway(has_date=False))
    assert (len(run.frames), run.states()) == (1, {"k0": "unknown"})
    assert "Date" in run.noted("stays in doubt")[0]["reason"]


def test_a_gateway_whose_time_stands_still_is_not_waited_for_for_ever():
    """A cache on the way, which answers with the Date of its copy."""

    class Cached(DatedGateway):
        async def look_up(self, interaction_id: str) -> Interaction:
            seen = await super().look_up(interaction_id)
            return replace(seen, date_s=WALL_S)

    run = carried(EXPIRES, SILENCE, gateway=Cached())
    assert (len(run.frames), run.states()) == (1, {"k0": "unknown"})
    assert "the gateway's time stands still" in run.noted("stays in doubt")[0]["reason"]


def test_somebody_else_acted():
    gateway = DatedGateway()

    def script(_frame: Frame) -> list[Answer]:
        gateway.interactions["i0"] = Interaction(
            "i0", found=True, state="active", destination_uri="sip:x@y", last_transfer_id="foreign"
        )
        return []

    run = carried(EXPIRES, gateway=gateway, script=script)
    assert (len(run.frames), run.states()) == (1, {"k0": "unknown"})
    assert "somebody else acted" in run.noted("stays in doubt")[0]["reason"]


def test_waiting_for_a_fence_holds_nobody_else_back():
    run = run_batch(
        100,
        script=lambda f: [] if f.interaction_id == "i0" and f.nth == 1 else [CARRIED_OUT],
        rules=Rules(NO_PREFLIGHT, EXPIRES),
        gateway=DatedGateway(),
        limits=Limits(in_flight=2),
    )
    assert set(run.states().values()) == {"transferred"}
    assert run.times[-2] < 30 < run.times[-1]


# A move that shows before it is done


class PendingGateway(DatedGateway):
    """Its look-ups tell of a move that is under way, and after `looks` of them that it is done."""

    looks = 2
    ends = True

    async def look_up(self, interaction_id: str) -> Interaction:
        """Look up, with what has arrived."""
        seen = await super().look_up(interaction_id)
        if not self.frames:
            return replace(seen, destination_uri=BEFORE, last_transfer_id=None)
        is_done = self.ends and len(self.look_ups) > self.looks
        arrival = Arrival("t", HERE if is_done else None, is_done)
        return replace(seen, destination_uri=BEFORE, last_transfer_id=None, arrivals=(arrival,))


NEEDS_SIGHT = Rules(NO_PREFLIGHT, needs_look_up=True)


def test_a_move_under_way_is_looked_at_again():
    run = run_batch(1, SILENCE, rules=NEEDS_SIGHT, gateway=PendingGateway())
    assert (len(run.frames), run.states()) == (1, {"k0": "transferred"})


def test_a_move_under_way_is_looked_at_until_the_outcomes_time_is_over():
    """The destination rings for half a minute."""
    gateway = PendingGateway()
    gateway.looks = 7
    run = run_batch(1, SILENCE, rules=NEEDS_SIGHT, gateway=gateway)
    assert run.states() == {"k0": "transferred"}
    assert 30 < run.took_s < 45
    gateway = PendingGateway()
    gateway.ends = False
    run = run_batch(1, SILENCE, rules=NEEDS_SIGHT, gateway=gateway)
    assert 60 < run.took_s < 66


def test_a_stop_ends_the_looks_at_a_move_under_way():
    gateway = PendingGateway()
    gateway.ends = False

    async def stop(run: Run) -> None:
        await asyncio.sleep(20)
        run.stop_signal.set(ExitCode.TERMINATED, "stopped by SIGTERM")

    run = run_batch(1, SILENCE, rules=NEEDS_SIGHT, gateway=gateway, meanwhile=stop)
    assert run.states() == {"k0": "unknown"}
    assert run.took_s < 21


def test_a_delivery_that_outlives_its_session_is_waited_for():
    """A command by REST: the channel that only observes is lost, and the answer still comes."""
    answers = {True: ("rejected", False), False: ("unknown", True)}
    for outlives, (state, is_looked_up) in answers.items():
        gateway = FakeGateway()

        async def lose(_run: Run, gateway: FakeGateway = gateway) -> None:
            await asyncio.sleep(1)
            gateway.lose(1001, "", back_after_s=0.5)

        rules = Rules(NO_PREFLIGHT, outlives_session=outlives)
        answer = Answer("transfer_rejected", after_s=3.0)
        run = run_batch(1, answer, rules=rules, gateway=gateway, meanwhile=lose)
        assert run.states() == {"k0": state}
        assert bool(run.gateway.look_ups) == is_looked_up


def test_a_move_that_stays_under_way_stays_in_doubt_whatever_is_promised():
    for promise in (None, EXPIRES):
        gateway = PendingGateway()
        gateway.ends = False
        rules = replace(NEEDS_SIGHT, promise=promise)
        run = run_batch(1, SILENCE, CARRIED_OUT, rules=rules, gateway=gateway)
        assert (len(run.frames), run.states()) == (1, {"k0": "unknown"})
        assert "under way" in run.noted("stays in doubt")[0]["reason"]


def test_a_move_under_way_that_is_done_within_the_fence_is_not_repeated():
    rules = replace(NEEDS_SIGHT, promise=EXPIRES)
    run = run_batch(1, SILENCE, CARRIED_OUT, rules=rules, gateway=PendingGateway())
    assert (len(run.frames), run.states()) == (1, {"k0": "transferred"})


def test_what_an_earlier_run_left_under_way_is_looked_at_again():
    gateway = PendingGateway()
    gateway.log.append(("frame", None))
    gateway.looks = 1
    baseline = Baseline("active", BEFORE, None)
    journal = left_behind(baseline=baseline, listed=False)
    run = run_batch(0, gateway=gateway, journal=journal, rules=Rules(NO_PREFLIGHT))
    assert [entry.state for entry in run.journal.entries] == [State.TRANSFERRED]


# Dedupes


def test_a_doubt_is_repeated_under_the_same_id_and_bytes():
    run = carried(DEDUPES, SILENCE, CARRIED_OUT)
    assert run.journal.events("k0") == ["intent", "lost", "repeated", "accepted"]
    first, second = run.frames
    assert first.text == second.text


def test_too_fast_for_a_repeat_says_nothing_about_the_first():
    run = carried(DEDUPES, SILENCE, "rate_limited", CARRIED_OUT)
    assert run.states() == {"k0": "transferred"}
    assert len({f.text for f in run.frames}) == 1
    assert "limited" in run.journal.events("k0")


def test_a_definite_no_to_a_repeat_is_the_answer_to_the_first():
    run = carried(DEDUPES, SILENCE, "destination_invalid")
    assert run.states() == {"k0": "rejected"}


def test_the_ladder_goes_on_with_a_new_id_after_a_repeat():
    plan = [replace(rows(1)[0], media=rows(1)[0].media * 2)]
    answers = (SILENCE, "codec_unsupported", CARRIED_OUT)
    run = run_batch(plan, *answers, rules=Rules(NO_PREFLIGHT, DEDUPES), gateway=DatedGateway())
    assert [f.message_id for f in run.frames] == ["m1", "m1", "m2"]
    assert run.states() == {"k0": "transferred"}


def test_repeats_back_off_and_end():
    policy = Policy(preflight=False, negotiation_timeout_s=1, retry=RetryPolicy(4, 1, 8))
    run = run_batch(1, "pending", rules=Rules(policy, DEDUPES), gateway=DatedGateway())
    assert 10 < len(run.frames) <= 22
    assert len({f.text for f in run.frames}) == 1
    assert "without an answer" in run.noted("stays in doubt")[0]["reason"]
    assert all(b - a > 0.9 for a, b in pairwise(run.times[2:]))


def test_repeats_of_many_doubts_do_not_hold_up_the_end():
    """Each repeat is charged to the budget, whose delays grow with every one of them."""
    policy = Policy(
        preflight=False,
        negotiation_timeout_s=1,
        retry=RetryPolicy(4, 1, 8),
        circuit_breaker=BreakerPolicy(give_up_s=60.0),
    )
    run = run_batch(40, "pending", rules=Rules(policy, DEDUPES), gateway=DatedGateway())
    assert set(run.states().values()) == {"unknown"}
    assert "would hold up" in run.noted("stays in doubt")[-1]["reason"]
    assert run.took_s < 240.0  # of the virtual clock; hours without the bound


def test_progress_counts_a_doubt_that_is_repeated_once():
    run = carried(DEDUPES, SILENCE, SILENCE, CARRIED_OUT)
    assert run.observer.progress[-1].outcomes == {"transferred": 1}


# What earlier runs left


def test_what_earlier_runs_left_is_looked_up_before_anything_is_sent():
    run = run_batch(1, journal=left_behind())
    assert run.gateway.look_ups[0][1] == "i8"
    assert run.gateway.look_ups[0][0] <= run.times[0]
    assert run.noted("stays in doubt")


def test_what_the_look_up_shows_settles_it():
    gateway = FakeGateway(
        interactions={"i8": Interaction("i8", found=True, state="active", last_transfer_id="old")}
    )
    run = run_batch(1, journal=left_behind(), gateway=gateway)
    assert run.journal.events("k8") == ["seen"]
    assert run.observer.progress[-1].outcomes == {"transferred": 1}


@pytest.mark.parametrize("listed", [True, False])
def test_what_is_not_listed_is_looked_up_and_not_resent(listed: bool):  # noqa: FBT001 - a case
    journal, rules = left_behind(listed=listed), Rules(NO_PREFLIGHT, DEDUPES)
    run = run_batch(1, journal=journal, rules=rules, gateway=DatedGateway())
    assert ["old" in f.text for f in run.frames].count(True) == listed


@pytest.mark.parametrize(
    ("age_s", "boot", "repeated"),
    [(60, "this boot", True), (3400, "this boot", False), (-5, "this boot", False),
     (60, "another", False)],
)  # fmt: skip
def test_a_repeat_needs_an_age_that_is_known_and_young(age_s: float, boot: str, repeated: bool):  # noqa: FBT001 - a case
    journal = left_behind(age_s=age_s, boot=boot)
    run = run_batch(0, journal=journal, rules=Rules(NO_PREFLIGHT, DEDUPES), gateway=DatedGateway())
    assert bool(run.frames) == repeated


def test_a_repeat_needs_the_gateways_time_too():
    """A virtual machine that was paused does not know that the id is forgotten by now."""
    gateway = DatedGateway()
    gateway.ahead_s = 3400.0
    for other in (FakeGateway(has_date=False), gateway):
        run = run_batch(0, journal=left_behind(), rules=Rules(NO_PREFLIGHT, DEDUPES), gateway=other)
        assert not run.frames
        assert run.noted("stays in doubt")


def test_a_look_up_that_fails_is_made_again_before_a_repeat_is_given_up():
    class Failing(DatedGateway):
        async def look_up(self, interaction_id: str) -> Interaction:
            seen = await super().look_up(interaction_id)
            if len(self.look_ups) < 4:
                raise error(LookUpFailed)
            return seen

    run = carried(DEDUPES, SILENCE, CARRIED_OUT, gateway=Failing())
    assert run.states() == {"k0": "transferred"}
    assert len(run.frames) == 2


@pytest.mark.parametrize("status", ["not_authorized", "format_invalid"])
def test_a_front_doors_refusal_of_a_repeat_is_no_answer_to_the_first(status: str):
    run = carried(DEDUPES, SILENCE, status, CARRIED_OUT)
    assert run.states() == {"k0": "transferred"}
    assert len({f.text for f in run.frames}) == 1


def test_after_a_restart_the_fence_starts_with_this_process():
    journal = left_behind(baseline=Baseline("active", BEFORE, None), age_s=300)
    run = run_batch(0, journal=journal, gateway=DatedGateway(), rules=Rules(NO_PREFLIGHT, EXPIRES))
    (frame,) = run.frames
    assert frame.at > EXPIRES.fence_s
    assert run.journal.events("k8") == ["cleared", "intent", "accepted"]


def test_look_ups_that_fail_leave_the_doubt_and_the_others_go_on():
    gateway = FakeGateway(interactions={"i8": error(LookUpFailed)})
    run = run_batch(3, journal=left_behind(), gateway=gateway)
    assert run.noted("stays in doubt")[0]["reason"] == "the look-up failed: 503"
    assert set(run.states().values()) == {"transferred"}


@pytest.mark.parametrize("promise", [None, EXPIRES])
def test_a_doubt_that_is_hidden_stays_one_and_the_others_go_on(promise: Promise):
    gateway = DatedGateway(interactions={"i8": error(LookUpForbidden)})
    rules = Rules(replace(NO_PREFLIGHT, preflight=True), promise)
    run = run_batch(3, journal=left_behind(), gateway=gateway, rules=rules)
    (note,) = run.noted("stays in doubt")
    assert note["reason"] == "the interaction may not be seen by this client"
    assert set(run.states().values()) == {"transferred"}
    assert run.ending.halted is None
    assert run.took_s < 5


def test_look_ups_that_cannot_succeed_end_the_run_before_it_sends():
    gateway = FakeGateway(interactions={"i8": error(GatewayError)})
    run = run_batch(3, journal=left_behind(), gateway=gateway)
    assert run.frames == []
    assert isinstance(run.ending.error, GatewayError)
