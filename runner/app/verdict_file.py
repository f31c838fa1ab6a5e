"""Reads a person's verdicts on doubts from a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from runner.app.resolve import Resolution, Verdict
from runner.core.errors import UsageError
from runner.manifest.regular_file import open_regular

COLUMNS = ("key", "verdict", "reason")


def read_verdicts(path: Path) -> list[Verdict]:
    """Return the verdicts of a file with the columns key, verdict and reason.

    Raises `UsageError`, naming the line, for one that cannot be used: then none is.
    """
    try:
        with open_regular(path) as stream:
            text = stream.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); name a CSV file in UTF-8") from error
    try:
        verdicts = list(_verdicts(path, text))
    except csv.Error as error:
        raise UsageError(f"{path} is not CSV ({error}); check its quotes") from error
    keys = [verdict.key for verdict in verdicts]
    if twice := next((key for n, key in enumerate(keys) if key in keys[:n]), None):
        raise UsageError(f"{path} has two verdicts on {twice}; keep one of them")
    return verdicts


def _verdicts(path: Path, text: str) -> Iterator[Verdict]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise UsageError(
            f"{path} has no column `{missing[0]}`; begin it with the line {','.join(COLUMNS)}"
        )
    for row in rows:
        key, word, reason = ((row[name] or "").strip() for name in COLUMNS)
        line = f"{path}:{rows.line_num}"
        if word not in set(Resolution):
            words = " or ".join(Resolution)
            raise UsageError(f"{line}: the verdict is `{word}`; write {words}")
        if not key or not reason:
            raise UsageError(f"{line}: the {'reason' if key else 'key'} is empty; write it")
        yield Verdict(key, Resolution(word), reason)
