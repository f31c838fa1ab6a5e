"""Source lines with their spans marked: aligned under tabs and wide characters, cut, harmless."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from rich.cells import cell_len

from runner.console.terminal_text import visible_character

TAB = "    "
MASK = "••••"
CONTEXT = 24
"""Cells kept to the left of a span when its line has to be cut."""

_WINDOW = 8
"""Characters looked at on either side of a span, in widths of the room: some are no cell wide."""

LONGEST = 64_000_000
"""Characters of the longest line that is read at all: a manifest of one line may have as many."""


class Sources(Protocol):
    """Where source lines come from."""

    def lines(self, file: str, numbers: AbstractSet[int]) -> Mapping[int, str]:
        """Return the wanted lines (counted from 1) that can be read; unreadable ones are left out."""


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """Reads source lines from disk; relative paths that lead nowhere are tried in `folder` too."""

    folder: Path | None = None

    def lines(self, file: str, numbers: AbstractSet[int]) -> Mapping[int, str]:
        """Read as far as the last wanted line or one that is too long; keep only those wanted."""
        for path in (Path(file), *([self.folder / file] if self.folder else [])):
            try:
                if stat.S_ISREG(path.stat().st_mode):  # a pipe would wait or be used up
                    return _read(path, numbers)
            except (OSError, ValueError):  # ValueError: a null character in the path
                continue
        return {}


def _read(path: Path, numbers: AbstractSet[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    last = max(numbers, default=0)
    with path.open(encoding="utf-8-sig", errors="replace") as lines:
        number = 1
        while number <= last and (line := lines.readline(LONGEST)) and len(line) < LONGEST:
            if number in numbers:
                found[number] = line.removesuffix("\n")
            number += 1
    return found


@dataclass(frozen=True, slots=True)
class DisplayedLine:
    """One source line ready to be shown, and where each of its characters came to stand."""

    text: str
    _starts: tuple[int, ...] = field(repr=False)  # cell of each character, then the end's
    _first: int = 0  # characters left out before those that have a cell

    def marker(self, column: int, end_column: int | None, sign: str) -> tuple[str, str]:
        """Return the row beneath in two parts: spaces, then `sign` under the span, at least one."""
        start = self._cell(column)
        end = self._cell(end_column) if end_column is not None else self._cell(column + 1)
        return " " * start, sign * max(1, min(end, cell_len(self.text)) - start)

    def _cell(self, column: int) -> int:
        return self._starts[min(max(column - 1 - self._first, 0), len(self._starts) - 1)]


def displayed_line(
    line: str, *, width: int, focus: int = 1, hide_from: int | None = None
) -> DisplayedLine:
    """Prepare `line` for display in `width` cells around the column `focus`.

    From column `hide_from` on the line is masked, for it may be a secret.
    """
    shown = line if hide_from is None else line[: hide_from - 1]
    # A line may have millions of characters; a few times as many as there are cells will do.
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
    """Whether something was left out already on either side."""

    left: bool
    right: bool


def _cut(
    pieces: list[str], starts: list[int], width: int, focus: int, missing: _Missing
) -> tuple[str, tuple[int, ...]]:
    """Keep the pieces around `focus` that fit; an ellipsis stands for what is left out."""
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
