"""A submission that goes on elsewhere finishes the rows that its first run chose, and no others."""

from __future__ import annotations

import pytest

from runner.core.transfer.frozen_plan import FrozenRow, Moved, held_to
from runner.core.transfer.plan_decision import Action, Decision

HERE, ELSEWHERE = "genesys://queue/here", "genesys://queue/elsewhere"
SEND = Decision(Action.SEND)


@pytest.mark.parametrize("action", [Action.SEND, Action.CHANGED, Action.IN_DOUBT])
def test_what_the_first_run_meant_to_send_is_sent(action: Action):
    assert held_to(FrozenRow(HERE, action), None, HERE, SEND) is SEND


@pytest.mark.parametrize(
    "frozen",
    [
        None,
        FrozenRow(HERE, Action.NOT_SELECTED),
        FrozenRow(HERE, Action.UNCHANGED),
        FrozenRow(ELSEWHERE, Action.SEND),
    ],
)
def test_what_it_did_not_mean_to_send_is_not_sent(frozen: FrozenRow | None):
    assert held_to(frozen, None, HERE, SEND).action is Action.NOT_SELECTED


def test_what_was_moved_since_is_not_moved_again_whatever_the_options_say():
    held = held_to(FrozenRow(HERE, Action.SEND), Moved(HERE, 7, "r1"), HERE, SEND)
    assert (held.action, held.claim) == (Action.UNCHANGED, 7)


def test_what_somebody_moved_elsewhere_since_is_left_there():
    frozen, moved = FrozenRow(HERE, Action.SEND), Moved(ELSEWHERE, 7, "r1")
    assert held_to(frozen, moved, HERE, SEND).action is Action.NOT_SELECTED


def test_what_would_not_be_sent_anyway_keeps_its_reason():
    doubt = Decision(Action.IN_DOUBT, "why")
    assert held_to(None, None, HERE, doubt) is doubt
