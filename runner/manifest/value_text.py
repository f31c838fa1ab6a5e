"""Formats values as a manifest writes them, for messages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from runner.manifest.yaml.scalars import NumberOutOfRange, resolve_scalar

_MAX_SHOWN = 60
_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 ._+@%/-]*[A-Za-z0-9._+@%/-])?")


def flow_yaml(value: Any) -> str:
    """Return a JSON value in YAML's flow style, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow_yaml, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and not is_number(value)):
        return value if "://" in value and "," not in value else f'"{value}"'
    return str(value)


class Syntax(NamedTuple):
    """How a file format writes keys, starts of list items, and values."""

    key: Callable[[str | int], str]
    value: Callable[[Any], str]


YAML = Syntax(lambda key: f"{key}: " if isinstance(key, str) else "- ", flow_yaml)
JSON = Syntax(lambda key: f'"{key}": ' if isinstance(key, str) else "", json.dumps)


def is_number(text: str) -> bool:
    """Return whether `text` without quotes is a number in YAML."""
    try:
        return isinstance(resolve_scalar(text), int | float)
    except NumberOutOfRange:
        return False


def truncate(text: str) -> str:
    """Return `text` cut to the length that messages show."""
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
