"""What a run means to do with a row, by the history of its interaction (recovery, "Claims")."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.plan_decision import (
    SENDS,
    Action,
    Claim,
    Decision,
    decide,
    not_moved_by,
)
from runner.core.transfer.reasons import Code, Earlier
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import HELD, State

HERE, THERE, ELSEWHERE = "genesys://queue/here", "genesys://queue/there", "sip:x@example.net"


def claim(
    transfer_id: int,
    state: State,
    destination_uri: str = HERE,
    lineage: int | None = None,
    code: str | None = None,
) -> Claim:
    run_id, lineage = f"run-{transfer_id}", lineage or transfer_id
    return Claim(transfer_id, lineage, run_id, "night", "k7", destination_uri, state, code)


@st.composite
def histories(draw: st.DrawFn) -> list[Claim]:
    """Draw an interaction's history: any states, but one that is held at the most, the last."""
    settled = st.sampled_from(sorted(set(State) - HELD))
    places = st.sampled_from([HERE, THERE, ELSEWHERE])
    past = draw(st.lists(st.tuples(settled, places), max_size=6))
    if draw(st.booleans()):
        past.append((draw(st.sampled_from(sorted(HELD))), draw(places)))
    return [claim(n, state, place) for n, (state, place) in enumerate(past, 1)]


PLACES = st.sampled_from([HERE, THERE, ELSEWHERE])


def test_an_interaction_without_history_is_sent():
    assert decide([], HERE, again=False) == Decision(Action.SEND)


def test_carried_out_to_the_same_destination_is_unchanged_and_names_the_run():
    assert decide([claim(4, State.TRANSFERRED)], HERE, again=False) == Decision(
        Action.UNCHANGED,
        "transferred by run run-4 (batch night, key k7)",
        4,
        code=Code.TRANSFERRED_BEFORE,
        earlier=Earlier("run-4", "night", "k7"),
    )


def test_carried_out_to_another_destination_is_a_new_transfer():
    assert decide([claim(4, State.TRANSFERRED, THERE)], HERE, again=False) == Decision(
        Action.CHANGED
    )


def test_moved_away_and_back_is_sent_as_changed():
    """The last that was carried out counts, not any."""
    past = [claim(1, State.TRANSFERRED, HERE), claim(2, State.TRANSFERRED, THERE)]
    assert decide(past, HERE, again=False).action is Action.CHANGED
    assert decide(past, THERE, again=False).action is Action.UNCHANGED


def test_a_doubt_is_named():
    verdict = decide([claim(9, State.UNKNOWN, THERE)], HERE, again=True)
    assert verdict == Decision(
        Action.IN_DOUBT,
        "in doubt since run run-9 (batch night, key k7)",
        9,
        code=Code.HELD,
        earlier=Earlier("run-9", "night", "k7"),
    )


def test_what_failed_is_taken_up_and_its_deliveries_are_remembered():
    past = [claim(3, State.FAILED), claim(5, State.REJECTED, lineage=3)]
    assert decide(past, HERE, again=False) == Decision(Action.SEND, lineage=3, failed_as="")


@pytest.mark.parametrize("state", [State.REJECTED, State.FAILED])
def test_what_failed_to_the_same_destination_is_known_by_its_code(state: State):
    past = [claim(3, state, code="destination_unreachable")]
    assert decide(past, HERE, again=False).failed_as == "destination_unreachable"
    assert decide(past, THERE, again=False).failed_as is None


def test_what_the_run_after_a_failure_had_no_turn_for_has_failed_before_all_the_same():
    past = [claim(3, State.REJECTED, code="rate_limited"), claim(5, State.READY, lineage=3)]
    assert decide(past, HERE, again=False).failed_as == "rate_limited"


def test_what_was_skipped_or_moved_since_has_not_failed_before():
    failed = claim(1, State.REJECTED, code="transfer_rejected")
    skipped = claim(2, State.SKIPPED, lineage=1, code=Code.ALREADY_THERE)
    assert decide([failed, skipped], HERE, again=False).failed_as is None
    moved = claim(2, State.TRANSFERRED, THERE)
    assert decide([failed, moved], HERE, again=False).failed_as is None


def test_deliveries_to_another_destination_are_no_part_of_the_lineage():
    """Their effect would be another."""
    assert decide([claim(3, State.FAILED, THERE)], HERE, again=False) == Decision(Action.SEND)


