"""Streams the transfers to the sink: defaults applied, names resolved, ids checked."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from runner.core.manifest import Platform, QueueSelection, Repeat, TransferRow
from runner.core.media import MediaMatrix
from runner.core.problem import Place, Problem, Related
from runner.core.quantity import parse_duration
from runner.core.rules import Finding, check_destination, check_id
from runner.loading.choices import Choices, Given
from runner.loading.collector import KEPT, Collector
from runner.loading.csv_rows import CsvRows
from runner.loading.files import open_row_file
from runner.loading.json_rows import JsonRows
from runner.loading.rows import InlineRows, RowSource, Values, shared_fields
from runner.loading.schema import Document

MEDIA_TYPES = ("call", "callback", "email", "message")
"""What a selection takes unless it says otherwise."""


class RowSink(Protocol):
    """Who takes the rows as they stream by."""

    def add(self, row: TransferRow) -> None:
        """Take one row."""

    def select(self, selection: QueueSelection) -> None:
        """Take one selection, whose rows are found when the gateway is asked."""

    def repeats(self, limit: int) -> Sequence[Repeat]:
        """Return at most `limit` repeats, ordered by `second`; called once, after the last row."""


class Transfers:
    """Reads a document's transfers once, and remembers where each row came from."""

    def __init__(
        self,
        document: Document,
        choices: Choices,
        sink: RowSink,
        problems: Collector,
        platform: Platform,
    ) -> None:
        self.rows = 0
        self._platform = platform
        self._document = document
        self._choices = choices
        self._sink = sink
        self._problems = problems
        self._sources: list[tuple[int, RowSource]] = []  # with the number of its first row
        self._positions = array("Q")  # of each row in its source: eight bytes a row

    def read(self) -> None:
        """Add every sound row to the sink, and every problem to the collector."""
        for source in self._find_sources():
            self._sources.append((self.rows, source))
            stretch = self._stretch(source)
            for position, line, values in source.rows():
                row = stretch.row(line, values)
                if row is not None:
                    self._sink.add(row)
                    self._positions.append(position)
                    self.rows += 1
        self._report_repeats()

    def _stretch(self, source: RowSource) -> _Stretch:
        names = self._platform is Platform.GENESYS_CLOUD
        return _Stretch(source, self._choices, self._document, self._problems, names=names)

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
        file = open_row_file(written, self._document.tree.source.name, place)
        if isinstance(file, Problem):
            self._problems.add(file)
            return None
        reader = CsvRows if written.casefold().endswith(".csv") else JsonRows
        shared = shared_fields(self._document, item, defaults)
        return reader(written, file, item.get("columns", {}), shared, self._problems)

    def _select(self, source: RowSource, item: Mapping[str, Any]) -> None:
        """Add what an item selects, to be found later."""
        if self._platform is not Platform.GENESYS_CLOUD:
            message = "`select` needs a gateway that can be asked what waits in its queues"
            mend = "choose an environment with `driver: genesys-cloud`, or list the interactions"
            place = self._document.tree.key(item, "select")
            self._problems.add(Problem("S012", message, place, mend))
            return
        asked = item["select"]
        finding = check_id(asked["queue"], "queue")
        if finding is not None:
            place = self._document.where(item, "select", "queue")
            self._problems.add(Problem(finding.code, finding.message, place, finding.help))
            return
        for _, line, values in source.rows():
            row = self._stretch(source).selected(line, values)
            if row is not None:
                self._sink.select(_selection(asked, row))

    def _report_repeats(self) -> None:
        repeats = self._sink.repeats(KEPT)
        interactions = {(r.second, r.value) for r in repeats if r.kind == "interaction"}
        told = [
            repeat
            for repeat in repeats
            # A key that is but the interaction's id says nothing new.
            if repeat.kind == "interaction" or (repeat.second, repeat.value) not in interactions
        ]
        places = self._find_places(told)
        for repeat in told:
            at = _field(repeat)
            first, second = places[repeat.first, at], places[repeat.second, at]
            what = "key" if repeat.kind == "key" else "interaction"
            message = f"another transfer has the same {what}, `{repeat.value}`, at {first}"
            mend = "give one of them another key" if what == "key" else "keep one of the two"
            related = (Related(first, "first here"),)
            self._problems.add(Problem("R005", message, second, mend, related=related))

    def _find_places(self, repeats: Sequence[Repeat]) -> Mapping[tuple[int, str], Place]:
        wanted: dict[tuple[int, str], dict[int, int]] = defaultdict(dict)
        for repeat in repeats:
            for number in (repeat.first, repeat.second):
                wanted[self._source_of(number), _field(repeat)][self._positions[number]] = number
        return {
            (numbers[position], at): place
            for (source, at), numbers in wanted.items()
            for position, place in self._sources[source][1].find(dict.fromkeys(numbers, at)).items()
        }

    def _source_of(self, number: int) -> int:
        starts = [first for first, _ in self._sources]
        return max(i for i, first in enumerate(starts) if first <= number)


