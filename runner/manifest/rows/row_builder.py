"""Builds the rows of one source: applies defaults, resolves names, checks ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import repeat
from typing import Any, cast

from runner.core.diagnostics.problem import Problem
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.rules import Finding, are_plain_ids, check_destination, check_id
from runner.core.transfer.rows import RowColumns, TransferRow
from runner.manifest.problem_collector import Collector
from runner.manifest.reference_resolver import LocatedValue, ReferenceResolver
from runner.manifest.rows.missing_fields import MissingField
from runner.manifest.rows.row_sources import INVALID, Block, RowSource, Values
from runner.manifest.schema.check import Document
from runner.manifest.value_text import flow_yaml, truncate

_Chosen = tuple[Sequence[tuple[MediaMatrix, ...]], Sequence[tuple[str, ...]]]
"""Media and callbacks of a block's rows."""

_MOST_KNOWN = 10_000
"""Destinations that are kept as checked."""


class RowBuilder:
    """Builds rows from one source's values; resolves shared values once."""

    def __init__(
        self,
        source: RowSource,
        references: ReferenceResolver,
        document: Document,
        problems: Collector,
        *,
        names: bool,
        uncertain: Collection[str] = (),
        has_own_destination: bool = True,
    ) -> None:
        self._source = source
        self._uncertain = uncertain  # fields that rows might have if their entry were valid
        # Whether the source's entry itself says where rows without a destination go.
        self._has_own_destination = has_own_destination
        self._names = names  # destinations may name queues and users instead of ids
        self._references = references
        self._document = document
        self._problems = problems
        self._matrices: dict[Any, tuple[MediaMatrix, ...] | None] = {}
        self._callbacks: dict[Any, tuple[str, ...] | None] = {}
        self._destination = self._shared_destination()
        self._sound: set[str] = set()  # destinations of blocks, which are checked once
        self._reported: set[str] = set()  # fields whose absence is reported for the whole file
        self._missing_destination = MissingField(problems)

    def row(self, line: int, values: Values) -> TransferRow | None:
        """Return the row and add its problems.

        A faulty row has only key and id; it is None if these are wrong too.
        """
        key, interaction_id = values[:2]
        faults = self._problems.found
        if interaction_id is not INVALID:
            self._check(check_id(interaction_id or "", "interaction_id"), "interaction_id")
        if key is not INVALID and (key or (key is not None and self._is_given(key))):
            self._check(check_id(key, "key"), "key")
        has_valid_ids = self._problems.found == faults
        row = self._checked(line, values, faults)
        if key is INVALID or interaction_id is INVALID:
            return None
        if row is None and has_valid_ids:  # another row may have the same ids
            return TransferRow(key or interaction_id, interaction_id, "", (), (), "")
        return row

    def block(self, block: Block) -> RowColumns | None:
        """Return a block's rows, or None if any of them must be built by itself.

        It must be if it may be faulty, or names media or callbacks as no row before it does.
        """
        columns = block.columns
        if any(columns.get("expected_destination_uri", ())):
            return None
        if any("" in column for column in columns.values()) and not self._source.blank_is_absent:
            return None
        ids = cast("Sequence[str]", columns["interaction_id"])
        keys = _filled(columns["key"], ids) if "key" in columns else ids
        uris = self._destinations(columns.get("destination_uri"), len(ids))
        chosen = self._chosen(columns, len(ids))
        if chosen is None or uris is None or not are_plain_ids(ids):
            return None
        if keys is not ids and not are_plain_ids(keys):
            return None
        name = self._source.name
        sources = [f"{name}:{line}" for line in block.lines]
        return RowColumns(keys, ids, uris, *chosen, sources)

    def _destinations(
        self, column: Sequence[str | None] | None, count: int
    ) -> Sequence[str] | None:
        """Return a block's destinations; None: one may be missing or faulty."""
        named = set(column or ())
        given = {uri for uri in named if uri}
        if (self._destination is None or self._column() is not None) and (
            column is None or given != named
        ):
            return None
        if len(self._sound) > _MOST_KNOWN:
            self._sound.clear()
        new = given - self._sound
        if any(check_destination(uri, names=self._names) is not None for uri in new):
            return None
        self._sound |= new
        if given and not self._missing_destination.seen:
            self._missing_destination.see()
        if column is not None and given == named:
            return cast("Sequence[str]", column)
        return _filled(column or repeat(None, count), repeat(self._destination or ""))

    def _chosen(self, columns: Mapping[str, Sequence[str | None]], count: int) -> _Chosen | None:
        """Return a block's media and callbacks; None: an earlier row has not had them all."""
        media, fallback, callbacks = map(columns.get, ("media", "fallback", "callbacks"))
        empty = "" if self._source.blank_is_absent else None  # as rows by themselves have it
        try:
            names = self._callbacks[empty,] if callbacks is None else None
            if media is None and fallback is None and names is not None:
                matrices = self._matrices[empty, empty]
                return None if matrices is None else ([matrices] * count, [names] * count)
            asked = zip(media or repeat(empty, count), fallback or repeat(empty), strict=False)
            ladders = [self._matrices[pair] for pair in asked]
            called = [self._callbacks[each,] for each in callbacks or repeat(empty, count)]
        except KeyError:
            return None
        if None in ladders or None in called:
            return None
        return cast("_Chosen", (ladders, called))

    def end(self) -> None:
        """Add the problems that were held back until the last row."""
        instead = None if self._missing_destination.seen else _in_every_row
        if self._column() is not None and "destination_uri" in self._source.shared:
            if not self._source.blank_is_absent:
                return  # that no row has a field which `columns` names is reported already
            instead = None
        self._missing_destination.end(instead)

    def selected(self, line: int, values: Values) -> TransferRow | None:
        """Return the common values of a selection's rows as a row, or None after adding problems."""
        return self._checked(line, values, self._problems.found)

    def _checked(self, line: int, values: Values, faults: int) -> TransferRow | None:
        key, interaction_id, destination, media, fallback, callbacks, expected = values
        source = self._source
        if destination is not INVALID and (destination or self._is_given(destination)):
            if not self._missing_destination.seen:
                self._missing_destination.see()
            self._check(check_destination(destination, names=self._names), "destination_uri")
        if expected is not INVALID and (expected or self._is_given(expected)):
            finding = check_destination(expected, names=self._names)
            self._check(finding, "expected_destination_uri")
        matrices = self._cached(self._matrices, self._find_matrices, (media, fallback))
        names = self._cached(self._callbacks, self._find_callbacks, (callbacks,))
        uri = destination or self._fallback(destination)
        if destination is INVALID or expected is INVALID:
            return None
        if self._problems.found != faults or matrices is None or names is None or not uri:
            return None
        return TransferRow(
            key or interaction_id,
            interaction_id,
            uri,
            matrices,
            names,
            f"{source.name}:{line}",
            expected_destination_uri=expected or None,
        )

    def _is_given(self, value: Any) -> bool:
        """Return whether a value is given; an empty list is, an empty cell is not."""
        return value is not None and (value != "" or not self._source.blank_is_absent)

    def _check(self, finding: Finding | None, field: str) -> None:
        if finding is not None:
            place = self._source.where(field)
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

    def _column(self) -> str | None:
        """Return the column in which each row must say where it goes; None: there is none.

        An entry's own `destination_uri` says where its rows with an empty cell go. That of `defaults`
        is for other rows: a cell that was left empty must not move somebody to a shared queue.
        """
        return None if self._has_own_destination else self._source.column("destination_uri")

    def _fallback(self, written: str | None) -> str | None:
        """Return where a row without a destination goes; None: its problem is reported."""
        if self._is_given(written):
            return None
        if "destination_uri" not in self._source.shared:
            self._missing("destination_uri", "genesys://queue/ID")
            return None
        if (column := self._column()) is None:
            return self._destination
        shared = self._source.shared["destination_uri"].value
        message = f"the row has no destination: its `{truncate(column)}` is empty"
        fix = (
            "fill it in; if all such rows are to go to the destination of `defaults`, write"
            f" `destination_uri: {truncate(flow_yaml(shared))}` in the `from` entry too"
        )
        place = self._source.where("destination_uri")
        self._missing_destination.add(Problem("R009", message, place, fix))
        return None

    def _missing(self, field: str, such_as: str) -> None:
        uncertain = field in self._uncertain or self._document.is_uncertain("defaults", field)
        if uncertain or field in self._reported:
            return
        code, message = "S002", f"the transfer has no `{field}`, and `defaults` has none either"
        fix = f"add `{field}: {such_as}`, here or under `defaults`"
        place, header = self._source.where(field), self._source.header(field)
        if self._source.is_file:
            code = "R009"
            message = (
                f"the row has no `{field}`, and neither the `from` entry nor `defaults` has one"
            )
            fix = f"add it to the row, or for all rows add `{field}: {such_as}` to the `from` entry"
        if header is not None:  # reported once: it holds for every row of the file
            self._reported.add(field)
            message = (
                f"no column has `{field}`, and neither the `from` entry nor `defaults` has one"
            )
            fix = f"add the column, name the one that holds it (`columns: {{{field}: COLUMN}}`), or add "
            fix += f"`{field}: {such_as}` to the `from` entry"
        problem = Problem(code, message, header or place, fix)
        if self._source.is_file and header is None and field == "destination_uri":
            self._missing_destination.add(problem)
        else:
            self._problems.add(problem)

    def _cached(self, known: dict[Any, Any], find: Any, written: tuple[Any, ...]) -> Any:
        cache_key = tuple([tuple(value) if value.__class__ is list else value for value in written])
        try:
            if cache_key in known:
                return known[cache_key]
        except TypeError:  # a matrix is written in the row itself
            return find(*written)
        found = find(*written)
        # A failure because of the row itself is reported for each row.
        if found is not None or not any(map(self._is_given, written)):
            known[cache_key] = found
        return found

    def _find_matrices(self, media: Any, fallback: Any) -> tuple[MediaMatrix, ...] | None:
        chosen = self._given("media", media) if media is not INVALID else None
        if chosen is None and media is not INVALID:
            self._missing("media", next(iter(self._document.section("media")), "NAME"))
        others = self._given("fallback", fallback) if fallback is not INVALID else None
        found = self._references.matrices(chosen, others)
        return None if chosen is None or fallback is INVALID else found

    def _find_callbacks(self, callbacks: Any) -> tuple[str, ...] | None:
        if callbacks is INVALID:
            return None
        return self._references.callbacks(self._given("callbacks", callbacks))

    def _given(self, field: str, value: Any) -> LocatedValue | None:
        if value or self._is_given(value):
            return LocatedValue(value, partial(self._source.where, field))
        return self._source.shared.get(field)


def _filled(column: Iterable[str | None], instead: Iterable[str]) -> list[str]:
    """Return a column with other values in the place of absent ones."""
    return [value or other for value, other in zip(column, instead, strict=False)]


def _in_every_row(first: Problem) -> Problem:
    """Return the one problem of a file without columns in which no row has a destination."""
    fix = (
        "add `destination_uri: genesys://queue/ID` to the `from` entry, or name the field that has it:"
        " `columns: {destination_uri: FIELD}`"
    )
    message = "no row has `destination_uri`, and neither the `from` entry nor `defaults` has one"
    return replace(first, message=message, help=fix)
