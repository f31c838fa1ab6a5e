"""What each face of the embedded gateway can be told to do wrong (manifest.md, "Simulator")."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.manifest.model import Platform

FAULTS: Mapping[Platform, frozenset[str]] = {
    Platform.INTERACTION_TRANSFER: frozenset(
        {
            *("rate_limited", "codec_unsupported", "rejected", "unlisted"),
            *("doubled", "slow", "muted", "cut", "token_expiry", "cut_before"),
        }
    ),
    Platform.GENESYS_CLOUD: frozenset(
        {
            *("rate_limited", "rejected", "slow", "muted", "cut", "token_expiry", "cut_before"),
            *("server_error", "server_error_after", "transfer_failed"),
            *("event_lost", "event_late", "event_doubled"),
            *("channel_evicted", "socket_closing", "pages_shift", "truncated"),
            *("hidden", "long", "answered", "moved", "consulting"),
            *("hung_up", "outrun", "answer_late"),
        }
    ),
}
"""The names of faults by platform."""

GENESYS_CLOUD_OPTIONS = frozenset(
    {"waiting", "served", "queues", "users", "former_users", "http_rate"}
)
"""Options of the simulator that the other platform does nothing with."""
