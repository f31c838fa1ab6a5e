"""A mapping or list whose end has not been read yet."""

from __future__ import annotations

from typing import Any

NO_KEY = object()
"""The key if none is waiting for its value."""


class OpenContainer:
    """A container under construction."""

    __slots__ = (
        "anchor",
        "height",
        "key",
        "key_mark",
        "mark",
        "marks",
        "merge_mark",
        "merged",
        "nodes",
        "value",
    )

    def __init__(self, value: Any, mark: int, anchor: str | None) -> None:
        self.value = value
        self.mark = mark
        self.anchor = anchor
        self.marks: list[int] = []
        self.key: Any = NO_KEY
        self.key_mark = 0
        self.merge_mark: int | None = None  # of the merge key, once it has one
        self.merged: list[dict[str, Any]] = []
        self.nodes = 1
        self.height = 1
