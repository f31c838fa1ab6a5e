"""Builds a document with places from a JSON row.

The YAML builder cannot be used: YAML refuses or reads differently some of JSON's surrogate pairs, rare
characters and long names.
"""

from __future__ import annotations

import json
import re
from typing import Any

from runner.manifest.yaml.tree import Marks, Source, Tree, pack

# Linear: characters and escapes of a string begin differently.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s,:\[\]{}"]+')


def build_json(source: Source) -> Tree:
    """Return the document of one line of valid JSON that is not deeply nested."""
    marks = Marks()
    root, mark, _ = _Walk(source.text, marks).value(0)
    return Tree(root, mark, marks, source)


def too_deep(text: str, max_depth: int) -> int | None:
    """Return the index where brackets are nested deeper than `max_depth`, or None."""
    if text.count("[") + text.count("{") <= max_depth:
        return None
    depth = 0
    for token in _TOKEN.finditer(text):
        if (first := text[token.start()]) in "[{":
            depth += 1
        elif first in "]}":
            depth -= 1
        if depth > max_depth:
            return token.start()
    return None


class _Walk:
    def __init__(self, text: str, marks: Marks) -> None:
        self._text = text
        self._marks = marks

    def value(self, at: int) -> tuple[Any, int, int]:
        """Return the value that begins at or after `at`, its mark, and where it ends."""
        token = self._token(at)
        start, end = token.span()
        if token[0] not in ("{", "["):
            return json.loads(token[0]), pack(0, start, end - start), end
        found, marks, end = self._members(end, named=token[0] == "{")
        whole: Any = dict(zip(found[::2], found[1::2], strict=True)) if token[0] == "{" else found
        self._marks.add(whole, marks)
        return whole, pack(0, start, 1), end

    def _members(self, at: int, *, named: bool) -> tuple[list[Any], list[int], int]:
        """Return the members up to the closing bracket; for a mapping, keys and values alternate."""
        found: list[Any] = []
        marks: list[int] = []
        close = "}" if named else "]"
        while (token := self._token(at))[0] != close:
            value, mark, at = self.value(at)
            found.append(value)
            marks.append(mark)
        return found, marks, token.end()

    def _token(self, at: int) -> re.Match[str]:
        token = _TOKEN.search(self._text, at)
        if token is None:
            raise ValueError("the text is not valid JSON")
        return token
