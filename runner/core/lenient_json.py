"""Decodes JSON from outside: replaces lone surrogates, finds keys with contradictory values."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
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


class DecodedJson(NamedTuple):
    """A decoded JSON value.

    `contradictions` has the keys of the outermost object that occur with different values;
    `is_consistent` is False where any object of the value has such a key.
    """

    value: Any
    contradictions: Mapping[str, tuple[Any, ...]] = _NOTHING
    is_consistent: bool = True


def decode_json(text: str | bytes) -> DecodedJson:
    """Decode a JSON text as leniently as Python does.

    A lone surrogate has no UTF-8 form, so no file, hash or database takes it: it becomes U+FFFD,
    the replacement character. Of a repeated key the last value counts. Raises `ValueError` for what
    is not JSON, `RecursionError` for what is nested too deeply.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    if "\\u" in text:
        text = _ESCAPES.sub(_whole, text)
    objects = _Objects()
    value = json.loads(text, object_pairs_hook=objects.make)
    outermost = objects.last if isinstance(value, dict) else _NOTHING
    return DecodedJson(value, outermost, objects.are_consistent)


def decode_json_fast(text: str, keys: tuple[str, ...]) -> DecodedJson:
    """Decode as `decode_json` does, much faster where the text is an ordinary one.

    Only contradictions of `keys` are certainly found. Raises as `decode_json` does.
    """
    if "\\" not in text and not _may_repeat(text, keys):
        try:
            return DecodedJson(orjson.loads(text))
        except orjson.JSONDecodeError:
            pass  # a NaN, for instance
    return decode_json(text)


def _may_repeat(text: str, keys: tuple[str, ...]) -> bool:
    for quoted in _quoted(keys):  # noqa: SIM110 - a generator is slower, for each reply
        if text.count(quoted) > 1:
            return True
    return False


@cache
def _quoted(keys: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f'"{key}"' for key in keys)


def _whole(escape: re.Match[str]) -> str:
    return escape[0] if escape["lone"] is None else r"\ufffd"


class _Objects:
    """Builds objects from their pairs, the outermost one last."""

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
