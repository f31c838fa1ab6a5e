"""Faults and options of each platform of the embedded gateway (manifest.md, "Simulator")."""

from __future__ import annotations

from collections.abc import Mapping

FAULTS: Mapping[str, frozenset[str]] = {
    "interaction-transfer": frozenset(
        {
            *("rate_limited", "codec_unsupported", "rejected", "unlisted"),
            *("doubled", "slow", "muted", "cut", "token_expiry", "cut_before"),
        }
    ),
    "genesys-cloud": frozenset(
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

OPTIONS: Mapping[str, frozenset[str]] = {
    "genesys-cloud": frozenset(
        {"waiting", "served", "queues", "users", "former_users", "http_rate"}
    ),
}
"""Options of the simulator that have an effect with one platform alone."""
