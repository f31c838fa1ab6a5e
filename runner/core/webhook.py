"""Decides what follows an attempt to deliver a callback; checks secrets (Standard Webhooks)."""

from __future__ import annotations

import re
from base64 import b64decode

from runner.core.frozen import frozen
from runner.core.manifest.model import RetryPolicy
from runner.core.number_text import times
from runner.core.pacing.rate import LONGEST_OBEYED_S, backoff_s

SECRET_PREFIX = "whsec_"  # noqa: S105 - the public prefix, not a secret

SHORTEST_KEY = 24
"""Bytes of the shortest key that may sign (Standard Webhooks)."""

FEWEST_VALUES = 10
"""Different bytes that a key has at the least."""

_BASE64 = re.compile(r"([A-Za-z0-9+/]+)(={0,2})")
_GONE = 410
_TOO_MANY = 429


def check_webhook_secret(text: str) -> str | None:
    """Return why `text` cannot sign webhooks, or None. The message never contains the text.

    The signing library silently drops characters that are not base64, and would sign with another
    key.
    """
    encoded = text.removeprefix(SECRET_PREFIX)
    if not encoded:
        return "the webhook secret is empty; make one with: openssl rand -base64 32"
    match = _BASE64.fullmatch(encoded)
    if match is None or not _whole(*match.groups()):
        return (
            "the webhook secret is not valid base64 (A-Z a-z 0-9 + /, with or without whsec_ "
            "before it); make one with: openssl rand -base64 32"
        )
    return None


def weak_webhook_secret(text: str) -> str | None:
    """Return why a secret that can sign may be guessed, or None. The message never contains the text.

    Standard Webhooks asks for 24 to 64 random bytes; 24 such bytes practically never have fewer than
    `FEWEST_VALUES` values.
    """
    key = b64decode(_padded(text.removeprefix(SECRET_PREFIX)))
    if len(key) < SHORTEST_KEY:
        found = (
            f"the webhook secret has {len(key)} bytes, fewer than the {SHORTEST_KEY} that are safe"
        )
    elif len(set(key)) < FEWEST_VALUES:
        found = "the webhook secret repeats a few characters, so that it can be guessed"
    else:
        return None
    return f"{found}; make one with: openssl rand -base64 32, and give it to the receiver too"


def _padded(encoded: str) -> str:
    letters = encoded.rstrip("=")
    return letters + "=" * (-len(letters) % 4)


def _whole(letters: str, padding: str) -> bool:
    """Return whether the letters encode whole bytes; the padding may be left out."""
    left_over = len(letters) % 4
    return left_over != 1 and (not padding or (left_over + len(padding)) % 4 == 0)


@frozen
class Answered:
    """The address answered; `retry_after_s` is the wait that it asked for, if any."""

    status: int
    retry_after_s: float | None = None


@frozen
class Unreachable:
    """This try brought no answer."""

    reason: str


@frozen
class Refused:
    """The callback cannot be called: its address or its headers are not allowed."""

    reason: str


@frozen
class Suppressed:
    """A rehearsal calls only loopback addresses (manifest.md, "Simulator")."""

    reason: str


AttemptResult = Answered | Unreachable | Refused | Suppressed


@frozen
class Delivered:
    """The address accepted the callback."""


@frozen
class Failed:
    """No further attempt in this run; with `final` False the next run tries again."""

    reason: str
    final: bool = True


@frozen
class Retry:
    """Another attempt after `wait_s` seconds."""

    wait_s: float
    reason: str


Decision = Delivered | Failed | Suppressed | Retry


def decide(result: AttemptResult, *, attempts: int, retry: RetryPolicy, jitter: float) -> Decision:
    """Return what follows from the result of try number `attempts` of this run (counted from 1).

    After a transient failure the next run tries again, with the same webhook id.
    `jitter` is uniform in [0, 1).
    """
    match result:
        case Suppressed():
            return result
        case Refused(reason):
            return Failed(reason)
        case Unreachable(reason):
            asked_s = None
        case Answered(status) if 200 <= status < 300:  # noqa: PLR2004 - RFC 9110, "Successful"
            return Delivered()
        case Answered(status) if not _is_transient(status):
            return Failed(_explained(status))
        case _:
            asked_s, reason = result.retry_after_s, _explained(result.status)
    return _again(reason, asked_s, attempts=attempts, retry=retry, jitter=jitter)


def _again(
    reason: str, asked_s: float | None, *, attempts: int, retry: RetryPolicy, jitter: float
) -> Decision:
    if attempts >= retry.attempts:
        return Failed(f"{reason}, {times(attempts)}; left for the next run", final=False)
    if asked_s is not None and asked_s > LONGEST_OBEYED_S:
        return Failed(f"{reason}, asks to wait {asked_s:.0f} s; left for the next run", final=False)
    wait_s = backoff_s(retry, attempts, jitter=jitter) if asked_s is None else asked_s
    return Retry(wait_s, reason)


def _is_transient(status: int) -> bool:
    return status == _TOO_MANY or status >= 500  # noqa: PLR2004 - RFC 9110, "Server Error"


def _explained(status: int) -> str:
    if 300 <= status < 400:  # noqa: PLR2004 - RFC 9110, "Redirection"
        return f"answered {status}; redirects are not followed"
    if status == _GONE:
        return "answered 410: the address is permanently gone; remove it from the manifest"
    return f"answered {status}"
