"""Reads `from:` files, which must be in the manifest's folder, line by line (manifest.md, R009)."""

from __future__ import annotations

import re
from contextlib import suppress
from io import SEEK_END, StringIO, TextIOBase, TextIOWrapper
from pathlib import Path
from typing import Self

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.core.frozen import frozen
from runner.manifest.problem_collector import Collector
from runner.manifest.regular_file import NOT_THERE, open_regular, path_fault

MAX_LINE = 1_048_576
"""Longest line, in characters."""

_FIRST_BLOCK = 8_192
"""Bytes that are read at first: these rows are read one by one, whatever they are."""

_BLOCK = 131_072
"""Bytes that are read at once after that."""

_UTF8_FIX = "in a spreadsheet, save it as `CSV UTF-8`; elsewhere, save it as UTF-8. No other Unicode encoding is read"
_SPREADSHEET_FIX = "save the sheet as `CSV UTF-8`, and name that file"
_KINDS = (
    (b"\xff\xfe", "the file is UTF-16, as spreadsheets save `Unicode Text`", _UTF8_FIX),
    (b"\xfe\xff", "the file is UTF-16, as spreadsheets save `Unicode Text`", _UTF8_FIX),
    (b"PK\x03\x04", "the file is a workbook or an archive, not text", _SPREADSHEET_FIX),
    (b"\xd0\xcf\x11\xe0", "the file is a workbook, not text", _SPREADSHEET_FIX),
)
"""How files of other kinds begin, what they are, and what to do."""

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


@frozen
class RowFile:
    """A file inside the manifest's folder. `shown` is its path as places show it."""

    path: Path  # links resolved
    shown: str
    encoding: str = "utf-8"  # as the manifest names it
    is_list: bool = (
        False  # of `exclude_from`: ids alone, and no entry that could say how to read it
    )

    def lines(self, problems: Collector) -> Lines:
        """Return a reader of the file's lines, which adds problems of lines to `problems`."""
        return Lines(self, problems)

    def not_utf8(self, found: re.Match[str], line: int) -> Problem:
        """Return the problem of a byte that cannot be decoded."""
        message = f"the byte 0x{ord(found[0]) - 0xDC00:02x} is not {self.encoding.upper()}"
        place = Place(self.shown, line, found.start() + 1)
        fix = "save the file as UTF-8" if self.is_list else _RECODE
        return Problem("R009", message, place, fix)

    def without_end(self, line: str, number: int) -> Problem:
        """Return the warning about a last line without a line end."""
        end = line if len(line) <= _SHOWN else "…" + line[1 - _SHOWN :]
        message = f"the last line has no line end, so the file may be cut off: `{end}`"
        fix = "compare the last row with its source; if it is complete, end the file with a line break"
        place = Place(self.shown, number, 1, len(line) + 1)
        return Problem("R009", message, place, fix, Severity.WARNING)

    def bad(self, message: str, fix: str, line: int, column: int = 1) -> BadRow:
        """Return the error that ends the reading of this file."""
        problem = Problem("R009", message, Place(self.shown, line, column), fix)
        return BadRow(problem)


