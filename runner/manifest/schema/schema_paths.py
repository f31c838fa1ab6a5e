"""Finds its way in the manifest's schema: what a finding is about, and where a field belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from runner.schemas_lookup import schema

_MOST_HOMES = 2
"""Places that are told for a field; where it may stand in more, none is likelier than another."""


_TELLING = 4
"""Letters of a beginning that tells which field is meant."""


def part_of_schema(route: Sequence[str | int], start: str | None = None) -> Mapping[str, Any]:
    """Return the part that `route` leads to, from the part called `start` or from the whole.

    `route` is an evaluation path: it goes through references.
    """
    before: Any = {}
    part: Any = schema("manifest.v1") if start is None else {"$ref": f"#/$defs/{start}"}
    for step in route:
        before, part = part, (_referred(part) if step == "$ref" else part[step])
    # `then` only adds a demand; what the fields are is said beside it.
    if route and route[-1] == "then" and "properties" not in part:
        part = {**before, **part}
    return dereferenced(part)


def dereferenced(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part with what it refers to filled in."""
    return {**_referred(part), **part} if "$ref" in part else part


def _referred(part: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Mapping[str, Any] = schema("manifest.v1")["$defs"][part["$ref"].rpartition("/")[2]]
    # Of a mere text the field knows a better example than the text.
    return {**target, "examples": part["examples"]} if _is_mere_text(target, part) else target


def _is_mere_text(target: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return target.get("title") == "text" and "examples" in part


def inside(name: str, part: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    """Return which of the part's `fields` has a field `name` in turn, if one has."""
    inner = (field for field in fields if name in _fields_of(part["properties"][field]))
    return next(inner, None)


def _fields_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = dereferenced(part).get("properties", {})
    return fields


def home(name: str) -> str | None:
    """Return where in a manifest the field stands that is called so, or begins so.

    None if there is no such field, or more than one or two places.
    """
    begun = [field for field in _homes() if field.startswith(name) and len(name) >= _TELLING]
    field = name if name in _homes() else begun[0] if len(begun) == 1 else None
    ways = _homes()[field] if field is not None else ()
    if not 0 < len(ways) <= _MOST_HOMES:
        return None
    return f"the field `{field}` belongs {' or '.join(map(_told, ways))}"


def _told(home: tuple[str, ...]) -> str:
    return f"under `{': '.join(home)}:`" if home else "at the top level of the manifest"


@cache
def _homes() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Return the ways to the mappings that each field may stand in; transfers are left out."""
    found: dict[str, tuple[tuple[str, ...], ...]] = {}
    for way, name in _fields(schema("manifest.v1"), ()):
        found[name] = (*found.get(name, ()), way)
    return found


def _fields(part: Mapping[str, Any], way: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name, field in _fields_of(part).items():
        yield way, name
        yield from _fields(field, (*way, name))
    each = dereferenced(part).get("additionalProperties")
    if isinstance(each, Mapping):
        yield from _fields(each, (*way, "NAME"))
