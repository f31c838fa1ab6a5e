"""What an undo carries back, and where to (recovery, "Claims")."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.plan_decision import SENDS, Claim, decide
from runner.core.transfer.reasons import Code
from runner.core.transfer.reversal import Irreversible, way_back
from runner.core.transfer.states import HELD, State

HERE, BEFORE, ELSEWHERE = "genesys://queue/here", "genesys://queue/before", "sip:x@example.net"
RUN = "run-1"


def claim(n: int, state: State = State.TRANSFERRED, destination_uri: str = HERE) -> Claim:
    return Claim(n, n, f"run-{n}", "night", "k", destination_uri, state)


@pytest.mark.parametrize(
    ("claims", "origins", "way"),
    [
        ([claim(1)], [BEFORE], BEFORE),
        ([claim(1)], [HERE, BEFORE], BEFORE),  # looked up again after its effect
        ([claim(1)], [ELSEWHERE, BEFORE], ELSEWHERE),  # somebody moved it between two deliveries
        ([claim(0, destination_uri=ELSEWHERE), claim(1)], [BEFORE], BEFORE),
        ([claim(1)], [], Irreversible.NO_BASELINE),
        ([claim(1)], [HERE], Irreversible.NO_BASELINE),
        ([claim(1)], ["mailto:x@example.net"], Irreversible.NOT_A_DESTINATION),
        ([claim(1), claim(2, destination_uri=BEFORE)], [BEFORE], Irreversible.MOVED_ON),
        ([claim(1), claim(2)], [BEFORE], Irreversible.MOVED_ON),
        (
            [claim(1), replace(claim(2, destination_uri=BEFORE), reverts=RUN)],
            [BEFORE],
            Irreversible.CARRIED_BACK,
        ),
        (
            [claim(1), replace(claim(2, State.SKIPPED, BEFORE), code=Code.INTERACTION_ENDED)],
            [BEFORE],
            Irreversible.ENDED,
        ),
        ([claim(1), replace(claim(2, State.SKIPPED), code=Code.MOVED_ON)], [BEFORE], BEFORE),
        ([claim(1), claim(2, State.UNKNOWN, BEFORE)], [BEFORE], Irreversible.IN_DOUBT),
        ([claim(1, State.UNKNOWN)], [BEFORE], Irreversible.IN_DOUBT),
        ([claim(1, State.REJECTED), claim(2, State.UNKNOWN)], [BEFORE], None),
        ([claim(1, State.REJECTED)], [BEFORE], None),
        ([claim(2)], [BEFORE], None),
        ([], [], None),
    ],
)
def test_what_is_carried_back(
    claims: list[Claim], origins: list[str], way: str | Irreversible | None
):
    assert way_back(claims, RUN, origins) == way


def test_every_reason_to_stay_has_words():
    assert len({why.words for why in Irreversible}) == len(Irreversible)


@st.composite
def histories(draw: st.DrawFn) -> list[Claim]:
    states = draw(st.lists(st.sampled_from(sorted(State)), max_size=5))
    return [
        replace(
            claim(n, state, draw(st.sampled_from([HERE, BEFORE, ELSEWHERE]))),
            reverts=draw(st.sampled_from([None, *(f"run-{k}" for k in range(1, n))])),
        )
        for n, state in enumerate(states, 1)
    ]


@given(histories(), st.lists(st.sampled_from([HERE, BEFORE, ELSEWHERE]), max_size=3))
def test_the_plan_sends_what_an_undo_lists_and_then_keeps_it_undone(
    claims: list[Claim], origins: list[str]
):
    way = way_back(claims, RUN, origins)
    if way is None or isinstance(way, Irreversible):
        return
    assert not any(c.state in HELD for c in claims)
    assert decide(claims, way, again=False, reverts=RUN).action in SENDS
    moved_to = next(c.destination_uri for c in reversed(claims) if c.run_id == RUN)
    undone = [*claims, replace(claim(99, destination_uri=way), reverts=RUN)]
    for again in (False, True):
        assert decide(undone, way, again=again, reverts=RUN).action not in SENDS
    assert decide(undone, moved_to, again=False).action not in SENDS
    assert way_back(undone, RUN, origins) is Irreversible.CARRIED_BACK