class Lines:
    """The lines of a file with their ends; a line that `is_undecoded` must not be used.

    Whole blocks of lines can be taken at once: `block` shows the next ones, and `skip` passes over
    them. Adds a problem for the first byte that cannot be decoded, and a warning for a last line
    without a line end: the file may be cut off. Raises `BadRow` for a line that is too long. Use it
    as a context manager, or read it to its end.
    """

    def __init__(self, file: RowFile, problems: Collector) -> None:
        self.number = 0  # of the line read last
        self._file = file
        self._problems = problems
        self._codec = _CODECS[file.encoding]
        self._raw = open_regular(file.path)
        self._at = 0  # the next block's place in the file
        self._size = _FIRST_BLOCK
        self._text = ""  # of this block; empty: the rest of the file is read line by line
        self._lines: TextIOBase = StringIO()
        self._untouched = False  # nothing of the block was read or shown
        self._last = ""
        self._sound = True  # no byte was found that cannot be decoded

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._lines.close()
        self._raw.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._lines.readline(MAX_LINE) or self._first_of_next()
        self._untouched = False
        self.number += 1
        self._last = line
        if len(line) == MAX_LINE:
            message = "the line is longer than 1,048,576 characters"
            raise self._file.bad(message, "check the line ends and the quotes", self.number)
        if self._sound and (found := _undecoded(line)):
            self._sound = False  # the encoding is wrong for the whole file: reported once
            self._problems.add(self._file.not_utf8(found, self.number))
        return line

    def block(self) -> list[str] | None:
        """Return the next lines without their ends, once; None: read on line by line.

        They are the lines that line by line reading gives, all of them decoded.
        """
        if self._text and self._lines.tell() == len(self._text):
            self._load()
        text = self._text
        if not self._untouched or not text or text.count("\r") != text.count("\r\n"):
            return None
        self._untouched = False
        if is_undecoded(text):
            return None
        return text.replace("\r\n", "\n").split("\n")[:-1]

    def skip(self, count: int) -> None:
        """Pass over the lines that `block` returned, `count` of them."""
        self._lines.seek(0, SEEK_END)
        self.number += count
        self._last = "\n"

    def _first_of_next(self) -> str:
        if self.number == 0 or self._text:
            self._load()
            if line := self._lines.readline(MAX_LINE):
                return line
        self.__exit__()
        if self._last.strip() and not self._last.endswith(("\n", "\r")):
            self._problems.add(self._file.without_end(self._last, self.number))
        self._last = ""
        raise StopIteration

    def _load(self) -> None:
        """Read the next block: whole lines, or the rest of the file if there is no line end."""
        data = self._raw.read(self._size)
        if self._at == 0:
            self._refuse_other_kinds(data)
        end = data.rfind(b"\n") + 1
        self._raw.seek(self._at + end)
        codec = self._codec if self._at == 0 else self._codec.removesuffix("-sig")
        if end == 0:
            self._text = ""
            self._lines = TextIOWrapper(self._raw, codec, errors="surrogateescape", newline="")
        else:
            self._text = data[:end].decode(codec, "surrogateescape")
            self._lines = StringIO(self._text, newline="")
        self._at += end
        self._size = _BLOCK
        self._untouched = True

    def _refuse_other_kinds(self, data: bytes) -> None:
        """Raise `BadRow` for a file that is not text with one byte or more a character."""
        found = next((kind[1:] for kind in _KINDS if data.startswith(kind[0])), None)
        if found is None and data[:1] != b"\0" == data[1:2]:
            found = ("the file is UTF-16 without a mark", _UTF8_FIX)
        if found is not None:
            self.__exit__()
            raise self._file.bad(*found, 1)


def open_row_file(
    written: str, manifest: str, place: Place, encoding: str = "utf-8", *, is_list: bool = False
) -> RowFile | Problem:
    """Return the file that `from: written` names, or the problem with it at `place`.

    `is_list`: `exclude_from` names it.
    """
    field = "exclude_from" if is_list else "from"
    folder = Path(manifest).parent
    fix = "move the file beside the manifest, or to a folder there"
    if Path(written).is_absolute():
        return Problem("R009", f"`{field}` must be a relative path", place, fix)
    with suppress(OSError, RuntimeError, ValueError):  # `path_fault` says why
        if not (folder / written).resolve().is_relative_to(folder.resolve()):
            return Problem("R009", f"`{written}` is outside the manifest's folder", place, fix)
    if (why := path_fault(folder / written)) is not None:
        fix = "name a .csv, .tsv, .txt or .jsonl file"
        if why == NOT_THERE:
            fix = "check the path, which starts at the manifest's folder"
        return Problem("R009", f"the file `{written}` cannot be read: {why}", place, fix)
    path = (folder / written).resolve()
    return RowFile(path, str(folder / written), encoding, is_list)
