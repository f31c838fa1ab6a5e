"""Rows from CSV, RFC 4180 as it stands: commas, double quotes, a header; nothing is guessed."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

from runner.core.problem import Place, Problem
from runner.loading.choices import Given
from runner.loading.collector import Collector
from runner.loading.files import BadRow, RowFile
from runner.loading.names import offer
from runner.loading.near_misses import warn_of_near_misses
from runner.loading.rows import FIELDS, Values


class CsvRows:
    """The rows of a CSV file; `columns` renames, see `RowSource` for the rest."""

    def __init__(
        self,
        name: str,
        file: RowFile,
        columns: Mapping[str, str],
        shared: Mapping[str, Given],
        problems: Collector,
    ) -> None:
        self.name = name
        self.blank_is_absent = True
        self.shared = shared
        self._file = file
        self._columns = columns
        self._problems = problems
        self._indexes: dict[str, int] = {}
        self._record: list[str] = []  # the lines of the record read last
        self._line = 1

    def rows(self) -> Iterator[tuple[int, int, Values]]:
        """Yield each row's line twice, as its position too, and its values."""
        try:
            records = self._records()
            header = next(records, None)
            if header is None or not self._understand(header):
                return
            yield from self._values(records, len(header))
        except BadRow as bad:
            self._problems.add(bad.problem)

    def where(self, at: str, *_part: str | int) -> Place:
        """Return the cell of the row yielded last; the row's begin if it has no such cell."""
        return self._cell(self._indexes.get(at))

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """See `RowSource`; reads the file once more."""
        places: dict[int, Place] = {}
        for cells in self._records():
            if cells and (at := wanted.get(self._line)) is not None:
                index = self._indexes.get(at)
                filled = index is not None and cells[index]
                places[self._line] = self.where(at if filled else "interaction_id")
        return places

    def _values(
        self, records: Iterable[list[str]], width: int
    ) -> Iterator[tuple[int, int, Values]]:
        # A field without a column reads the empty cell that is appended to every row.
        pick = itemgetter(*(self._indexes.get(at, width) for at in FIELDS))
        for cells in records:
            if len(cells) == width:
                cells.append("")
                yield self._line, self._line, pick(cells)
            elif cells:  # an empty line is no row
                message = f"the row has {len(cells)} cells, the header {width}"
                mend = "add or remove commas; put double quotes around a cell that holds a comma"
                self._problems.add(Problem("R009", message, self._cell(None), mend))

    def _records(self) -> Iterator[list[str]]:
        record = self._record

        def kept() -> Iterator[str]:
            for line in self._file.lines():
                record.append(line)
                yield line

        reader = csv.reader(kept(), strict=True)
        while True:
            record.clear()
            self._line = reader.line_num + 1
            try:
                cells = next(reader, None)
            except csv.Error as error:
                mend = 'close every quote that opens a cell, and write "" for a quote inside one'
                raise self._file.bad(f"not CSV: {error}", mend, self._line) from None
            if cells is None:
                return
            yield cells

    def _understand(self, header: list[str]) -> bool:
        for at in FIELDS:
            column = self._columns.get(at, at)
            if column in header:
                self._indexes[at] = header.index(column)
                if header.count(column) > 1:
                    self._refuse(f"the column `{column}` stands twice", "rename one of them", at)
            elif at in self._columns or at == "interaction_id":
                mend = f"add the column, or map it: `columns: {{{at}: COLUMN}}`; " + offer(
                    column, header, kind="column"
                )
                self._refuse(f"the file has no column `{column}`", mend)
        unread = set(header) - {header[index] for index in self._indexes.values()}
        unfilled = set(FIELDS) - self._indexes.keys()
        for name in sorted(unread):
            warn_of_near_misses(name, unfilled, self._cell(header.index(name)), self._problems)
        return "interaction_id" in self._indexes

    def _refuse(self, message: str, mend: str, at: str | None = None) -> None:
        place = self._cell(self._indexes.get(at) if at is not None else None)
        self._problems.add(Problem("R009", message, place, mend))

    def _cell(self, index: int | None) -> Place:
        line, column, end = cell_span("".join(self._record), index or 0)
        if index is None:
            return Place(self._file.shown, self._line, 1)
        return Place(self._file.shown, self._line + line, column + 1, end and end + 1)


def cell_span(record: str, index: int) -> tuple[int, int, int | None]:
    """Return a cell's line and column, from 0, in its record, and its end on that line if any."""
    cell, quoted, line, column = 0, False, 0, 0
    start = (0, 0)
    for at, character in enumerate(record):
        ends = character in ",\r\n" and not quoted
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
