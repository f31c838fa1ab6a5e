"""Reads rows from CSV (RFC 4180) with a header; delimiter and encoding are never guessed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter

from runner.core.diagnostics.problem import Place, Problem
from runner.core.number_text import counted
from runner.manifest.near_misses import (
    GUARDED,
    columns_entry,
    probable_name,
    report_near_miss,
)
from runner.manifest.problem_collector import Collector
from runner.manifest.reference_resolver import LocatedValue
from runner.manifest.rows.columns import Columns
from runner.manifest.rows.row_file import BadRow, Lines, RowFile, is_undecoded
from runner.manifest.rows.row_sources import FIELDS, Block, TakeBlock, Values, refuse_blocks
from runner.manifest.suggestions import list_names
from runner.manifest.value_text import truncate


class CsvRows:
    """The rows of a CSV file; `columns` maps fields to columns, see `RowSource` for the rest."""

    def __init__(  # noqa: PLR0917 - the parts of a reader
        self,
        name: str,
        file: RowFile,
        columns: Columns,
        shared: Mapping[str, LocatedValue],
        problems: Collector,
        delimiter: str = ",",
    ) -> None:
        self.name = name
        self.blank_is_absent = True
        self.is_file = True
        self.shared = shared
        self._file = file
        self._columns = columns
        self._delimiter = delimiter
        self._problems = problems
        self._indexes: dict[str, int] = {}
        self._record: list[str] = []  # the lines of the record read last
        self._line = 1
        self._lines: Lines  # while the file is read
        self._header: Place | None = None

    def rows(self, take: TakeBlock = refuse_blocks) -> Iterator[tuple[int, int, Values]]:
        """Yield each row's line as its position, again as its line, and its values."""
        try:
            records = self._records()
            header = next(records, None)
            if not header:
                if any(
                    records
                ):  # a file of blank lines has no rows, which `TransferReader` reports
                    self._line = 1
                    self._refuse(
                        "the file does not begin with a header",
                        f"begin it with {_header(is_list=self._file.is_list)}",
                    )
            elif not self._has_line_break(header, header) and self._read_header(header):
                yield from self._values(records, header, take)
        except BadRow as bad:
            self._problems.add(bad.problem)

    def where(self, field: str, *_part: str | int) -> Place:
        """Return the place of a cell of the last row, or of the row if it has no such cell."""
        return self._cell(self._indexes.get(field))

    def header(self, field: str) -> Place | None:
        """See `RowSource`."""
        return None if field in self._indexes else self._header

    def column(self, field: str) -> str | None:
        """See `RowSource`."""
        return self._columns.names.get(field, field) if field in self._indexes else None

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """See `RowSource`; reads the file once more."""
        places: dict[int, Place] = {}
        self._problems = Collector()  # the file's problems are reported already
        for cells in self._records():
            if cells and (field := wanted.get(self._line)) is not None:
                index = self._indexes.get(field)
                filled = index is not None and cells[index]
                places[self._line] = self.where(field if filled else "interaction_id")
                if len(places) == len(wanted):
                    break  # the end of the file may be unreadable
        return places

    def _values(
        self, records: Iterator[list[str]], header: list[str], take: TakeBlock
    ) -> Iterator[tuple[int, int, Values]]:
        width = len(header)
        # A field without a column reads the empty cell that is appended to every row.
        pick = itemgetter(*(self._indexes.get(field, width) for field in FIELDS))
        while True:
            self._take_blocks(width, take)
            if (cells := next(records, None)) is None:
                return
            if self._has_line_break(cells, header) or any(map(is_undecoded, self._record)):
                continue
            if not any(
                cells
            ):  # an empty line, or `,,,`, which spreadsheets write below the last row
                continue
            if len(cells) == width:
                cells.append("")
                values: Values = pick(cells)
                if self._columns.prefixes:
                    values = self._columns.complete(values)
                yield self._line, self._line, values
            else:
                message = f"the row has {counted(len(cells), 'cell')}, the header {width}"
                fix = "add or remove commas; put double quotes around a cell that contains a comma"
                self._problems.add(Problem("R009", message, self._cell(None), fix))

    def _take_blocks(self, width: int, take: TakeBlock) -> None:
        """Give away whole blocks of rows, as long as there is nothing to say about them."""
        while (lines := self._lines.block()) is not None:
            rows = self._block(lines, width)
            if rows is None or not take(rows):
                return
            self._lines.skip(len(lines))

    def _block(self, lines: list[str], width: int) -> Block | None:
        """Return lines as rows, if each line is one row with as many cells as the header."""
        try:
            records = list(csv.reader(lines, strict=True, delimiter=self._delimiter))
        except csv.Error:
            return None
        if len(records) != len(lines) or set(map(len, records)) != {width}:
            return None
        cells = list(zip(*records, strict=True))
        begin, prefixes = self._lines.number + 1, self._columns.prefixes
        numbers = range(begin, begin + len(lines))
        columns: dict[str, Sequence[str | None]] = {}
        for field, index in self._indexes.items():
            columns[field] = cells[index]
            if (prefix := prefixes.get(field)) is not None:
                columns[field] = [prefix + cell if cell else cell for cell in cells[index]]
        return Block(numbers, numbers, columns)

    def _has_line_break(self, cells: list[str], header: list[str]) -> bool:
        """Refuse a cell of several lines: two stray quotes would hide the rows between them."""
        if len(self._record) <= 1:
            return False
        index = next((n for n, cell in enumerate(cells) if _LINE_BREAK.search(cell)), None)
        if index is None:
            return False
        named = f" of the column `{truncate(header[index])}`" if index < len(header) else ""
        last = self._line + len(self._record) - 1
        message = f"this cell{named} has a line break: it goes on to line {last}"
        self._refuse(message, _NO_LINE_BREAK, index)
        return True

    def _records(self) -> Iterator[list[str]]:
        record = self._record

        def kept() -> Iterator[str]:
            for line in lines:
                record.append(line)
                yield line

        with self._file.lines(self._problems) as lines:
            self._lines = lines
            reader = csv.reader(kept(), strict=True, delimiter=self._delimiter)
            while True:
                record.clear()
                self._line = lines.number + 1
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    raise self._not_csv(str(error)) from None
                if cells is None:
                    return
                yield cells

    def _not_csv(self, reason: str) -> BadRow:
        if "field limit" in reason:
            message = f"a cell of this row is longer than {csv.field_size_limit():,} characters"
            return self._file.bad(message, f"shorten it, or {_CLOSE}", self._line)
        line, column, is_open = broken_quote("".join(self._record), self._delimiter)
        message = "there is more text after the quote that closes a cell"
        if is_open:
            message = "the quote that opens this cell is never closed"
        return self._file.bad(f"not CSV: {message}", _CLOSE, self._line + line, column + 1)

    def _read_header(self, header: list[str]) -> bool:
        refused: set[str] = set()
        for field in FIELDS:
            column = self._columns.names.get(field, field)
            if column in header:
                self._indexes[field] = header.index(column)
                if header.count(column) > 1:
                    index = header.index(column, self._indexes[field] + 1)
                    fix = "rename or delete one of them"
                    self._refuse(f"the column `{column}` appears twice", fix, index)
            elif field in self._columns.names or field == "interaction_id":
                message, fix, near = (
                    _missing_id(header, self._delimiter)
                    if self._file.is_list
                    else _missing(field, column, header, self._delimiter)
                )
                refused.update([field] if near is None else [field, near])
                self._refuse(message, fix, None if near is None else header.index(near))
        unread = set(header) - {header[index] for index in self._indexes.values()} - refused
        unfilled = {
            field: field for field in FIELDS if field not in self._indexes and field not in refused
        }
        filled = sorted(GUARDED & self._indexes.keys() - self._columns.names.keys())
        for name in () if self._file.is_list else sorted(unread):
            where = partial(self._cell_called, name, header)
            report_near_miss(name, unfilled, filled, where, self._problems)
        self._header = self._cell(None)
        return "interaction_id" in self._indexes

    def _refuse(self, message: str, fix: str, index: int | None = None) -> None:
        self._problems.add(Problem("R009", message, self._cell(index), fix))

    def _cell_called(self, name: str, header: list[str]) -> Place:
        return self._cell(header.index(name))

    def _cell(self, index: int | None) -> Place:
        line, column, end = cell_span("".join(self._record), index or 0, self._delimiter)
        if index is None:
            return Place(self._file.shown, self._line, 1)
        return Place(self._file.shown, self._line + line, column + 1, end and end + 1)


