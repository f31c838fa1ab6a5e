"""Cuts a manifest's first lines for the report: bounded, and without possible secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from runner.core.frozen import frozen

LINE_LIMIT = 2_000
"""Most lines kept."""

WIDTH_LIMIT = 500
"""Most characters kept of a line."""

SIZE_LIMIT = 200_000
"""Most characters kept of all lines."""

READ_LIMIT = 1_000_000
"""Most characters read: a manifest may have 64 million."""

HIDDEN = "[hidden]"

_LINE_BREAK = re.compile(r"\r\n|\r|\n")

# Linear in a line's length: no repetition precedes the searched text.
# References to secrets are mappings and are kept: they name a place, not the secret.
_NAME = (
    r"""(?P<name>(?:authorization|-auth|token|secret|password|passwd|cookie|credential"""
    r"""|api[_-]?key|-key)["']?\s*:"""
)
_SECRET = re.compile(
    _NAME + r"""\s+(?:[&*!]\S+\s+)?)(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[|>][-+0-9]*|["'].*"""
    r"""|[^\s{\[#&*!|>"'][^,}#]*)""",
    re.IGNORECASE,
)
_ON_THE_NEXT_LINE = re.compile(_NAME + r"\s*(?:#.*)?$)", re.IGNORECASE)
_REFERENCE = re.compile(r"""\s*(?:\{|["']?(?:env|file|command)["']?\s*:|#|$)""")


@frozen
class ManifestExcerpt:
    """The first lines of a manifest, and how many it has in all."""

    lines: tuple[str, ...]
    total: int


def excerpt(text: str) -> ManifestExcerpt:
    """Return a manifest's first lines, cut to the size of a report.

    Plain text that may be a secret, in a header or a comment, is hidden: the loader refuses it only
    where a reference is required.
    """
    kept: list[str] = []
    size = 0
    lines = _LINE_BREAK.split(text[:READ_LIMIT])
    if len(lines) > 1 and (not lines[-1] or len(text) > READ_LIMIT):
        lines.pop()  # empty, or an incomplete line
    for line in _without_secrets(map(_cut, lines)):
        size += len(line)
        if len(kept) == LINE_LIMIT or size > SIZE_LIMIT:
            break
        kept.append(line)
    return ManifestExcerpt(tuple(kept), _count(text))


def _count(text: str) -> int:
    breaks = text.count("\n") + text.count("\r") - text.count("\r\n")
    return breaks + (not text.endswith(("\n", "\r")))


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH_LIMIT else line[: WIDTH_LIMIT - 1] + "…"


def _without_secrets(lines: Iterable[str]) -> Iterator[str]:
    below: int | None = None  # the indentation of a key whose text continues below it
    awaited = False  # the line before ended with a key without its value
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        if below is not None and (not line.strip() or indent > below):
            yield " " * indent + HIDDEN if line.strip() else ""
            continue
        below = None
        if awaited and not _REFERENCE.match(line):
            yield " " * indent + HIDDEN
            below, awaited = indent - 1, False
            continue
        awaited = bool(_ON_THE_NEXT_LINE.search(line))
        found = _SECRET.search(line)
        if found is None:
            yield line
            continue
        if found["value"][0] in "|>":
            below = indent
        yield _SECRET.sub(rf"\g<name>{HIDDEN}", line)
