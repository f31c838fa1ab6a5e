"""Foreign text made fit for Markdown, as GitHub renders it and as plain viewers do.

A character reference never takes part in Markdown's structure (CommonMark 0.31, section 2.5), so
whatever could is written as one: neither marks, nor links, nor HTML, nor a table's bars and line
ends come through. Inside `<code>` GitHub looks for no names to notify either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

TEXT_LIMIT = 200
"""Characters of one foreign text."""

_RISKY = re.compile(
    r"[^0-9A-Za-z_ ,/()=%?'\";+.:-]"
    r"|(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])"
    r"|:(?=//)|(?<=www)\.",  # what GitHub makes links of without any mark
    re.IGNORECASE,
)


_MARKER = re.compile(r"\A( +|[=+-]|\d{1,9}[.)](?=\s|\Z))")
"""What begins a list, a headline's underline or a block of code, at the beginning of a line."""


def prose(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return `text` on one line, cut to `limit` characters, as nothing but text."""
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return _MARKER.sub(_begun, _RISKY.sub(_referenced, text))


def code(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return the same as code: names, paths and what a gateway said."""
    return f"<code>{prose(text, limit)}</code>" if text else ""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; cells are Markdown already, without line ends."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _referenced(found: re.Match[str]) -> str:
    character = found[0]
    if character.isprintable():
        return f"&#{ord(character)};" if character.isascii() else character
    point = ord(character)
    named = {"\n": "n", "\r": "r", "\t": "t"}.get(character)
    return "&#92;" + (named or (f"x{point:02x}" if point < 0x100 else f"u{point:04x}"))  # noqa: PLR2004 - two digits end there


def _begun(marker: re.Match[str]) -> str:
    if not (text := marker[0]).strip():
        return "&#32;" * len(text)
    return f"{text[:-1]}&#{ord(text[-1])};"