def test_deliveries_from_before_a_move_are_no_part_of_the_lineage():
    past = [claim(1, State.REJECTED, HERE), claim(2, State.TRANSFERRED, THERE)]
    assert decide(past, HERE, again=False) == Decision(Action.CHANGED)


@pytest.mark.parametrize("code", [None, *(code for code in Code if code != Code.INTERACTION_ENDED)])
def test_a_skip_that_may_change_again_is_judged_anew(code: str | None):
    past = [claim(6, State.SKIPPED, code=code)]
    assert decide(past, HERE, again=False) == Decision(Action.SEND, None, None, 6)


def test_what_had_ended_stays_skipped_unless_asked_again():
    past = [claim(6, State.SKIPPED, code=Code.INTERACTION_ENDED)]
    assert decide(past, HERE, again=False) == Decision(
        Action.UNCHANGED,
        "skipped by run run-6; --again looks anew",
        6,
        code=Code.SKIPPED_BEFORE,
        earlier=Earlier("run-6", "night", "k7"),
    )
    assert decide(past, HERE, again=True) == Decision(Action.SEND, None, None, 6)
    assert decide(past, THERE, again=False).action is Action.SEND


def test_again_moves_what_was_carried_there_before_with_a_history_of_its_own():
    """The earlier effect must not be taken for the new one's."""
    assert decide([claim(4, State.TRANSFERRED)], HERE, again=True) == Decision(Action.SEND)


@given(histories(), PLACES, st.booleans())
def test_nothing_is_sent_while_a_claim_is_held(past: list[Claim], place: str, again: bool):  # noqa: FBT001 - drawn
    held = [c for c in past if c.state in HELD]
    verdict = decide(past, place, again=again)
    assert (verdict.action is Action.IN_DOUBT) == bool(held)
    if held:
        assert verdict.claim == held[0].transfer_id


@given(histories(), PLACES)
def test_unchanged_if_and_only_if_there_already_or_ended(past: list[Claim], place: str):
    verdict = decide(past, place, again=False)
    carried = [c for c in past if c.state is State.TRANSFERRED]
    if verdict.action is Action.UNCHANGED and carried and verdict.claim == carried[-1].transfer_id:
        assert carried[-1].destination_uri == place
    if carried and carried[-1].destination_uri == place and verdict.action is not Action.IN_DOUBT:
        assert verdict.action is Action.UNCHANGED
    if verdict.action is Action.CHANGED:
        assert carried
        assert carried[-1].destination_uri != place


@given(histories(), PLACES)
def test_again_sends_all_but_doubts(past: list[Claim], place: str):
    assert decide(past, place, again=True).action in SENDS | {Action.IN_DOUBT}


@given(histories(), PLACES, st.booleans())
def test_a_lineage_leads_to_the_same_destination_and_to_no_effect(
    past: list[Claim],
    place: str,
    again: bool,  # noqa: FBT001 - drawn
):
    verdict = decide(past, place, again=again)
    if verdict.lineage is not None:
        of = [c for c in past if c.lineage == verdict.lineage]
        assert {c.destination_uri for c in of} == {place}
        assert State.TRANSFERRED not in {c.state for c in of}
        assert verdict.action in SENDS


def test_what_failed_before_is_sent_after_all_others():
    rows = [row(1, failed_as="timeout"), row(2), row(3, failed_as=""), row(4)]
    assert [each.n for each in sorted(rows, key=lambda each: each.turn)] == [2, 4, 1, 3]


def row(n: int, failed_as: str | None = None) -> PlannedRow:
    return PlannedRow(f"k{n}", f"i{n}", HERE, (), (), "m.yaml:7", n=n, failed_as=failed_as)


@given(st.text(), st.booleans())
def test_without_a_history_a_row_is_merely_sent(uri: str, again: bool):  # noqa: FBT001 - drawn
    """What staged rows take for granted of rows whose interaction no run has touched."""
    assert decide((), uri, again=again) == Decision(Action.SEND)


def undo(transfer_id: int, destination_uri: str, reverts: str) -> Claim:
    return replace(claim(transfer_id, State.TRANSFERRED, destination_uri), reverts=reverts)


CARRIED_AND_BACK = [claim(1, State.TRANSFERRED, HERE), undo(2, THERE, "run-1")]


def test_what_was_carried_back_is_skipped_and_names_the_undo():
    assert decide(CARRIED_AND_BACK, HERE, again=False) == Decision(
        Action.REVERTED,
        "reverted by a later run, run-2; --again moves it once more",
        2,
        code=Code.REVERTED,
        earlier=Earlier("run-2", "night", "k7"),
    )
    assert decide(CARRIED_AND_BACK, HERE, again=True).action is Action.CHANGED


