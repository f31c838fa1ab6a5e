"""Selects the manifest's lines for the page, and finds the lines that name files of rows."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any, NamedTuple

from runner.core.records.run_record import ReportSource

_FROM = re.compile(r"""\bfrom\s*:\s*(?:"([^"]+)"|'([^']+)'|([^\s,}#]+))""")


class ManifestLines(NamedTuple):
    """The manifest as the page shows it; `files` maps each file of rows to the line that names it."""

    name: str  # the file's name in a transfer's `source`
    lines: tuple[str, ...]
    total: int
    files: dict[str, int]


def shown_lines(source: ReportSource) -> ManifestLines | None:
    """Return the manifest's lines; None if the journal has none."""
    if source.manifest is None:
        return None
    lines = source.manifest.lines
    files: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if (found := _FROM.search(line)) is not None:
            files.setdefault(next(filter(None, found.groups())), number)
    name = PurePath(source.run.manifest_path).name
    return ManifestLines(name, lines, source.manifest.total, files)


def links(shown: ManifestLines | None) -> dict[str, Any] | None:
    """Return the data with which page.js links transfers to lines."""
    if shown is None:
        return None
    return {"name": shown.name, "lines": len(shown.lines), "files": shown.files}
