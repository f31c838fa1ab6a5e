"""What a session's end calls for (protocol.md, "Close codes"), as data and pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

STEADY_S = 10.0
"""A session that lived this long, or carried a reply, ends the outage before it."""


INTERNAL_ERROR = 1011
"""The code under which a session is ended whose reader failed."""


class Remedy(StrEnum):
    """What to do after a close."""

    DIAL = "dial with backoff"
    RENEW = "renew the token and dial"
    SLOW = "slow down, back off, dial"
    END = "an error"


_BY_CODE = {4401: Remedy.RENEW, 4403: Remedy.END, 1013: Remedy.SLOW}
_POLICY_VIOLATION = 1008


def remedy(code: int, reason: str) -> Remedy:
    """Return what a close calls for; any code that the table does not know is dialled again."""
    if code == _POLICY_VIOLATION:
        return Remedy.RENEW if _speaks_of_the_token(reason) else Remedy.SLOW
    return _BY_CODE.get(code, Remedy.DIAL)


def _speaks_of_the_token(reason: str) -> bool:
    words = reason.lower()
    return "token" in words and "token bucket" not in words  # the latter is a rate limiter's


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without a steady session: since when, and how many dials and sessions failed in it."""

    since: float
    failures: int = 0

    def failed(self) -> Outage:
        """Return the outage after one more failure."""
        return Outage(self.since, self.failures + 1)
