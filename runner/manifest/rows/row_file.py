"""Reads `from:` files, which must be in the manifest's folder, line by line (manifest.md, R009)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.manifest.problem_collector import Collector
from runner.manifest.regular_file import open_regular

MAX_LINE = 1_048_576
"""Longest line, in characters."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_CODECS = {"utf-8": "utf-8-sig", "windows-1252": "cp1252", "iso-8859-1": "iso-8859-1"}
_RECODE = (
    "save the file as UTF-8, or name its `encoding` at the `from` entry, such as "
    "`encoding: windows-1252`"
)
_SHOWN = 60
"""Characters of a line's end that are shown."""


def _undecoded(line: str) -> re.Match[str] | None:
    return None if line.isascii() else _NOT_UTF8.search(line)


def is_undecoded(line: str) -> bool:
    """Return whether a line has a byte that could not be decoded."""
    return _undecoded(line) is not None


class BadRow(Exception):
    """A problem after which the rest of a file cannot be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file inside the manifest's folder. `shown` is its path as places show it."""

    path: Path  # links resolved
    shown: str
    encoding: str = "utf-8"  # as the manifest names it

    def lines(self, problems: Collector) -> Iterator[str]:
        """Yield the lines with their ends; a line that `is_undecoded` must not be used.

        Adds a problem for the first byte that cannot be decoded, and a warning for a last line
        without a line end: the file may be cut off. Raises `BadRow` for a line that is too long.
        """
        with TextIOWrapper(
            open_regular(self.path),
            encoding=_CODECS[self.encoding],
            errors="surrogateescape",
            newline="",
        ) as file:
            number, line, sound = 0, "", True
            while text := file.readline(MAX_LINE):
                number, line = number + 1, text
                if len(line) == MAX_LINE:
                    message = "the line is longer than 1,048,576 characters"
                    raise self.bad(message, "check the line ends and the quotes", number)
                if sound and (found := _undecoded(line)):
                    sound = False  # the encoding is wrong for the whole file: reported once
                    problems.add(self._not_utf8(found, number))
                yield line
        if line.strip() and not line.endswith(("\n", "\r")):
            problems.add(self._without_end(line, number))

    def _not_utf8(self, found: re.Match[str], line: int) -> Problem:
        message = f"the byte 0x{ord(found[0]) - 0xDC00:02x} is not {self.encoding.upper()}"
        place = Place(self.shown, line, found.start() + 1)
        return Problem("R009", message, place, _RECODE)

    def _without_end(self, line: str, number: int) -> Problem:
        end = line if len(line) <= _SHOWN else "…" + line[1 - _SHOWN :]
        message = f"the last line has no line end, so the file may be cut off: `{end}`"
        fix = "compare the last row with its source; if it is complete, end the file with a line break"
        place = Place(self.shown, number, 1, len(line) + 1)
        return Problem("R009", message, place, fix, Severity.WARNING)

    def bad(self, message: str, fix: str, line: int, column: int = 1) -> BadRow:
        """Return the error that ends the reading of this file."""
        problem = Problem("R009", message, Place(self.shown, line, column), fix)
        return BadRow(problem)


def open_row_file(
    written: str, manifest: str, place: Place, encoding: str = "utf-8"
) -> RowFile | Problem:
    """Return the file that `from: written` names, or the problem with it at `place`."""
    folder = Path(manifest).parent
    fix = "move the file beside the manifest, or to a folder there"
    if Path(written).is_absolute():
        return Problem("R009", "`from` must be a relative path", place, fix)
    try:
        if not (folder / written).resolve().is_relative_to(folder.resolve()):
            return Problem("R009", f"`{written}` is outside the manifest's folder", place, fix)
        path = (folder / written).resolve(strict=True)
        if path.is_file():
            open_regular(path).close()
            return RowFile(path, str(folder / written), encoding)
    except (OSError, RuntimeError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "a circular link").lower()
        fix = "check the path, which starts at the manifest's folder"
        return Problem("R009", f"the file `{written}` cannot be read: {why}", place, fix)
    return Problem("R009", f"`{written}` is not a file", place, "name a .csv or .jsonl file")
