"""What the platform's face does wrong on purpose; names as on the other face where they mean the same.

`rate_limited`, `server_error`, `slow` and `cut_before` befall any request with a token, the rest of
the answers and the effects a command (`replace`, `transfer`), `event_…` what is told on a channel.
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
"""Every fault's name, as manifests spell it."""

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
    """Return a refusal for too many requests, as a neighbour of the same token may cause."""
    return Refused(_drawn(_LIMITS, chance, "limit", subject), retry_after_s=1)


def draw_server_error(chance: Chance, subject: str) -> Refused:
    """Return a failure of the platform itself."""
    return Refused(_drawn(_SERVER_ERRORS, chance, "server error", subject))


def draw_rejection(chance: Chance, subject: str) -> Refused:
    """Return a refusal of a command that is right in itself."""
    return Refused(_drawn(_REJECTIONS, chance, "rejection", subject))


def draw_end(chance: Chance, subject: str) -> str:
    """Return the state that an accepted command comes to: `Complete`, or what is not that."""
    if not chance.strikes("transfer_failed", subject):
        return "Complete"
    return _drawn(_UNSUCCESSFUL, chance, "end", subject)
