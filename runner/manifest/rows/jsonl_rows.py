"""Reads rows from JSON Lines: one object per line, with any field of a transfer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from operator import itemgetter, methodcaller
from typing import Any, Never

import jsonschema_rs
import orjson

from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.manifest.near_misses import (
    GUARDED,
    columns_entry,
    probable_name,
    report_near_miss,
    resembles,
)
from runner.manifest.problem_collector import Collector
from runner.manifest.reference_resolver import LocatedValue
from runner.manifest.rows.columns import Columns
from runner.manifest.rows.json_tree import build_json, too_deep
from runner.manifest.rows.missing_fields import MissingField
from runner.manifest.rows.row_file import BadRow, Lines, RowFile, is_undecoded
from runner.manifest.rows.row_sources import (
    FIELDS,
    Block,
    TakeBlock,
    Values,
    refuse_blocks,
    with_invalid,
)
from runner.manifest.schema.check import validator
from runner.manifest.schema.messages import described, explain
from runner.manifest.schema.schema_paths import part_of_schema
from runner.manifest.suggestions import list_names
from runner.manifest.value_text import JSON
from runner.manifest.yaml.tree import Source, Tree
from runner.manifest.yaml.tree_builder import MAX_DEPTH


class _AmbiguousJson(ValueError):
    """JSON that parsers read differently; `name` is the faulty text."""

    def __init__(self, message: str, name: str, fix: str) -> None:
        super().__init__(message)
        self.name = name
        self.fix = fix


_NO_LIST = "write one object per line, without enclosing brackets or separating commas"
_WORDS = {
    "Expecting ',' delimiter": "a `,` or `}` is missing here",
    "Expecting ':' delimiter": "a `:` is missing here",
    "Expecting value": "a value is missing here",
    "Expecting property name enclosed in double quotes": "a field name in double quotes is missing here",
    "Extra data": "there is more text after the object",
    "Unterminated string starting at": "this quote is never closed",
    "Invalid control character at": "a text contains a control character",
    "Invalid \\escape": "unknown escape",
}


def _syntax_message(error: json.JSONDecodeError, text: str) -> tuple[str, int]:
    """Return a plain message for invalid JSON, and its column."""
    known = (ours for theirs, ours in _WORDS.items() if error.msg.startswith(theirs))
    column = min(error.pos, len(text.rstrip())) + 1
    return f"not JSON: {next(known, error.msg.lower())}", column


class JsonRows:
    """The rows of a JSONL file; `columns` maps fields to names, see `RowSource` for the rest."""

    def __init__(
        self,
        name: str,
        file: RowFile,
        columns: Columns,
        shared: Mapping[str, LocatedValue],
        problems: Collector,
    ) -> None:
        self.name = name
        self.blank_is_absent = False
        self.is_file = True
        self.shared = shared
        self._file = file
        self._columns = columns
        self._names = {field: columns.names.get(field, field) for field in FIELDS}
        self._problems = problems
        self._line = 0
        self._lines: Lines  # while the file is read
        self._text = ""
        self._guarded = frozenset(self._names[field] for field in GUARDED)
        self._known = set(self._names.values())  # field names that are handled already
        self._renamed = {
            field: name for field, name in self._names.items() if field not in self._known
        }
        self._unseen = {field: name for field, name in columns.names.items() if field in FIELDS}
        self._unseen.setdefault("interaction_id", self._names["interaction_id"])
        self._missing_ids = MissingField(problems)
        self._first: tuple[int, list[str]] | None = None  # the first row's line and its fields

    def rows(self, take: TakeBlock = refuse_blocks) -> Iterator[tuple[int, int, Values]]:
        """Yield each row's line as its position, again as its line, and its values."""
        check = validator("transfer")
        try:
            objects = self._objects()
            while True:
                self._take_blocks(take)
                if (row := next(objects, None)) is None:
                    break
                if self._unseen:
                    self._notice_seen(row)
                known = {field: row[name] for field, name in self._names.items() if name in row}
                if len(known) < len(row):
                    self._notice_unread(row)
                if check.is_valid(known):
                    values: Values = tuple(map(known.get, FIELDS))  # type: ignore[assignment] # seven
                    if self._columns.prefixes:
                        values = self._columns.complete(values)
                    yield self._line, self._line, values
                else:
                    faulty = self._explain(check, known)
                    values = tuple(map(known.get, FIELDS))  # type: ignore[assignment] # seven
                    yield (
                        self._line,
                        self._line,
                        with_invalid(self._columns.complete(values), faulty),
                    )
            self._report_unseen()
        except BadRow as bad:
            self._problems.add(bad.problem)

    def _take_blocks(self, take: TakeBlock) -> None:
        """Give away whole blocks of rows, as long as there is nothing to say about them."""
        if self._first is None or self._unseen or self._renamed:
            return  # what the file's first rows have is not known yet
        while (lines := self._lines.block()) is not None:
            rows = self._block(lines)
            if rows is None or not take(rows):
                return
            self._lines.skip(len(lines))

    def _block(self, lines: list[str]) -> Block | None:
        """Return lines as rows, if all are objects of known fields with texts without escapes."""
        text = "".join(lines)
        try:
            rows: list[dict[str, str]] = list(map(orjson.loads, lines))
        except orjson.JSONDecodeError:
            return None
        if "\\" in text or set(map(type, rows)) != {dict}:
            return None
        shapes = set(map(tuple, rows))
        given = set().union(*shapes)
        types = set(map(type, chain.from_iterable(map(dict.values, rows))))
        # A field that appears twice brings quotes of its own: four for its name and its value.
        quotes = 4 * sum(map(len, rows))
        if types != {str} or given - self._known or text.count('"') != quotes:
            return None
        columns: dict[str, Sequence[str | None]] = {}
        for field, name in self._names.items():
            if name not in given:
                continue
            get = itemgetter(name) if len(shapes) == 1 else methodcaller("get", name)
            columns[field] = list(map(get, rows))
            if (prefix := self._columns.prefixes.get(field)) is not None:
                columns[field] = [prefix + each if each else each for each in columns[field]]
        if not columns.keys() <= _TEXTS or None in columns.get("interaction_id", [None]):
            return None
        begin = self._lines.number + 1
        numbers = range(begin, begin + len(lines))
        return Block(numbers, numbers, columns)

    def where(self, field: str, *part: str | int) -> Place:
        """Return the place of a field, or of a part of it, in the row yielded last."""
        tree = self._tree()
        if self._names[field] not in tree.root:
            return self._last_occurrence(self._names[field])
        return replace(tree.reach((self._names[field], *part))[1], line=self._line)

    def _last_occurrence(self, name: str) -> Place:
        """Return the place where a name last occurs in the line; the line's beginning if nowhere."""
        at = self._text.rfind(quoted := name if name in _CONSTANTS else json.dumps(name))
        if at < 0:
            return Place(self._file.shown, self._line, 1)
        return Place(self._file.shown, self._line, at + 1, at + 1 + len(quoted))

    def header(self, _at: str) -> Place | None:
        """See `RowSource`."""
        return None

    def column(self, field: str) -> str | None:
        """See `RowSource`; a field that `columns` does not name may be absent."""
        return self._columns.names.get(field)

    def find(self, wanted: Mapping[int, str]) -> Mapping[int, Place]:
        """See `RowSource`; reads the file once more."""
        places: dict[int, Place] = {}
        self._problems = Collector()  # the file's problems are reported already
        for row in self._objects():
            if (field := wanted.get(self._line)) is not None:
                places[self._line] = self.where(
                    field if self._names[field] in row else "interaction_id"
                )
                if len(places) == len(wanted):
                    break  # the end of the file may be unreadable
        return places

    def _objects(self) -> Iterator[dict[str, Any]]:
        with self._file.lines(self._problems) as lines:
            self._lines = lines
            for text in lines:
                self._line, self._text = lines.number, text
                if is_undecoded(text):
                    self._assume_seen()
                elif not text.isspace() and (row := self._object(text)) is not None:
                    yield row

    def _object(self, text: str) -> dict[str, Any] | None:
        try:
            row = _DECODER.decode(text)
            if _HALF_ESCAPE.search(text):
                json.dumps(row, ensure_ascii=False).encode()
            if not isinstance(row, dict):
                self._refuse("the row is not an object")
            elif (deep := too_deep(text, MAX_DEPTH)) is not None:
                self._refuse_depth(deep)
            else:
                return row
        except json.JSONDecodeError as error:
            if self._line == 1 and text.lstrip().startswith("["):
                raise self._file.bad("the file is JSON, not JSON Lines", _NO_LIST, 1) from None
            self._refuse(*_syntax_message(error, text))
        except UnicodeEncodeError:
            self._refuse(
                "the row contains a lone surrogate, which is half a character", self._half()
            )
        except _AmbiguousJson as error:
            self._refuse(str(error), self._last_occurrence(error.name).column, error.fix)
        except RecursionError:
            self._refuse_depth(too_deep(text, MAX_DEPTH) or 0)
        except ValueError:
            self._refuse(
                "the row contains a number with too many digits",
                fix="put quotes around it if it is an id",
            )
        self._assume_seen()
        return None

    def _assume_seen(self) -> None:
        """Treat renamed fields that an unreadable row may have as seen."""
        self._unseen = {
            field: name for field, name in self._unseen.items() if not self._mentions(name)
        }

    def _refuse_depth(self, at: int) -> None:
        fix = "check the brackets; no transfer needs this many levels"
        self._refuse(f"the row is nested deeper than {MAX_DEPTH} levels", at + 1, fix)

    def _mentions(self, name: str) -> bool:
        """Return whether an unreadable row may have a field of this name."""
        return json.dumps(name) in self._text

    def _half(self) -> int:
        found = _HALF_ESCAPE.search(self._text)
        return found.start() + 1 if found else 1

    def _refuse(self, message: str, column: int = 1, fix: str = "") -> None:
        row = {"interaction_id": "…", "destination_uri": "…"}
        if self._file.is_list:
            del row["destination_uri"]
        fix = fix or f"write one object a line: {json.dumps(row, ensure_ascii=False)}"
        place = Place(self._file.shown, self._line, column)
        self._problems.add(Problem("R009", message, place, fix))

    def _notice_seen(self, row: Mapping[str, Any]) -> None:
        """Record which renamed fields the rows have, and the first row's fields."""
        if self._first is None:
            self._first = self._line, list(row)
        if not row.keys().isdisjoint(self._unseen.values()):
            if self._names["interaction_id"] in row:
                self._missing_ids.see()
            self._unseen = {field: name for field, name in self._unseen.items() if name not in row}

    def _report_unseen(self) -> None:
        """Report the ids and renamed fields that no row has."""
        if "interaction_id" not in self._unseen:
            self._missing_ids.end()
        if self._first is None:
            return
        line, names = self._first
        for field, name in self._unseen.items():
            near = probable_name(field, name, names) or (field if field in names else None)
            fix = f"add it, or name the field that has it: {columns_entry(field, 'FIELD')}; "
            if name != field:
                fix = f"write a field that the rows have: {columns_entry(field, 'FIELD')}; "
            fix += list_names(names, "the first row has")
            if near == field:
                fix = f"delete `{field}` from `columns`: the rows use that name"
            elif near is not None:
                fix = f"did you mean `{near}`? then write {columns_entry(field, near)}"
            if self._file.is_list:
                there = list_names(names, "the first row has")
                fix = f"call the field that has the ids `interaction_id`; {there}"
            place = Place(self._file.shown, line, 1)
            self._problems.add(Problem("R009", f"no row has the field `{name}`", place, fix))

    def _notice_unread(self, row: Mapping[str, Any]) -> None:
        for field, name in tuple(self._renamed.items()):
            if field in row and name not in row:
                del self._renamed[field]  # reported once
                self._report_renamed(field)
        new = row.keys() - self._known
        unfilled = {name: field for field, name in self._names.items() if name not in row}
        filled = sorted(self._guarded & row.keys() - self._columns.names.values())
        for name in () if self._file.is_list else sorted(new.difference(FIELDS)):
            where = partial(self._last_occurrence, name)
            is_reported = report_near_miss(name, unfilled, filled, where, self._problems)
            if not is_reported and resembles(name, *self._guarded):
                new.remove(name)  # another row may have it instead
        self._known |= new

    def _report_renamed(self, field: str) -> None:
        """Report a field whose value is lost because it is read from another."""
        severity = Severity.ERROR if field in GUARDED else Severity.WARNING
        verb = "is not read" if field in GUARDED else "is ignored"
        message = f"`{field}` {verb}: `columns` reads it from `{self._names[field]}`"
        fix = f"rename it to `{self._names[field]}` in this row, or delete `{field}` from `columns`"
        self._problems.add(Problem("R009", message, self._last_occurrence(field), fix, severity))

    def _tree(self) -> Tree:
        """Return the row, which must be valid JSON, as a document with places."""
        return build_json(Source(self._file.shown, self._text.rstrip("\r\n"), ""))

    def _explain(self, check: jsonschema_rs.Validator, known: Mapping[str, Any]) -> set[str]:
        """Add what the schema refuses in a row; return the fields that it refuses."""
        tree, faulty = self._tree(), set()
        for error in check.iter_errors(known):
            path, kind = tuple(error.instance_path), described(error)
            if not path:
                faulty.add(kind["property"])  # the only finding about a whole row
                name = self._names[kind["property"]]
                place = Place(self._file.shown, self._line, 1)
                message, fix = f"the row lacks `{name}`", f'add "{name}": "…" to the row'
                self._missing_ids.add(Problem("R009", message, place, fix))
                continue
            faulty.add(str(path[0]))
            path = (self._names[str(path[0])], *path[1:])
            part = part_of_schema(list(error.evaluation_path)[:-1], "transfer")
            for found in explain(tree, path, part, kind, JSON):
                place = replace(found.place, line=self._line)
                self._problems.add(replace(found, code="R009", place=place))
        return faulty


def _no_constant(text: str) -> Never:
    raise _AmbiguousJson(
        f"{text} is not a JSON number", text, "write a number, or a text in quotes"
    )


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _AmbiguousJson(f"the field `{twice}` appears twice", twice, "keep one of the two")
    return found


_TEXTS = frozenset({"key", "interaction_id", "destination_uri", "media"})
"""Fields whose values may be texts."""

_CONSTANTS = ("NaN", "Infinity", "-Infinity")
_HALF_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
