"""How rows and decisions are kept in tables and plan files, derived from their classes.

A table has a column for each field, under its name. Texts and numbers stand as they are; what has a
form of its own is JSON. Media repeat from row to row: a table keeps the number of their ladder, the
requested matrix with its fallbacks, and the ladder's text once. Nothing here depends on a database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from enum import EnumType, StrEnum
from functools import lru_cache
from operator import attrgetter
from types import MappingProxyType, UnionType
from typing import Any, Generic, NamedTuple, TypeVar, cast, get_args, get_origin, get_type_hints

from runner.core.manifest.media import MediaMatrix
from runner.core.transfer.plan_decision import Decision
from runner.core.transfer.rows import PlannedRow, TransferRow

R = TypeVar("R")

LADDER = "ladder"
"""The column that stands for the field `media`."""

_MEDIA = "media"
_PLAIN = frozenset({str, int, float})
_CACHED = 1024


class _Form(NamedTuple):
    """How a column keeps a field's values, and plan files; None: as they are."""

    write: Callable[[Any], object] | None = None
    read: Callable[[Any], Any] | None = None
    to_json: Callable[[Any], Any] | None = None
    from_json: Callable[[Any], Any] | None = None


class RowCodec(Generic[R]):
    """Turns values of a dataclass into table rows and JSON objects, and back.

    Raises `TypeError` for a class with a field whose type has no form here.
    """

    def __init__(self, record: type[R]) -> None:
        types = get_type_hints(record)
        self._record = record
        self.fields = tuple(field.name for field in fields(record))  # type: ignore[arg-type]
        self.columns = tuple(LADDER if name == _MEDIA else name for name in self.fields)
        self._forms = {name: _form(types[name]) for name in self.fields}
        self._values = attrgetter(*self.fields)
        self._media = self.fields.index(_MEDIA) if _MEDIA in self.fields else None
        forms = list(enumerate(self._forms.values()))
        self._writers = [
            (at, form.write) for at, form in forms if form.write is not None and at != self._media
        ]
        self._readers = [(at, form.read) for at, form in forms if form.read is not None]

    def expressions(
        self,
        table: str = "",
        *,
        instead: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Return what a query selects for `read`: a column for each field, of `table` (its alias).

        `instead` has other expressions by field.
        """
        prefix = f"{table}." if table else ""
        own = {name: f"{prefix}{name}" for name in self.fields}
        # Media are a column of the table of ladders.
        found = own | {_MEDIA: _MEDIA} | dict(instead)
        return ", ".join(found[name] for name in self.fields)

    def write(self, row: R, ladder: int | None = None) -> list[object]:
        """Return the values of `columns`; `ladder` is the number of the row's media."""
        values: list[object] = list(self._values(row))
        for at, write in self._writers:
            if (value := values[at]) is not None:
                values[at] = write(value)
        if self._media is not None:
            values[self._media] = ladder
        return values

    def write_all(self, columns: Mapping[str, Iterable[Any]]) -> dict[str, Iterable[object]]:
        """Return what `write` returns for many rows field by field, without their media.

        Fields without a column are left out; no value of the others is None, unless it is plain.
        """
        return {
            name: column if (write := self._forms[name].write) is None else map(write, column)
            for name, column in columns.items()
            if name != _MEDIA
        }

    def read(self, values: Iterable[Any]) -> R:
        """Return what `expressions` selected as a value of the class."""
        given = list(values)
        for at, read in self._readers:
            if (value := given[at]) is not None:
                given[at] = read(value)
        return self._record(*given)

    def to_json(self, row: R, *, without: Collection[str] = ()) -> dict[str, Any]:
        """Return the JSON form of all fields that are not None."""
        return {
            name: value if (form := self._forms[name].to_json) is None else form(value)
            for name, value in zip(self.fields, self._values(row), strict=True)
            if value is not None and name not in without
        }

    def from_json(self, kept: Mapping[str, Any]) -> R:
        """Return what `to_json` returned; raises `LookupError` or `TypeError` on another shape."""
        return self._record(**{
            name: kept[name] if (form := self._forms[name].from_json) is None else form(kept[name])
            for name in self.fields
            if name in kept
        })  # fmt: skip


def write_ladder(media: Sequence[MediaMatrix]) -> str:
    """Return the JSON text of a requested matrix and its fallbacks."""
    return json.dumps([matrix.to_json() for matrix in media], separators=(",", ":"))


@lru_cache(maxsize=_CACHED)
def read_ladder(text: str) -> tuple[MediaMatrix, ...]:
    """Read what `write_ladder` wrote."""
    return tuple(MediaMatrix.from_json(matrix) for matrix in json.loads(text))


def _form(kind: Any) -> _Form:
    """Return the form of a field's type; optional values keep None as it is."""
    if kind == tuple[MediaMatrix, ...]:
        ladder = _tuple_form(MediaMatrix.to_json, MediaMatrix.from_json)
        return ladder._replace(write=write_ladder, read=read_ladder)
    if get_origin(kind) is tuple:
        item = _form(get_args(kind)[0])
        return _tuple_form(item.to_json, item.from_json)
    if isinstance(kind, UnionType):
        (inner,) = (each for each in get_args(kind) if each is not type(None))
        return _form(inner)  # None stays as it is, whatever the form
    return _form_of_class(kind)


def _form_of_class(kind: Any) -> _Form:
    if kind in _PLAIN:
        return _Form()
    if kind is bool:
        return _Form(read=bool)
    if isinstance(kind, EnumType):  # of texts; looking one up is faster than calling the class
        members = {member.value: member for member in cast("Iterable[StrEnum]", kind)}
        return _Form(str, members.__getitem__, str, members.__getitem__)
    if hasattr(kind, "_make"):  # a `NamedTuple` of plain values
        return _json_form(list, kind._make)
    if hasattr(kind, "from_json"):
        return _json_form(kind.to_json, kind.from_json)
    raise TypeError(f"fields of the type {kind} have no form in a table")


def _tuple_form(
    to_json: Callable[[Any], Any] | None, from_json: Callable[[Any], Any] | None
) -> _Form:
    if to_json is None or from_json is None:
        return _json_form(list, tuple)
    return _json_form(
        lambda items: [to_json(item) for item in items],
        lambda kept: tuple(from_json(item) for item in kept),
    )


def _json_form(to_json: Callable[[Any], Any], from_json: Callable[[Any], Any]) -> _Form:
    """Return a form as JSON text. Values are frozen and repeat: what is known is not read again."""
    return _Form(
        lru_cache(maxsize=_CACHED)(lambda value: json.dumps(to_json(value))),
        lru_cache(maxsize=_CACHED)(lambda text: from_json(json.loads(text))),
        to_json,
        from_json,
    )


ROW = RowCodec(TransferRow)
PLANNED_ROW = RowCodec(PlannedRow)
DECISION = RowCodec(Decision)
