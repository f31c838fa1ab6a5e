"""A submission that goes on elsewhere finishes the rows that its first run chose, and no others."""

from __future__ import annotations

import pytest

from runner.core.transfer.frozen_plan import FrozenRow, Moved, held_to
from runner.core.transfer.plan_decision import Action, Decision

HERE, ELSEWHERE = "genesys://queue/here", "genesys://queue/elsewhere"
SEND = Decision(Action.SEND)


def frozen(
    uri: str = HERE, action: Action = Action.SEND, failed_as: str | None = None
) -> FrozenRow:
    return FrozenRow(uri, action, 4, failed_as)


def held(
    row: FrozenRow | None, moved: Moved | None = None, finished: int | None = None
) -> Decision:
    return held_to(row, moved, finished, HERE, SEND)


@pytest.mark.parametrize("action", [Action.SEND, Action.CHANGED, Action.IN_DOUBT])
def test_what_the_first_run_meant_to_send_is_sent(action: Action):
    assert held(frozen(HERE, action)) == SEND


@pytest.mark.parametrize(
    "row",
    [
        None,
        frozen(HERE, Action.NOT_SELECTED),
        frozen(HERE, Action.UNCHANGED),
        frozen(ELSEWHERE, Action.SEND),
    ],
)
def test_what_it_did_not_mean_to_send_is_not_sent(row: FrozenRow | None):
    assert held(row).action is Action.NOT_SELECTED


def test_what_was_moved_since_is_not_moved_again_whatever_the_options_say():
    decision = held(frozen(), Moved(HERE, 7, "r1"))
    assert (decision.action, decision.claim) == (Action.UNCHANGED, 7)


def test_what_somebody_moved_elsewhere_since_is_left_there():
    assert held(frozen(), Moved(ELSEWHERE, 7, "r1")).action is Action.NOT_SELECTED


def test_what_would_not_be_sent_anyway_keeps_its_reason():
    doubt = Decision(Action.IN_DOUBT, "why")
    assert held_to(None, None, None, HERE, doubt) is doubt


def test_what_the_batch_itself_brought_to_an_end_is_not_tried_again():
    assert held(frozen(), finished=7) == Decision(Action.FINISHED, claim=7)
    assert held(frozen(), Moved(HERE, 8, "r1"), finished=7).action is Action.UNCHANGED


def test_the_order_of_sending_stays_the_first_run_s():
    assert held(frozen(failed_as="busy")).failed_as == "busy"
    assert held(frozen(action=Action.IN_DOUBT, failed_as="busy")) is SEND
    assert frozen(failed_as="busy").turn == (True, 4)
    assert frozen().turn == (False, 4)
