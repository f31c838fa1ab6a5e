"""The audit chain: each event carries the SHA-256 of the previous hash and its own canonical JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import orjson

GENESIS = "0" * 64
"""The hash before a journal's first event."""


_ENCODER = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False)


def canonical(body: Mapping[str, Any]) -> str:
    """Return the one JSON text of `body`: sorted keys, no spaces, ASCII only.

    Numbers must be finite (`is_finite_json`). Raises `TypeError` for what JSON cannot say.
    """
    try:
        text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a lone surrogate, which only an escape can spell
        return _ENCODER.encode(body)
    return text.decode() if text.isascii() else _ENCODER.encode(body)


def is_finite_json(value: Any) -> bool:
    """Return whether JSON can say `value`: every number finite, nothing nested without end."""
    try:
        _ENCODER.encode(value)
    except (ValueError, RecursionError):
        return False
    return True


def link(previous: str, body: str) -> str:
    """Return the hash, 64 hexadecimal digits, of an event whose canonical JSON is `body`."""
    return hashlib.sha256((previous + body).encode()).hexdigest()
