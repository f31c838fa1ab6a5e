"""JSON from outside: half characters replaced, contradictions found."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

_ESCAPES = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair: one character
    r"|\\u(?P<lone>[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\.",
    re.DOTALL,
)

_NOTHING: Mapping[str, tuple[Any, ...]] = MappingProxyType({})


class Foreign(NamedTuple):
    """A JSON value from outside.

    `contradictions` are the outermost object's keys that stand there with different values;
    `is_consistent` False: some object of the value has such a key.
    """

    value: Any
    contradictions: Mapping[str, tuple[Any, ...]] = _NOTHING
    is_consistent: bool = True


def read_foreign(text: str | bytes) -> Foreign:
    """Read a JSON text as leniently as Python does.

    Half a surrogate pair has no UTF-8 form, so that no file, hash or database takes it: it is read
    as U+FFFD, the replacement character. Of a key that stands twice the last value is read. Raises
    `ValueError` for what is not JSON, `RecursionError` for what is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    if "\\u" in text:
        text = _ESCAPES.sub(_whole, text)
    objects = _Objects()
    value = json.loads(text, object_pairs_hook=objects.make)
    outermost = objects.last if isinstance(value, dict) else _NOTHING
    return Foreign(value, outermost, objects.are_consistent)


def read_frame(text: str, keys: tuple[str, ...]) -> Foreign:
    """Read a JSON text as `read_foreign` does, much faster where it is an ordinary one.

    Only contradictions of `keys` are found for sure. Raises as `read_foreign` does.
    """
    if "\\" not in text and all(text.count(f'"{key}"') <= 1 for key in keys):
        try:
            return Foreign(orjson.loads(text))
        except orjson.JSONDecodeError:
            pass  # a NaN, for instance
    return read_foreign(text)


def _whole(escape: re.Match[str]) -> str:
    return escape[0] if escape["lone"] is None else r"\ufffd"


class _Objects:
    """Makes objects of their pairs, the outermost one last."""

    def __init__(self) -> None:
        self.last: Mapping[str, tuple[Any, ...]] = _NOTHING
        self.are_consistent = True

    def make(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        self.last = _NOTHING if len(made) == len(pairs) else _contradictions(pairs)
        self.are_consistent &= not self.last
        return made


def _contradictions(pairs: list[tuple[str, Any]]) -> Mapping[str, tuple[Any, ...]]:
    values: dict[str, list[Any]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {
        key: tuple(each)
        for key, each in values.items()
        if any(type(one) is not type(each[0]) or one != each[0] for one in each)
    }