def _selection(asked: Mapping[str, Any], row: TransferRow) -> QueueSelection:
    older_than = asked.get("older_than")
    return QueueSelection(
        asked["queue"],
        frozenset(asked.get("media_types", MEDIA_TYPES)),
        None if older_than is None else parse_duration(older_than),
        asked.get("limit"),
        row.destination_uri,
        row.media,
        row.callbacks,
        row.source,
    )


def _field(repeat: Repeat) -> str:
    return "key" if repeat.kind == "key" else "interaction_id"


class _Stretch:
    """Makes rows of one source's values; what every row shares is resolved once."""

    def __init__(
        self,
        source: RowSource,
        choices: Choices,
        document: Document,
        problems: Collector,
        *,
        names: bool,
    ) -> None:
        self._source = source
        self._names = names  # queues and users may be named instead of their ids
        self._choices = choices
        self._document = document
        self._problems = problems
        self._matrices: dict[Any, tuple[MediaMatrix, ...] | None] = {}
        self._callbacks: dict[Any, tuple[str, ...] | None] = {}
        self._destination = self._shared_destination()
        self._said: set[str] = set()  # fields whose absence is told for the whole file

    def row(self, line: int, values: Values) -> TransferRow | None:
        """Return the row, or None after adding what is wrong with it."""
        key, interaction_id = values[:2]
        faults = self._problems.found
        self._check(check_id(interaction_id or "", "interaction_id"), "interaction_id")
        if key or (key is not None and not self._source.blank_is_absent):
            self._check(check_id(key, "key"), "key")
        return self._checked(line, values, faults)

    def selected(self, line: int, values: Values) -> TransferRow | None:
        """Return what the rows of a selection have in common, likewise."""
        return self._checked(line, values, self._problems.found)

    def _checked(self, line: int, values: Values, faults: int) -> TransferRow | None:
        key, interaction_id, destination, media, fallback, callbacks = values
        source = self._source
        if destination or (destination is not None and not source.blank_is_absent):
            self._check(check_destination(destination, names=self._names), "destination_uri")
        matrices = self._cached(self._matrices, self._find_matrices, (media, fallback))
        names = self._cached(self._callbacks, self._find_callbacks, (callbacks,))
        uri = destination or self._destination
        if not uri:
            self._no_destination(destination)
        if self._problems.found != faults or matrices is None or names is None or not uri:
            return None
        return TransferRow(
            key or interaction_id, interaction_id, uri, matrices, names, f"{source.name}:{line}"
        )

    def _check(self, finding: Finding | None, at: str) -> None:
        if finding is not None:
            place = self._source.where(at)
            self._problems.add(Problem(finding.code, finding.message, place, finding.help))

    def _shared_destination(self) -> str | None:
        given = self._source.shared.get("destination_uri")
        if given is None:
            return None
        finding = check_destination(given.value, names=self._names)
        if finding is None:
            return str(given.value)
        self._problems.add(Problem(finding.code, finding.message, given.where(), finding.help))
        return None

    def _no_destination(self, written: str | None) -> None:
        told = written is not None and not self._source.blank_is_absent
        if not told and "destination_uri" not in self._source.shared:
            self._missing("destination_uri", "genesys://queue/ID")

    def _missing(self, at: str, such_as: str) -> None:
        if self._document.doubts("defaults", at) or at in self._said:
            return
        code, message = "S002", f"the transfer has no `{at}`, and `defaults` has none either"
        mend = f"add `{at}: {such_as}`, here or under `defaults`"
        place, header = self._source.where(at), self._source.header(at)
        if self._source.is_file:
            code = "R009"
            message = f"the row has no `{at}`, nor has the `from` entry or `defaults`"
            mend = f"give the row one, or all rows: `{at}: {such_as}` at the `from` entry"
        if header is not None:  # said once: every row of the file would say the same
            self._said.add(at)
            message = f"no column gives `{at}`, nor does the `from` entry or `defaults`"
            mend = f"add the column, or `{at}: {such_as}` to the `from` entry"
        self._problems.add(Problem(code, message, header or place, mend))

    def _cached(self, known: dict[Any, Any], find: Any, written: tuple[Any, ...]) -> Any:
        cache_key = tuple([tuple(value) if value.__class__ is list else value for value in written])
        try:
            if cache_key in known:
                return known[cache_key]
        except TypeError:  # not names alone: a matrix is written in the row itself
            return find(*written)
        found = find(*written)
        # What fails because of the row itself is said again for the next row.
        if found is not None or not any(written):
            known[cache_key] = found
        return found

    def _find_matrices(self, media: Any, fallback: Any) -> tuple[MediaMatrix, ...] | None:
        chosen = self._given("media", media)
        if chosen is None:
            self._missing("media", next(iter(self._document.section("media")), "NAME"))
            return None
        return self._choices.matrices(chosen, self._given("fallback", fallback))

    def _find_callbacks(self, callbacks: Any) -> tuple[str, ...] | None:
        return self._choices.callbacks(self._given("callbacks", callbacks))

    def _given(self, at: str, value: Any) -> Given | None:
        if value or isinstance(value, list):  # an empty list is a value, an empty cell is none
            return Given(value, partial(self._source.where, at))
        return self._source.shared.get(at)
