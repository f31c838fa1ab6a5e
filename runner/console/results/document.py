"""The envelope of `--output json`: one document with `version` and `kind`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

VERSION = 1
"""Version of all kinds (schemas/result.v1.schema.json)."""


def document(kind: str, fields: Mapping[str, Any]) -> str:
    """Return one JSON document, in ASCII, that begins with its version and kind."""
    return json.dumps({"version": VERSION, "kind": kind, **fields}, indent=2) + "\n"
