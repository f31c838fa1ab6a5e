"""Escapes, shortens, wraps and colours text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len

from runner.core.frozen import frozen

MINIMAL_WIDTH = 20
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def visible(text: str) -> str:
    r"""Return `text` on one line, with control, bidi and other unprintable characters escaped.

    A character that is not printable (`str.isprintable`) becomes `\n`, `\x1b` or `\u{202e}`. So text
    from a manifest, a file or a gateway can neither move the cursor nor forge a line.
    """
    return text if text.isprintable() else "".join(map(visible_character, text))


def visible_character(character: str) -> str:
    """Return one character as `visible` writes it."""
    if character.isprintable():
        return character
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    point = ord(character)
    return named or (f"\\x{point:02x}" if point < 0x100 else f"\\u{{{point:x}}}")  # noqa: PLR2004 -- the two-digit escapes end there


def shorten(text: str, limit: int) -> str:
    """Return `text` escaped and cut to `limit` characters, with an ellipsis."""
    shown = visible(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


@frozen
class Paint:
    """Colours text with ANSI sequences; returns it unchanged if colour is off."""

    on: bool = False

    def red(self, text: str) -> str:
        """Colour an error."""
        return self._wrap("1;31", text)

    def yellow(self, text: str) -> str:
        """Colour a warning."""
        return self._wrap("1;33", text)

    def green(self, text: str) -> str:
        """Colour a success."""
        return self._wrap("1;32", text)

    def blue(self, text: str) -> str:
        """Colour a frame, such as line numbers."""
        return self._wrap("1;34", text)

    def bold(self, text: str) -> str:
        """Emphasise a headline."""
        return self._wrap("1", text)

    def faint(self, text: str) -> str:
        """Dim a detail."""
        return self._wrap("2", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def folded(line: str, width: int | None) -> list[str]:
    """Wrap a line to `width` cells between words; further lines are indented.

    Longer words and commands are not broken, so that they can be copied.
    """
    bare = _COLOR.sub("", line)
    is_command = bare.lstrip().startswith("runner ")
    if width is None or is_command or cell_len(bare) <= width:
        return [line]
    indent = " " * (len(bare) - len(bare.lstrip()) + 2)
    return wrap(
        line,
        max(width, MINIMAL_WIDTH),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def listed(texts: Sequence[str], most: int = 3) -> str:
    """Return `a`, `a and b`, `a, b and c`, or `a, b, c and 4 more`."""
    shown, rest = list(texts[:most]), len(texts) - most
    if rest > 0:
        return f"{', '.join(shown)} and {rest:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)
