"""Turns the live view into terminal sequences that draw and erase it.

The cursor stays on a blank line above the view, and everything below it is erased. So it does not
matter whether a terminal rewraps lines when its size changes. No other state of the terminal is
changed: a run that is killed leaves no hidden cursor, and typed text appears on the blank line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from runner.console.live.view import Line, Style
from runner.console.terminal_text import Paint

USUAL = (80, 24)

ERASE = "\r\x1b[J"
END_OF_LINE = "\x1b[K\r\n"

Picture = Callable[[int, int], Sequence[Line]]
"""Returns the view's lines for a number of columns and rows."""


def terminal_size(descriptor: int | None) -> tuple[int, int]:
    """Return the terminal's present columns and rows; 80 by 24 if they are unknown."""
    try:
        columns, rows = os.get_terminal_size(-1 if descriptor is None else descriptor)
    except (OSError, ValueError):
        return USUAL
    return columns or USUAL[0], rows or USUAL[1]


def painted(lines: Sequence[Line], paint: Paint) -> str:
    """Return the text that draws lines below the cursor and moves the cursor back."""
    if not lines:
        return ERASE
    tones: dict[Style, Callable[[str], str]] = {
        Style.FAINT: paint.faint,
        Style.GOOD: paint.green,
        Style.WARN: paint.yellow,
        Style.BAD: paint.red,
    }
    texts = ["".join(tones.get(part.tone, str)(part.text) for part in line) for line in lines]
    return f"\r{END_OF_LINE.join(['', *texts])}\x1b[J\x1b[{len(lines)}A\r"


def fitted(picture: Picture, size: tuple[int, int]) -> Sequence[Line]:
    """Return the lines for a terminal's size, less a column and two rows, so that nothing scrolls."""
    columns, rows = size
    return picture(columns - 1, rows - 2) if rows > 2 else []  # noqa: PLR2004 - no room at all
