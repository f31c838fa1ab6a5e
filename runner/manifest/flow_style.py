"""Shows a value of the manifest as one would write it there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from runner.manifest.yaml.scalars import NumberOutOfRange, resolve

_SHOWN = 60
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+@%/-]*")


def flow(value: Any) -> str:
    """Return a JSON value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and not (_PLAIN.fullmatch(value) and not is_number(value)):
        return value if "://" in value and "," not in value else f'"{value}"'
    return str(value)


class Writing(NamedTuple):
    """How a key or an item's begin, and a value, are written in a kind of file."""

    key: Callable[[str | int], str]
    value: Callable[[Any], str]


YAML = Writing(lambda key: f"{key}: " if isinstance(key, str) else "- ", flow)
JSON = Writing(lambda key: f'"{key}": ' if isinstance(key, str) else "", json.dumps)


def is_number(text: str) -> bool:
    """Tell whether unquoted `text` is a number to YAML."""
    try:
        return isinstance(resolve(text), int | float)
    except NumberOutOfRange:
        return False


def cut(text: str) -> str:
    """Return `text`, or its beginning where it is too long to be shown whole."""
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
