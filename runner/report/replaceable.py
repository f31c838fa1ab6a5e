"""Keeps `report` from replacing what it did not write: a row list, a saved plan, a signed report.

A report can be rendered again from the journal; what else lies under its name often cannot.
"""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.errors import UsageError
from runner.report.formats.registry import FORMATS
from runner.report.pdf import PDF
from runner.report.writer import SIGNED_HEAD

REPORT_FILES = (*(each.file for each in FORMATS.values()), PDF)
"""The names of the reports in a folder, which `audit sign` signs."""

MOST_READ = 1024
"""Bytes of a file that are looked at."""


def check_replaceable(path: Path, form: str, beginning: re.Pattern[str]) -> None:
    """Refuse a file that is not an earlier report in the format `form`, which begins so.

    An empty file holds nothing that could be lost; a report that was signed is refused too. Raises
    `UsageError`.
    """
    check_unsigned(path)
    if path.exists() and not _begins(path, beginning):
        raise UsageError(f"{path} exists and is not a report as {form}; give --out another name")


def check_unsigned(path: Path) -> None:
    """Refuse a report in a folder whose reports were signed.

    What is rendered now has other bytes, and nobody has signed a further format. Raises `UsageError`.
    """
    if path.name in REPORT_FILES and (path.parent / SIGNED_HEAD).exists():
        raise UsageError(
            f"{path.parent} was signed, and would not be what was signed with a new {path.name}:"
            " write a copy with --out FOLDER"
        )


def _begins(path: Path, beginning: re.Pattern[str]) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            text = file.read(MOST_READ)
    except OSError:
        return False
    return not text or beginning.match(text.decode("utf-8", "replace")) is not None
