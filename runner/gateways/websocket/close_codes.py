"""What to do after a session is closed, by close code (protocol.md, "Close codes"); pure."""

from __future__ import annotations

from enum import StrEnum

from runner.core.frozen import frozen

STEADY_S = 10.0
"""A session that lasts this long, or answers a message of ours, ends the outage before it."""


INTERNAL_ERROR = 1011
"""The code with which a session is closed after its reader failed."""


class CloseAction(StrEnum):
    """What to do after a close."""

    DIAL = "dial with backoff"
    RENEW = "renew the token and dial"
    SLOW = "slow down, back off, dial"
    END = "an error"


_BY_CODE = {4401: CloseAction.RENEW, 4403: CloseAction.END, 1013: CloseAction.SLOW}
_POLICY_VIOLATION = 1008


def action_for(code: int, reason: str) -> CloseAction:
    """Return the action for a close code; after an unknown code the session is dialled again."""
    if code == _POLICY_VIOLATION:
        return CloseAction.RENEW if _speaks_of_the_token(reason) else CloseAction.SLOW
    return _BY_CODE.get(code, CloseAction.DIAL)


def _speaks_of_the_token(reason: str) -> bool:
    words = reason.lower()
    return "token" in words and "token bucket" not in words  # the latter is a rate limiter's


@frozen
class Outage:
    """A time without a steady session: its start, and the dials and sessions that failed in it."""

    since: float
    failures: int = 0

    def failed(self) -> Outage:
        """Return the outage after one more failure."""
        return Outage(self.since, self.failures + 1)
