"""Whatever a gateway does, and in whatever order: never twice, never lost, never misreported."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.core.manifest.model import Limits, Policy, RetryPolicy
from runner.core.transfer.doubt_evidence import Dedupes, Expires, Promise
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.states import FINAL, State
from runner.engine.rules import Rules
from runner.testing.gateway import Answer, FakeGateway, Frame
from runner.testing.loop_clock import WALL_S
from tests.core.pacing.measures import most_in_a_second
from tests.engine.builders import HD, NARROW, rows
from tests.engine.harness import Run, run_batch

NO = ["transfer_rejected", "destination_invalid", "rate_limited", "codec_unsupported"]
YES = ["transfer_initiated", "codec_negotiated"]


class UnrulyGateway(FakeGateway):
    """Tells the truth, but late, twice, out of order or not at all; loses sessions.

    It keeps its promises: an id is carried out once, an expired message never. What it answered
    first to an id holds for its repeats.
    """

    def __init__(self, seed: int, promise: Promise, trouble: float) -> None:
        super().__init__()
        self._chance = random.Random(seed)
        self._trouble = trouble
        self._promise = promise
        self._fates: dict[str, str] = {}
        self.script = self._answers

    def _answers(self, frame: Frame) -> list[Answer]:
        chance = self._chance
        repeated = frame.message_id in self._fates
        fate = self._fates.setdefault(
            frame.message_id,
            chance.choice(YES + NO) if chance.random() < self._trouble else chance.choice(YES),
        )
        moves = fate in YES and not repeated
        if chance.random() < self._trouble / 4:
            self._lose_soon()
        delays = [chance.uniform(0.005, 0.3)]
        if chance.random() < self._trouble:
            delays = [chance.uniform(0.005, 9) for _ in range(chance.randrange(4))]
        if not delays:
            return [Answer(effect=moves)]
        return [Answer(fate, delay, effect=moves) for delay in delays]

    def _lose_soon(self) -> None:
        asyncio.get_running_loop().call_later(
            self._chance.uniform(0, 0.2), lambda: self.lose() if self.generation else None
        )

    async def look_up(self, interaction_id: str) -> Interaction:
        """Tell the truth, and the time."""
        seen = await super().look_up(interaction_id)
        return replace(seen, date_s=WALL_S + self.look_ups[-1][0])


def judged(run: Run, promise: Promise, limits: Limits) -> None:
    """Hold the journal and the figures against the gateway's own ledger."""
    assert run.ending.halted is None, run.ending
    moved = Counter(frame.interaction_id for frame in run.gateway.moves)
    assert not [i for i, times in moved.items() if times > 1], "moved twice"
    for row in run.journal.rows:
        state, effects = run.journal.state(row.key), moved[row.interaction_id]
        assert state in FINAL | {State.UNKNOWN}
        if state is State.TRANSFERRED:
            assert effects == 1, f"{row.key} was not moved"
        if state in {State.REJECTED, State.FAILED}:
            assert effects == 0, f"{row.key} was moved"
    ids = Counter(f.message_id for f in run.frames)
    assert isinstance(promise, Dedupes) or max(ids.values()) == 1
    assert limits.rate_per_s is not None
    assert most_in_a_second(run.times) <= limits.rate_per_s + limits.burst
    assert max(p.in_flight for p in run.observer.progress) <= limits.in_flight
    told = Counter({o: n for o, n in run.observer.progress[-1].outcomes.items() if n})
    states = Counter(run.states().values())
    in_doubt = states.pop("unknown", 0)
    assert told == states + Counter({"in_doubt": in_doubt})


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
@given(
    st.integers(0, 2**32),
    st.sampled_from([None, Expires(12.0, 1.0), Dedupes(3600.0)]),
    st.sampled_from([0.05, 0.3, 0.7]),
    st.booleans(),
)
def test_the_gateways_ledger_agrees_with_the_journal(
    seed: int,
    promise: Promise,
    trouble: float,
    preflight: bool,  # noqa: FBT001 - drawn
):
    policy = Policy(preflight=preflight, negotiation_timeout_s=4, retry=RetryPolicy(3, 0.5, 2))
    limits = Limits(rate_per_s=40, burst=3, in_flight=8)
    run = run_batch(
        rows(25, media=(HD, NARROW)),
        gateway=UnrulyGateway(seed, promise, trouble),
        limits=limits,
        rules=Rules(policy, promise),
    )
    judged(run, promise, limits)
