"""The findings of a probe as text: where the customer is, and what is left to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.app.probe_result import render_probe
from runner.gateways.genesys_cloud.protocol.probe_findings import Attempt, End, Findings

BY_HAND = "move it back by hand"


def shown(there: End | None, back: End | None = None) -> str:
    findings = Findings({}, there=_attempt(there), back=None if back is None else _attempt(back))
    return render_probe((findings, Path("probe.json")))


def _attempt(end: End | None) -> Attempt:
    return Attempt("replace/queue", "acd", ("calls",), "queue-2", end=end)


@pytest.mark.parametrize("back", [None, End.REFUSED, End.NOT_SENT])
def test_what_is_not_back_is_left_to_a_person(back: End | None):
    assert BY_HAND in shown(End.ARRIVED, back)


def test_what_came_back_or_never_left_needs_nobody():
    assert BY_HAND not in shown(End.ARRIVED, End.ARRIVED)
    assert BY_HAND not in shown(End.REFUSED)


@pytest.mark.parametrize(("there", "back"), [(End.IN_DOUBT, None), (End.ARRIVED, End.IN_DOUBT)])
def test_what_is_in_doubt_is_looked_up_first(there: End, back: End | None):
    text = shown(there, back)
    assert "It is not known whether the conversation was moved." in text
    assert "look at it in the platform" in text
