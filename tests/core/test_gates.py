"""Gates: only a bound that was evaluated fails; whatever else is inconclusive."""

from __future__ import annotations

import json

import pytest

from runner.core.gates import (
    LONGEST_RETRY_S,
    UNCONDITIONAL,
    Bound,
    GateAnswer,
    UrlGate,
    Verdict,
    WaveConditions,
    judge,
    judge_exit,
    judge_response,
    next_retry_s,
    parse_bound,
    parse_pointer,
)

DEPTH = {"/queue/depth": parse_bound("< 100")}
GATE = UrlGate(name="crm", url="https://crm.example.net/health", bounds=DEPTH)


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("< 50", 49.0, True),
        ("< 50", 50.0, False),
        (">= 5", 5.0, True),
        ("<=5", 6.0, False),
        ("> 0.5", 0.6, True),
        ("== 3", 3.0, True),
        ("!= 3", 3.0, False),
        ("< 10m", 599.0, True),
        ("< 250ms", 0.3, False),
    ],
)
def test_a_bound_compares(text: str, value: float, holds: bool):  # noqa: FBT001 - a table
    assert parse_bound(text).holds(value) is holds


@pytest.mark.parametrize("text", ["50", "<", "~ 5", "< -5", "< 5x", "< 1e3", ""])
def test_another_text_is_no_bound(text: str):
    with pytest.raises(ValueError, match="is not a bound"):
        parse_bound(text)


def test_figures_within_their_bounds_pass():
    bounds = {"waiting": parse_bound("< 50"), "on_queue": parse_bound(">= 5")}
    answer = judge({"waiting": 3, "on_queue": 7}, bounds)
    assert answer == GateAnswer(Verdict.PASS, "waiting is 3 (< 50), on_queue is 7 (>= 5)")


def test_a_figure_out_of_its_bound_fails_even_if_another_is_missing():
    bounds = {"on_queue": parse_bound(">= 5"), "waiting": parse_bound("< 50")}
    answer = judge({"waiting": 71}, bounds)
    assert answer == GateAnswer(Verdict.FAIL, "waiting is 71, not < 50")


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_missing_figure_is_inconclusive(value: float | None):
    answer = judge({"waiting": value}, {"waiting": Bound("< 5", "<", 5)})
    assert answer.verdict is Verdict.INCONCLUSIVE
    assert "waiting" in answer.text


def test_an_answer_passes_by_its_status_and_its_figures():
    body = json.dumps({"queue": {"depth": 12}}).encode()
    assert judge_response(GATE, 200, body).verdict is Verdict.PASS
    assert judge_response(UrlGate(name="up", url="x"), 200, b"").verdict is Verdict.PASS


def test_a_figure_above_its_bound_fails_by_name_value_and_bound():
    answer = judge_response(GATE, 200, b'{"queue": {"depth": 250}}')
    assert answer == GateAnswer(Verdict.FAIL, "/queue/depth is 250, not < 100")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b'{"queue": {"depth": 250}}'),
        (301, b""),
        (200, b"<html>"),
        (200, b"[" * 100_000),
        (200, b"\xff"),
        (200, b"{}"),
        (200, b'{"queue": 3}'),
        (200, b'{"queue": {"depth": true}}'),
        (200, b'{"queue": {"depth": "250"}}'),
        (200, b'{"queue": {"depth": null}}'),
        (200, b'{"queue": {"depth": NaN}}'),
        (200, b'{"queue": {"depth": 1' + b"0" * 400 + b"}}"),
    ],
)
def test_whatever_is_no_figure_is_inconclusive(status: int, body: bytes):
    assert judge_response(GATE, status, body).verdict is Verdict.INCONCLUSIVE


def test_a_pointer_leads_through_lists_and_escaped_names():
    gate = UrlGate(name="x", url="x", bounds={"/a~1b/1/~0": parse_bound("== 4")})
    assert judge_response(gate, 200, b'{"a/b": [0, {"~": 4}]}').verdict is Verdict.PASS
    assert judge_response(gate, 200, b'{"a/b": [0]}').verdict is Verdict.INCONCLUSIVE
    assert judge_response(gate, 200, b'{"a/b": "xy"}').verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("text", ["queue", "", "/a~2"])
def test_another_text_is_no_pointer(text: str):
    with pytest.raises(ValueError, match="JSON pointer"):
        parse_pointer(text)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (0, Verdict.PASS),
        (1, Verdict.FAIL),
        (2, Verdict.INCONCLUSIVE),
        (127, Verdict.INCONCLUSIVE),
        (-9, Verdict.INCONCLUSIVE),
    ],
)
def test_a_command_passes_with_0_and_fails_with_1_alone(code: int, verdict: Verdict):
    assert judge_exit(code).verdict is verdict


def test_a_gate_is_asked_again_with_backoff():
    waits = [next_retry_s(0.0)]
    while waits[-1] < LONGEST_RETRY_S:
        waits.append(next_retry_s(waits[-1]))
    assert waits == [1, 2, 4, 8, 16, 30]


def test_conditions_are_handed_over_together():
    first = WaveConditions(60.0, ("a", "b"), confirm=True)
    then = WaveConditions(30.0, ("b", "c"))
    assert first.handed_over(then) == WaveConditions(60.0, ("a", "b", "c"), confirm=True)
    assert not UNCONDITIONAL
    assert first
    assert WaveConditions(gates=("a",))
    assert WaveConditions(confirm=True)
