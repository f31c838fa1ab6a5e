"""Reads the transfers into a sink; reports duplicate keys and interactions."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from runner.core.diagnostics.problem import Place, Problem, Related
from runner.core.gates import parse_bound
from runner.core.manifest.model import DriverTraits, DuplicateRows, QueueSelection
from runner.core.manifest.quantity import parse_duration
from runner.core.manifest.rules import check_id
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.drivers import drivers_that_select
from runner.manifest.problem_collector import KEPT, Collector
from runner.manifest.reference_resolver import ReferenceResolver
from runner.manifest.rows.columns import Columns, delimiter_of
from runner.manifest.rows.csv_rows import CsvRows
from runner.manifest.rows.jsonl_rows import JsonRows
from runner.manifest.rows.row_builder import RowBuilder
from runner.manifest.rows.row_file import open_row_file
from runner.manifest.rows.row_sources import INVALID, Block, InlineRows, RowSource, shared_fields
from runner.manifest.schema.check import Document

MEDIA_TYPES = ("call", "callback", "email", "message")
"""Default media types of a selection."""


class RowSink(Protocol):
    """Receives rows as they are read."""

    def add(self, row: TransferRow) -> None:
        """Add a row; a faulty one has no media, and is added to find duplicate ids.

        A manifest with a faulty row is refused, so none of its rows is sent.
        """

    def add_all(self, rows: RowColumns) -> None:
        """Add rows without faults."""

    def select(self, selection: QueueSelection) -> None:
        """Add a selection; the gateway is asked for its rows later."""

    def protect(self, interaction_id: str, source: str) -> None:
        """Add an interaction that is never moved, and where it is listed ("file:line")."""

    def destinations(self) -> Collection[str]:
        """Return the destinations of the rows, each once."""

    def rows_to(self) -> Mapping[str, int]:
        """Return the number of rows by destination."""

    def repeats(self, limit: int) -> Sequence[DuplicateRows]:
        """Return at most `limit` repeats, ordered by `second`; called once, after the last row."""


class TransferReader:
    """Reads a document's transfers once; records the source of each row."""

    def __init__(
        self,
        document: Document,
        references: ReferenceResolver,
        sink: RowSink,
        problems: Collector,
        driver: DriverTraits,
    ) -> None:
        self.rows = 0
        self._selected: set[str] = set()  # destinations of selections
        self._driver = driver
        self._document = document
        self._references = references
        self._sink = sink
        self._problems = problems
        self._sources: list[tuple[int, RowSource]] = []  # with the number of its first row
        self._must_have_rows: dict[int, Place] = {}  # by source: the place of its `from`
        self._uncertain: dict[int, frozenset[str]] = {}  # by source: its entry's faulty fields
        self._takes_defaults: set[int] = set()  # files whose entry has no destination of its own
        self._positions = array("Q")  # of each row in its source, eight bytes each

    def read(self) -> None:
        """Add every row with valid ids to the sink, and every problem to the collector."""
        for source in self._find_sources():
            self._sources.append((self.rows, source))
            builder = self._builder(source)
            before, faults = self.rows, self._problems.found
            for position, line, values in source.rows(partial(self._take, builder)):
                row = builder.row(line, values)
                if row is not None:
                    self._sink.add(row)
                    self._positions.append(position)
                    self.rows += 1
            builder.end()
            if self.rows == before and self._problems.found == faults:
                self._report_empty(source)
        self._report_repeats()
        self._read_protected()

    def destinations(self) -> set[str]:
        """Return the destinations of the rows that were read, and of those to be selected."""
        return {*self._sink.destinations(), *self._selected}

    def _read_protected(self) -> None:
        """Add the interactions of `exclude_from` to the sink."""
        root = self._document.tree.root
        if (written := root.get("exclude_from")) is None:
            return
        place = self._document.where(root, "exclude_from")
        file = open_row_file(written, self._document.tree.source.name, place, is_list=True)
        if isinstance(file, Problem):
            self._problems.add(file)
            return
        columns = Columns.parse({})
        source: RowSource = JsonRows(written, file, columns, {}, self._problems)
        if (delimiter := delimiter_of(written)) is not None:
            source = CsvRows(written, file, columns, {}, self._problems, delimiter)
        listed, faults = 0, self._problems.found
        for _, line, (_, interaction_id, *_) in source.rows():
            listed += 1
            if interaction_id is INVALID:
                continue
            finding = check_id(interaction_id or "", "interaction_id")
            if finding is None:
                self._sink.protect(interaction_id, f"{written}:{line}")
            else:
                at = source.where("interaction_id")
                self._problems.add(Problem(finding.code, finding.message, at, finding.help))
        if not listed and self._problems.found == faults:
            message = f"`{written}` has no rows"
            fix = (
                "check how the file was made; if no interaction is protected, delete `exclude_from`"
            )
            self._problems.add(Problem("R009", message, place, fix))

    def _take(self, builder: RowBuilder, block: Block) -> bool:
        """Add a block's rows to the sink, if they can be built together."""
        rows = builder.block(block)
        if rows is None:
            return False
        self._sink.add_all(rows)
        self._positions.extend(block.positions)
        self.rows += len(block.positions)
        return True

    def _report_empty(self, source: RowSource) -> None:
        """Report a file without rows, unless its entry allows that."""
        place = self._must_have_rows.get(id(source))
        if place is not None:
            message = f"`{source.name}` has no rows"
            fix = "check how the file was made; if it may be empty, add `allow_empty: true` here"
            self._problems.add(Problem("R009", message, place, fix))

    def _builder(self, source: RowSource) -> RowBuilder:
        names = self._driver.can_select
        return RowBuilder(
            source,
            self._references,
            self._document,
            self._problems,
            names=names,
            uncertain=self._uncertain.get(id(source), ()),
            has_own_destination=id(source) not in self._takes_defaults,
        )

    def _find_sources(self) -> Iterator[RowSource]:
        items: list[dict[str, Any]] = self._document.tree.root.get("transfers", [])
        defaults = self._document.section("defaults")
        inline = partial(
            InlineRows,
            self._document.tree.source.path_name,
            self._document,
            shared=shared_fields(self._document, defaults),
        )
        start = 0
        for index, item in enumerate(items):
            if "from" in item or "select" in item:
                if start < index:
                    yield inline(start=start, stop=index)
                start = index + 1
                if "select" in item:
                    self._select(inline(start=index, stop=start), item)
                elif (source := self._open(item, defaults)) is not None:
                    yield source
        if start < len(items):
            yield inline(start=start, stop=len(items))

    def _open(self, item: Mapping[str, Any], defaults: Mapping[str, Any]) -> RowSource | None:
        written = item["from"]
        place = self._document.where(item, "from")
        encoding = item.get("encoding", "utf-8")
        file = open_row_file(written, self._document.tree.source.name, place, encoding)
        if isinstance(file, Problem):
            self._problems.add(file)
            return None
        columns = Columns.parse(item.get("columns", {}))
        shared = shared_fields(self._document, item, defaults)
        source: RowSource
        if (delimiter := delimiter_of(written)) is not None:
            delimiter = item.get("delimiter", delimiter)
            source = CsvRows(written, file, columns, shared, self._problems, delimiter)
        else:
            self._refuse_delimiter(item)
            source = JsonRows(written, file, columns, shared, self._problems)
        uncertain = self._document.invalid_fields.get(id(item), frozenset())
        self._uncertain[id(source)] = uncertain
        if "destination_uri" not in item:
            self._takes_defaults.add(id(source))
        if not item.get("allow_empty", False) and "allow_empty" not in uncertain:
            self._must_have_rows[id(source)] = place
        return source

    def _refuse_delimiter(self, item: Mapping[str, Any]) -> None:
        if "delimiter" in item:
            place = self._document.tree.key(item, "delimiter")
            message = "`delimiter` has no effect with a .jsonl file"
            self._problems.add(Problem("S012", message, place, "delete `delimiter`"))

    def _select(self, source: RowSource, item: Mapping[str, Any]) -> None:
        """Add an item's selection to the sink."""
        if not self._driver.can_select:
            message = "`select` needs a gateway whose queues can be read"
            able = " or ".join(f"`driver: {name}`" for name in drivers_that_select())
            fix = f"choose an environment with {able}, or list the interactions"
            place = self._document.tree.key(item, "select")
            self._problems.add(Problem("S012", message, place, fix))
            return
        asked = item["select"]
        if problems := list(self._wrong_in(item, asked)):
            for each in problems:
                self._problems.add(each)
            return
        for _, line, values in source.rows():
            row = self._builder(source).selected(line, values)
            if row is not None:
                self._sink.select(_selection(asked, row))
                self._selected.add(row.destination_uri)

    def _wrong_in(self, item: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterator[Problem]:
        """Yield what is wrong with a selection beyond the schema."""
        for field in ("queue", "held_by", "skill", "language"):
            finding = check_id(asked[field], field) if field in asked else None
            if finding is not None:
                place = self._document.where(item, "select", field)
                yield Problem(finding.code, finding.message, place, finding.help)
        if "held_by" in asked and asked.get("state") == "waiting":
            message = "what an agent holds does not wait: `state: waiting` excludes `held_by`"
            place = self._document.where(item, "select", "state")
            yield Problem("S012", message, place, "write `state: connected`, or delete `state`")

    def _report_repeats(self) -> None:
        repeats = self._sink.repeats(max(KEPT, 2 * self.rows))  # those beyond `KEPT` are counted
        interactions = {(r.second, r.value) for r in repeats if r.kind == "interaction"}
        found = [
            repeat
            for repeat in repeats
            # A key that equals the interaction's id is the same problem.
            if repeat.kind == "interaction" or (repeat.second, repeat.value) not in interactions
        ]
        for _ in found[KEPT:]:
            self._problems.count("R005")
        found = found[:KEPT]
        places = self._find_places(found)
        for repeat in found:
            field = _field(repeat)
            first, second = places[repeat.first, field], places[repeat.second, field]
            what = "key" if repeat.kind == "key" else "interaction"
            message = f"another transfer has the same {what}, `{repeat.value}`, at {first}"
            fix = "give one of them another key" if what == "key" else "keep one of the two"
            related = (Related(first, "first here"),)
            self._problems.add(Problem("R005", message, second, fix, related=related))

    def _find_places(self, repeats: Sequence[DuplicateRows]) -> Mapping[tuple[int, str], Place]:
        wanted: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
        for repeat in repeats:
            for number in (repeat.first, repeat.second):
                wanted[self._source_of(number), _field(repeat)][self._positions[number]] = number
        return {
            (numbers[position], field): place
            for (source, field), numbers in wanted.items()
            for position, place in self._sources[source][1]
            .find(dict.fromkeys(numbers, field))
            .items()
        }

    def _source_of(self, number: int) -> int:
        starts = [first for first, _ in self._sources]
        return max(i for i, first in enumerate(starts) if first <= number)


def _selection(asked: Mapping[str, Any], row: TransferRow) -> QueueSelection:
    older_than = asked.get("older_than")
    return QueueSelection(
        asked.get("queue"),
        frozenset(asked.get("media_types", MEDIA_TYPES)),
        None if older_than is None else parse_duration(older_than),
        asked.get("limit"),
        row.destination_uri,
        row.media,
        row.callbacks,
        row.source,
        is_connected=asked.get("state") == "connected" or "held_by" in asked,
        held_by=asked.get("held_by"),
        direction=asked.get("direction"),
        address_from=_listed(asked.get("address_from", ())),
        address_to=_listed(asked.get("address_to", ())),
        skill=asked.get("skill"),
        language=asked.get("language"),
        priority=parse_bound(asked["priority"]) if "priority" in asked else None,
    )


def _listed(given: str | Sequence[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _field(repeat: DuplicateRows) -> str:
    return "key" if repeat.kind == "key" else "interaction_id"