def _header(*, is_list: bool) -> str:
    names = "interaction_id" if is_list else "interaction_id,destination_uri"
    return f"a line that names its columns, such as `{names}`"


_CLOSE = 'close every quote that opens a cell, and write "" for a quote inside one'
_NO_LINE_BREAK = (
    "write the cell on one line; if a stray quote opens it, remove that quote, or write the cell "
    'in quotes with "" for each quote inside'
)
_LINE_BREAK = re.compile("[\r\n]")
_SEPARATORS = {",": "commas", ";": "`;`", "\t": "tabs", "|": "`|`"}


def _missing_id(header: list[str], delimiter: str) -> tuple[str, str, str | None]:
    """Return the same as `_missing` for a list of ids, which is read in one way only."""
    message = "the file has no column `interaction_id`"
    if len(header) == 1 and (found := next((c for c in _SEPARATORS if c in header[0]), None)):
        own = _SEPARATORS[delimiter]
        message = f"the columns are separated by {_SEPARATORS[found]}, not by {own}"
        return message, f"save the file with {own}", header[0]
    there = list_names(filter(None, header), "the file has")
    if (near := probable_name("interaction_id", "interaction_id", header)) is not None:
        return message, f"call the column `{near}` `interaction_id`", near
    return message, f"call the column that has the ids `interaction_id`; {there}", None


