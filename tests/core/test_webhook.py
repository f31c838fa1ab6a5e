"""What a callback's answer means, and which secrets can sign."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.model import RetryPolicy
from runner.core.pacing.retry_after import retry_after_s
from runner.core.webhook import (
    Answered,
    AttemptResult,
    Decision,
    Delivered,
    Failed,
    Refused,
    Retry,
    Suppressed,
    Unreachable,
    check_webhook_secret,
    decide,
    weak_webhook_secret,
)

RETRY = RetryPolicy(attempts=3, base_s=1.0, cap_s=30.0)


def verdict(answer: AttemptResult, attempts: int = 1) -> Decision:
    return decide(answer, attempts=attempts, retry=RETRY, jitter=0.0)


@given(st.binary(min_size=1), st.booleans(), st.booleans())
def test_every_base64_text_can_sign(key: bytes, prefixed: bool, padded: bool) -> None:  # noqa: FBT001 - drawn
    text = base64.b64encode(key).decode()
    text = text if padded else text.rstrip("=")
    assert check_webhook_secret(("whsec_" if prefixed else "") + text) is None


@pytest.mark.parametrize(
    "text",
    [
        "plain-secret-123",
        "whsec_plain secret",
        "YWJj\n",
        "YWJjZ",
        "YWJj=",
        "YW=Jj",
        "ünïcode",
        "==",
    ],
)
def test_text_that_the_library_would_mangle_is_refused_unshown(text: str) -> None:
    message = check_webhook_secret(text)
    assert message is not None
    assert "not valid base64" in message
    assert text not in message


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (bytes(range(23)), "23 bytes, fewer than the 24"),
        (b"secret", "6 bytes, fewer than the 24"),
        (b"password" * 4, "repeats a few characters"),
        (bytes(32), "repeats a few characters"),
        (bytes(range(24)), None),
        (b"canary-webhook-secret-24", None),
    ],
)
@pytest.mark.parametrize("prefix", ["", "whsec_"])
def test_a_secret_that_can_be_guessed_is_weak(key: bytes, said: str | None, prefix: str) -> None:
    text = prefix + base64.b64encode(key).decode().rstrip("=")
    found = weak_webhook_secret(text)
    assert (found is None) == (said is None)
    assert (said or "") in (found or "")
    assert text not in (found or "")


@pytest.mark.parametrize("text", ["", "whsec_"])
def test_an_empty_secret_is_refused(text: str) -> None:
    assert "empty" in (check_webhook_secret(text) or "")


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_success_delivers(code: int) -> None:
    assert verdict(Answered(code)) == Delivered()


@pytest.mark.parametrize("code", [301, 307, 400, 401, 404, 410, 422])
def test_what_will_not_pass_is_final(code: int) -> None:
    failed = verdict(Answered(code))
    assert isinstance(failed, Failed)
    assert failed.final
    assert str(code) in failed.reason


@pytest.mark.parametrize("answer", [Answered(429), Answered(500), Answered(503), Unreachable("x")])
def test_what_may_pass_is_tried_again_and_then_left_to_the_next_run(answer: AttemptResult) -> None:
    assert isinstance(verdict(answer, attempts=2), Retry)
    left = verdict(answer, attempts=3)
    assert isinstance(left, Failed)
    assert not left.final
    assert "3 times" in left.reason


def test_the_wait_that_is_asked_for_is_obeyed_in_full() -> None:
    assert verdict(Answered(429, 180.0)) == Retry(180.0, "answered 429")


def test_a_wait_beyond_three_minutes_is_left_for_the_next_run() -> None:
    failed = verdict(Answered(503, 181.0))
    assert isinstance(failed, Failed)
    assert not failed.final


def test_refused_and_suppressed_are_not_tried_again() -> None:
    assert verdict(Refused("no")) == Failed("no")
    assert verdict(Suppressed("rehearsal")) == Suppressed("rehearsal")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Tue, 01 Dec 2026 21:00:30 GMT"}, 30.0),
        ({"Retry-After": "Tue, 01 Dec 2026 20:59:00 GMT"}, None),
        (
            {
                "Retry-After": "Tue, 01 Dec 2026 22:00:10 GMT",
                "Date": "Tue, 01 Dec 2026 22:00:00 GMT",
            },
            10.0,
        ),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, wall_s=1_796_158_800.0) == expected
