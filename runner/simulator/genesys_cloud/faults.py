"""The faults of the platform; names are those of the other platform where they mean the same.

`rate_limited`, `server_error`, `slow` and `cut_before` strike any request with a token, `event_…`
strikes events on a channel, and the other faults of answers and effects strike commands (`replace`,
`transfer`).
"""

from __future__ import annotations

from runner.simulator.faults import Chance
from runner.simulator.genesys_cloud.errors import Refused

FAULTS = (
    "rate_limited",
    "rejected",
    "slow",
    "muted",
    "cut",
    "token_expiry",
    "cut_before",
    "server_error",
    "server_error_after",
    "transfer_failed",
    "event_lost",
    "event_late",
    "event_doubled",
    "channel_evicted",
    "socket_closing",
    "pages_shift",
    "truncated",
    "hidden",
    "long",
    "answered",
    "moved",
    "consulting",
    "hung_up",
    "outrun",
    "answer_late",
)
"""The names of all faults, as in manifests."""

_LIMITS = ("too.many.requests", "rate.limited")
_SERVER_ERRORS = ("internal.server.error", "service.unavailable", "request.timeout")
_REJECTIONS = (
    "conversations.error.transfer.acd.call.unattended",
    "bad.request",
    "not.authorized",
)
_UNSUCCESSFUL = ("Failed", "Timeout", "Canceled")


def _drawn(choices: tuple[str, ...], chance: Chance, purpose: str, subject: str) -> str:
    return choices[int(chance.draw(purpose, subject) * len(choices))]


def draw_limit(chance: Chance, subject: str) -> Refused:
    """Return a refusal for too many requests, as another user of the token may cause."""
    return Refused(_drawn(_LIMITS, chance, "limit", subject), retry_after_s=1)


def draw_server_error(chance: Chance, subject: str) -> Refused:
    """Return a failure of the platform itself."""
    return Refused(_drawn(_SERVER_ERRORS, chance, "server error", subject))


def draw_rejection(chance: Chance, subject: str) -> Refused:
    """Return a refusal of a correct command."""
    return Refused(_drawn(_REJECTIONS, chance, "rejection", subject))


def draw_end(chance: Chance, subject: str) -> str:
    """Return the final state of an accepted command: `Complete`, or a failure."""
    if not chance.strikes("transfer_failed", subject):
        return "Complete"
    return _drawn(_UNSUCCESSFUL, chance, "end", subject)
