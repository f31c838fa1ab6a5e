"""Opens `from:` files: inside the manifest's folder, UTF-8, line by line (manifest.md, R009)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runner.core.problem import Place, Problem

MAX_LINE = 1_048_576
"""Characters of the longest line; a row that is longer is none."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class BadRow(Exception):
    """What is wrong with a row, and where; `final` when nothing after it can be trusted."""

    def __init__(self, problem: Problem, *, final: bool = False) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.final = final


@dataclass(frozen=True, slots=True)
class RowFile:
    """A file inside the manifest's folder. `shown` is its path as places show it."""

    path: Path  # links resolved
    shown: str

    def lines(self) -> Iterator[str]:
        """Yield the lines with their ends; raises `BadRow` for what is not UTF-8, or endless."""
        with self.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            number = 0
            while line := file.readline(MAX_LINE):
                number += 1
                if not line.isascii() and (found := _NOT_UTF8.search(line)):
                    byte = ord(found[0]) - 0xDC00
                    message = f"the byte 0x{byte:02x} is not UTF-8"
                    raise self.bad(message, "save the file as UTF-8", number, found.start() + 1)
                if len(line) == MAX_LINE:
                    message = "the line is longer than 1,048,576 characters"
                    raise self.bad(message, "check the line ends and the quotes", number)
                yield line

    def bad(self, message: str, mend: str, line: int, column: int = 1) -> BadRow:
        """Return the fault that ends the reading of this file."""
        problem = Problem("R009", message, Place(self.shown, line, column), mend)
        return BadRow(problem, final=True)


def open_row_file(written: str, manifest: str, place: Place) -> RowFile | Problem:
    """Return the file that `from: written` names, or the problem with it at `place`."""
    folder = Path(manifest).parent
    mend = "put the file beside the manifest, or into a folder beside it"
    if Path(written).is_absolute():
        return Problem("R009", "`from` is an absolute path", place, mend)
    try:
        if not (folder / written).resolve().is_relative_to(folder.resolve()):
            return Problem("R009", f"`{written}` leads out of the manifest's folder", place, mend)
        path = (folder / written).resolve(strict=True)
        if path.is_file():
            path.open("rb").close()
            return RowFile(path, str(folder / written))
    except (OSError, RuntimeError, ValueError) as error:
        why = (getattr(error, "strerror", None) or "a link that leads in circles").lower()
        mend = "the path starts at the manifest's folder; check it"
        return Problem("R009", f"the file `{written}` cannot be read: {why}", place, mend)
    return Problem("R009", f"`{written}` is not a file", place, "name a .csv or .jsonl file")
