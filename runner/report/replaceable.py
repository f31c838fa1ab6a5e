"""Keeps `report` from replacing what it did not write: a row list, a saved plan.

A report can be rendered again from the journal; what else lies under its name often cannot.
"""

from __future__ import annotations

import re
from pathlib import Path

from runner.core.errors import UsageError

MOST_READ = 1024
"""Bytes of a file that are looked at."""


def check_replaceable(path: Path, form: str, beginning: re.Pattern[str]) -> None:
    """Refuse a file that is not an earlier report in the format `form`, which begins so.

    An empty file holds nothing that could be lost. Raises `UsageError`.
    """
    if path.exists() and not _begins(path, beginning):
        raise UsageError(f"{path} exists and is not a report as {form}; give --out another name")


def _begins(path: Path, beginning: re.Pattern[str]) -> bool:
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            text = file.read(MOST_READ)
    except OSError:
        return False
    return not text or beginning.match(text.decode("utf-8", "replace")) is not None
