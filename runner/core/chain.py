"""The audit chain: each event carries the SHA-256 of the previous hash and its own canonical JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

GENESIS = "0" * 64
"""The hash before a journal's first event."""


def canonical(body: Mapping[str, Any]) -> str:
    """Return the one JSON text of `body`: sorted keys, no spaces, UTF-8.

    Raises `TypeError` for what JSON cannot say.
    """
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()


def link(previous: str, body: str) -> str:
    """Return the hash, 64 hexadecimal digits, of an event whose canonical JSON is `body`."""
    return hashlib.sha256((previous + body).encode()).hexdigest()
