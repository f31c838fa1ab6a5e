"""Finds the JSON Schemas: in the wheel beside the package's code, in a checkout beside the package."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

SCHEMA_SUFFIX = ".schema.json"


def schema_text(name: str) -> str:
    """Return the exact text of the schema called `name`; raises `FileNotFoundError`."""
    return (_folder() / f"{name}{SCHEMA_SUFFIX}").read_text(encoding="utf-8")


@cache
def schema(name: str) -> dict[str, Any]:
    """Return the schema called `name`, parsed; raises `FileNotFoundError`."""
    parsed: dict[str, Any] = json.loads(schema_text(name))
    return parsed


def _folder() -> Traversable:
    packaged = files("runner") / "schemas"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parent.parent / "schemas"
