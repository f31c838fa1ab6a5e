"""Puts the live view on a terminal and takes it off again, whatever the window's size became.

The cursor is parked on a blank line above the view. From there the view is erased by its anchor
alone, without counting lines: where a terminal that is made narrower breaks lines anew, or does
not, makes no difference. Nothing else of the terminal is changed: a run that is killed leaves no
hidden cursor behind, and what is typed meanwhile lands on the blank line.
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
"""Lays the view out for a number of columns and rows."""


def terminal_size(descriptor: int | None) -> tuple[int, int]:
    """Return columns and rows of a terminal, asked anew; 80 by 24 where it does not tell."""
    try:
        columns, rows = os.get_terminal_size(-1 if descriptor is None else descriptor)
    except (OSError, ValueError):
        return USUAL
    return columns or USUAL[0], rows or USUAL[1]


def painted(lines: Sequence[Line], paint: Paint) -> str:
    """Return what draws these lines below the cursor's and brings it back."""
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
    """Lay a view out for a terminal: a column and two rows stay free, so that nothing scrolls."""
    columns, rows = size
    return picture(columns - 1, rows - 2) if rows > 2 else []  # noqa: PLR2004 - no room at all
