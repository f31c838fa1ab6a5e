"""Foreign text made fit for a terminal, and its colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from rich.cells import cell_len

MINIMAL_WIDTH = 20
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def visible(text: str) -> str:
    r"""Return `text` on one line, with control, bidi and other unprintable characters escaped.

    What Python's `str.isprintable` refuses is written as `\n`, `\x1b` or `\u{202e}`; whatever a
    manifest, a file or a gateway sends can then neither move the cursor nor forge a line.
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
    """Return harmless `text`, cut to `limit` characters with an ellipsis."""
    shown = visible(text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours a text with ANSI sequences, or leaves it as it is where colour is off."""

    on: bool = False

    def red(self, text: str) -> str:
        """Paint what is wrong."""
        return self._wrap("1;31", text)

    def yellow(self, text: str) -> str:
        """Paint what deserves a look."""
        return self._wrap("1;33", text)

    def green(self, text: str) -> str:
        """Paint what is well."""
        return self._wrap("1;32", text)

    def blue(self, text: str) -> str:
        """Paint the frame around a text."""
        return self._wrap("1;34", text)

    def bold(self, text: str) -> str:
        """Paint a headline."""
        return self._wrap("1", text)

    def faint(self, text: str) -> str:
        """Paint what matters less."""
        return self._wrap("2", text)

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def folded(line: str, width: int | None) -> list[str]:
    """Return a line as lines of at most `width` cells, broken between words and indented.

    A word that is longer stays whole, and so does a command: they are there to be copied.
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
