"""Builds selections of queues."""

from __future__ import annotations

from typing import Any

from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import QueueSelection

VOICE = (MediaMatrix(Audio("opus", 64, 16)),)
NOW = 100_000.0
EVERY = frozenset({"call", "callback", "email", "message"})


def selection(**changes: Any) -> QueueSelection:
    plain: dict[str, Any] = {
        "queue": "q", "media_types": EVERY, "older_than_s": None, "limit": None,
        "destination_uri": "genesys://queue/new", "media": VOICE, "callbacks": (),
        "source": "m.yaml:7",
    }  # fmt: skip
    return QueueSelection(**{**plain, **changes})
