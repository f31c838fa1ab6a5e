"""Shows source lines with marked spans, aligned under tabs and wide characters, cut and escaped."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import field
from pathlib import Path
from typing import NamedTuple, Protocol

from rich.cells import cell_len

from runner.console.terminal_text import visible_character
from runner.core.frozen import frozen

TAB = "    "
MASK = "••••"
CONTEXT = 24
"""Cells shown left of a span when its line is cut."""

_WINDOW = 8
"""Characters read on either side of a span, as a multiple of the width: some take no cell."""

LONGEST = 64_000_000
"""Longest line that is read, in characters: a manifest may be a single line."""


_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UNDECODED = re.compile("[\udc80-\udcff]")


class Sources(Protocol):
    """Provides source lines."""

    def lines(self, file: str, numbers: AbstractSet[int]) -> Mapping[int, str]:
        """Return the lines with these numbers (from 1); unreadable ones are left out."""


@frozen
class SourceFiles:
    """Reads source lines from disk; a relative path that does not exist is tried in `folder` too."""

    folder: Path | None = None

    def lines(self, file: str, numbers: AbstractSet[int]) -> Mapping[int, str]:
        """Return the wanted lines; stops at a line that is too long."""
        for path in (Path(file), *([self.folder / file] if self.folder else [])):
            try:
                if stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block or consume it
                    return _read(path, numbers)
            except (OSError, ValueError):  # ValueError: a null character in the path
                continue
        return {}


def _read(path: Path, numbers: AbstractSet[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    last = max(numbers, default=0)
    with path.open("rb") as raw:
        mark = raw.read(2)
    codec = "utf-16" if mark in _UTF16_MARKS else "utf-8-sig"
    errors = "replace" if codec == "utf-16" else "surrogateescape"
    with path.open(encoding=codec, errors=errors) as lines:
        number = 1
        while number <= last and (line := lines.readline(LONGEST)) and len(line) < LONGEST:
            if number in numbers:
                found[number] = _legible(line.removesuffix("\n"))
            number += 1
    return found


def _legible(line: str) -> str:
    """Return a line with each byte that is not UTF-8 as most programs on Windows write it."""
    return _UNDECODED.sub(
        lambda byte: bytes([ord(byte[0]) - 0xDC00]).decode("cp1252", "replace"), line
    )


@frozen
class DisplayedLine:
    """A source line as it is displayed, with the cell of each of its characters."""

    text: str
    _starts: tuple[int, ...] = field(repr=False)  # cell of each character, then the end's
    _first: int = 0  # characters cut off at the start

    def marker(self, column: int, end_column: int | None, sign: str) -> tuple[str, str]:
        """Return the row below in two parts: spaces, then `sign` under the span, at least once."""
        start = self._cell(column)
        end = self._cell(end_column) if end_column is not None else self._cell(column + 1)
        return " " * start, sign * max(1, min(end, cell_len(self.text)) - start)

    def _cell(self, column: int) -> int:
        return self._starts[min(max(column - 1 - self._first, 0), len(self._starts) - 1)]


def displayed_line(
    line: str, *, width: int, focus: int = 1, hide_from: int | None = None
) -> DisplayedLine:
    """Return `line` cut to `width` cells around the column `focus`.

    From column `hide_from` on it is masked, because it may be a secret.
    """
    shown = line if hide_from is None else line[: hide_from - 1]
    # A line may have millions of characters; a few times the width is enough.
    around = min(max(focus, 1), len(shown) + 1)
    first = max(0, around - 1 - _WINDOW * width)
    window = shown[first : around + _WINDOW * width]
    missing = _Missing(first > 0, first + len(window) < len(shown))
    pieces = [TAB if c == "\t" else visible_character(c) for c in window]
    if hide_from is not None and not missing.right:
        pieces.append(MASK)
    starts = [0]
    for piece in pieces:
        starts.append(starts[-1] + cell_len(piece))
    if starts[-1] <= width and not any(missing):
        return DisplayedLine("".join(pieces), tuple(starts))
    text, cells = _cut(pieces, starts, width, focus - first, missing)
    return DisplayedLine(text, cells, first)


class _Missing(NamedTuple):
    """Whether characters were cut off already on either side."""

    left: bool
    right: bool


def _cut(
    pieces: list[str], starts: list[int], width: int, focus: int, missing: _Missing
) -> tuple[str, tuple[int, ...]]:
    """Keep the pieces around `focus` that fit; an ellipsis replaces the others."""
    at = starts[min(max(focus - 1, 0), len(pieces))]
    left = max(0, min(at - CONTEXT, starts[-1] - width + 1))
    first = next(i for i, start in enumerate(starts) if start >= left)
    lead = "…" if first or missing.left else ""
    room = width - len(lead)
    last = len(pieces)
    if starts[last] - starts[first] > room - missing.right:
        last = max(i for i, start in enumerate(starts) if start - starts[first] <= room - 1)
    tail = "…" if last < len(pieces) or missing.right else ""
    offset = len(lead) - starts[first]
    end = starts[last] + offset
    cells = tuple(min(max(start + offset, 0), end) for start in starts)
    return lead + "".join(pieces[first:last]) + tail, cells
