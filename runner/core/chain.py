"""The audit chain: each event carries the SHA-256 of the previous hash and its own canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

GENESIS = "0" * 64
"""The hash before a journal's first event."""

_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)


def canonical(body: Mapping[str, Any]) -> str:
    """Return the one JSON text of `body`: sorted keys, no spaces, ASCII only."""
    return _ENCODER.encode(body)


def link(previous: str, body: str) -> str:
    """Return the hash, 64 hexadecimal digits, of an event whose canonical JSON is `body`."""
    return hashlib.sha256((previous + body).encode()).hexdigest()