def test_what_was_carried_back_is_sent_to_another_destination():
    assert decide(CARRIED_AND_BACK, ELSEWHERE, again=False).action is Action.CHANGED


def test_it_stays_undone_after_another_batch_has_moved_it():
    past = [*CARRIED_AND_BACK, claim(3, State.TRANSFERRED, ELSEWHERE)]
    assert decide(past, HERE, again=False).action is Action.REVERTED
    carried_once_more = [*past, claim(4, State.TRANSFERRED, HERE)]
    assert decide(carried_once_more, HERE, again=False).action is Action.UNCHANGED
    moved_again = [*carried_once_more, claim(5, State.TRANSFERRED, THERE)]
    assert decide(moved_again, HERE, again=False).action is Action.CHANGED


def test_an_undo_of_a_run_is_no_undo_of_another_destination():
    past = [claim(1, State.TRANSFERRED, ELSEWHERE), undo(2, THERE, "run-1")]
    assert decide(past, HERE, again=False).action is Action.CHANGED


def test_an_undo_that_was_not_carried_out_reverts_nothing():
    past = [claim(1, State.TRANSFERRED, HERE)]
    past += [replace(claim(2, State.SKIPPED, THERE), reverts="run-1")]
    assert decide(past, HERE, again=False).action is Action.UNCHANGED


def test_an_undo_moves_only_what_its_run_was_the_last_to_move():
    assert decide([claim(1, State.TRANSFERRED, HERE)], THERE, again=False, reverts="run-1") == (
        Decision(Action.CHANGED)
    )
    past = [claim(1, State.TRANSFERRED, HERE), claim(2, State.TRANSFERRED, ELSEWHERE)]
    for again in (False, True):
        assert decide(past, THERE, again=again, reverts="run-1") == Decision(
            Action.MOVED_ON,
            "moved on: run run-2 (batch night, key k7) moved it last",
            2,
            code=Code.MOVED_ON,
            earlier=Earlier("run-2", "night", "k7"),
        )
    rejected = [claim(1, State.REJECTED, HERE)]
    assert decide(rejected, THERE, again=False, reverts="run-1") == not_moved_by("run-1")


def test_an_undo_can_be_undone_once():
    there_and_back = decide(CARRIED_AND_BACK, HERE, again=False, reverts="run-2")
    assert there_and_back.action is Action.CHANGED
    past = [*CARRIED_AND_BACK, undo(3, HERE, "run-2")]
    assert decide(past, HERE, again=False).action is Action.UNCHANGED
    assert decide(past, HERE, again=False, reverts="run-2").action is Action.UNCHANGED
    assert decide(past, THERE, again=False, reverts="run-1").action is Action.MOVED_ON
    assert decide(past, THERE, again=False).action is Action.REVERTED


@st.composite
def with_undos(draw: st.DrawFn) -> list[Claim]:
    """Draw a history in which some transfers carry back what an earlier run carried."""
    past = draw(histories())
    return [
        replace(each, reverts=f"run-{draw(st.integers(1, n))}") if draw(st.booleans()) else each
        for n, each in enumerate(past, 1)
    ]


@given(with_undos(), PLACES)
def test_reverted_if_and_only_if_an_undo_follows_the_last_time_that_it_was_carried_there(
    past: list[Claim], place: str
):
    carried = [c for c in past if c.state is State.TRANSFERRED]
    there = [n for n, c in enumerate(carried) if c.destination_uri == place]
    runs = {carried[n].run_id for n in there}
    undone = [c for c in carried[there[-1] + 1 :] if c.reverts in runs] if there else []
    verdict = decide(past, place, again=False)
    is_held = any(c.state in HELD for c in past)
    assert (verdict.action is Action.REVERTED) == (bool(undone) and not is_held)
    assert decide(past, place, again=True).action is not Action.REVERTED


@given(with_undos(), PLACES, st.booleans())
def test_an_undo_sends_nothing_that_another_run_moved_last(
    past: list[Claim],
    place: str,
    again: bool,  # noqa: FBT001 - drawn
):
    verdict = decide(past, place, again=again, reverts="run-1")
    carried = [c for c in past if c.state is State.TRANSFERRED]
    if verdict.action in SENDS:
        assert carried[-1].run_id == "run-1"
