"""The envelope of what `--output json` prints: one document, of a kind and a version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

VERSION = 1
"""Of every kind (schemas/result.v1.schema.json)."""


def document(kind: str, fields: Mapping[str, Any]) -> str:
    """Return one JSON document, in ASCII, that says what it is before it tells anything."""
    return json.dumps({"version": VERSION, "kind": kind, **fields}, indent=2) + "\n"