def _missing(
    field: str, column: str, header: list[str], delimiter: str
) -> tuple[str, str, str | None]:
    """Return message and fix for a missing column, and the column that is probably meant."""
    message = f"the file has no column `{column}`"
    for separator, spoken in _SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            message = f"the columns are separated by {spoken}, not by {_SEPARATORS[delimiter]}"
            fix = f"add `delimiter: {json.dumps(separator)}` to the `from` entry"
            if header[0].startswith("sep="):  # what a spreadsheet writes above the header
                fix = f"delete this line, which only spreadsheets understand, and {fix}"
            return message, fix, header[0]
    if (near := probable_name(field, column, header)) is not None:
        return message, f"did you mean `{near}`? then write {columns_entry(field, near)}", near
    is_header = any(name.strip().casefold() in FIELDS for name in header)
    fix = (
        "add it"
        if is_header or column != field
        else f"begin the file with {_header(is_list=False)}"
    )
    there = list_names(filter(None, header), "the file has")
    return (
        message,
        f"{fix}, or name the column that has it: {columns_entry(field, 'COLUMN')}; {there}",
        None,
    )


def broken_quote(record: str, delimiter: str = ",") -> tuple[int, int, bool]:
    """Return line and column, from 0, of a record's broken quote, and whether it is left open."""
    begin, at, is_open = 0, 0, False
    around = (
        "",
        delimiter,
        "\r",
        "\n",
    )  # allowed before an opening and after a closing quote
    while at < len(record):
        before, after = record[at - 1 : at], record[at + 1 : at + 2]
        if record[at] == '"' and not is_open and before in around:
            begin, is_open = at, True
        elif record[at] == '"' and is_open and after == '"':
            at += 1
        elif record[at] == '"' and is_open:
            if after not in around:
                return *_line_and_column(record, at + 1), False
            is_open = False
        at += 1
    return *_line_and_column(record, begin), is_open


def _line_and_column(record: str, at: int) -> tuple[int, int]:
    lines = re.split(r"\r\n|\r|\n", record[:at])
    return len(lines) - 1, len(lines[-1])


def cell_span(record: str, index: int, delimiter: str = ",") -> tuple[int, int, int | None]:
    """Return a cell's line and column, from 0, in its record, and its end on that line if any."""
    cell, quoted, line, column = 0, False, 0, 0
    start = (0, 0)
    for at, character in enumerate(record):
        ends = character in (delimiter, "\r", "\n") and not quoted
        if ends and cell == index:
            return *start, column if line == start[0] and column > start[1] else None
        if character == '"':
            quoted = not quoted
        if character == "\n" or (character == "\r" and record[at + 1 : at + 2] != "\n"):
            line, column = line + 1, 0
        else:
            column += 1
        if ends:
            cell, start = cell + 1, (line, column)
    return *start, column if line == start[0] and column > start[1] else None
