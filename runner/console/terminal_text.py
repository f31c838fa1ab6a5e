"""Escapes, shortens, wraps and colours text for a terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from rich.cells import cell_len

from runner.core.frozen import frozen

MINIMAL_WIDTH = 20
_UNSEEN = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")
_LINK = "\x1b]8;"
_BEFORE_DIFFERENCE = 12
"""Characters shown before the place where two texts differ."""


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


def shorten_apart(texts: Sequence[str], limit: int) -> list[str]:
    """Return texts escaped and cut to `limit` characters; those that differ stay different.

    Where a text's beginning is also another's, what differs follows the ellipsis.
    """
    shown = list(map(visible, texts))
    return [_cut(text, _differs_at(text, shown), limit) for text in shown]


def _differs_at(text: str, others: Sequence[str]) -> int:
    """Return the first index at which a text is not as the one that it resembles most."""
    return max((_alike(text, other) for other in others if other != text), default=0)


def _alike(text: str, other: str) -> int:
    """Return with how many of the same characters two texts begin."""
    pairs = enumerate(zip(text, other, strict=False))
    return next((at for at, (one, two) in pairs if one != two), min(len(text), len(other)))


def _cut(text: str, differs_at: int, limit: int) -> str:
    if len(text) <= limit or differs_at < limit - 1:
        return shorten(text, limit)
    head = limit // 2
    begins = max(head, differs_at - _BEFORE_DIFFERENCE)
    begins = min(begins, len(text) - (limit - head - 1))
    return f"{text[:head]}…{shorten(text[begins:], limit - head - 1)}"


@frozen
class Paint:
    """Colours text with ANSI sequences; returns it unchanged if colour is off."""

    on: bool = False
    links: bool = False  # whether the terminal follows links (OSC 8)

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

    def path(self, path: str, target: Path | None = None) -> str:
        """Return a path, as a link to itself or to `target` where the terminal follows links."""
        shown = visible(path)
        if not self.links:
            return shown
        try:
            uri = Path(target or path).absolute().as_uri()
        except (OSError, ValueError):  # the current folder was removed
            return shown
        return f"\x1b]8;;{uri}\x1b\\{shown}\x1b]8;;\x1b\\"

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and text else text


def folded(line: str, width: int | None) -> list[str]:
    """Wrap a line to `width` cells between words; further lines are indented.

    Longer words, commands and links are not broken, so that they can be copied.
    """
    bare = _UNSEEN.sub("", line)
    is_whole = bare.lstrip().startswith("runner ") or _LINK in line
    if width is None or is_whole or cell_len(bare) <= width:
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
