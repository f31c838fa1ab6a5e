"""Finds parts of the manifest's schema: the part of a finding, and where a field belongs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from runner.schemas_lookup import schema

_MAX_PLACES = 2
"""Most places that are suggested for a field; among more, no one is likely."""


_MIN_PREFIX = 4
"""Fewest letters of a prefix that identifies a field."""


def part_of_schema(route: Sequence[str | int], start: str | None = None) -> Mapping[str, Any]:
    """Return the part that `route` leads to, from the part called `start` or from the whole.

    `route` is an evaluation path: it goes through references.
    """
    before: Any = {}
    part: Any = schema("manifest.v1") if start is None else {"$ref": f"#/$defs/{start}"}
    for step in route:
        before, part = part, (_referred(part) if step == "$ref" else part[step])
    # `then` only adds a requirement; the fields are described beside it.
    if route and route[-1] == "then" and "properties" not in part:
        part = {**before, **part}
    return dereferenced(part)


def dereferenced(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a part with its reference resolved."""
    return {**_referred(part), **part} if "$ref" in part else part


def _referred(part: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Mapping[str, Any] = schema("manifest.v1")["$defs"][part["$ref"].rpartition("/")[2]]
    # For plain text the field has a better example than the type.
    return {**target, "examples": part["examples"]} if _is_plain_text(target, part) else target


def _is_plain_text(target: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    return target.get("title") == "text" and "examples" in part


def field_containing(name: str, part: Mapping[str, Any], fields: Sequence[str]) -> str | None:
    """Return the field among `fields` that contains a field `name`, or None."""
    inner = (field for field in fields if name in _fields_of(part["properties"][field]))
    return next(inner, None)


def _fields_of(part: Mapping[str, Any]) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = dereferenced(part).get("properties", {})
    return fields


def place_of_field(name: str) -> str | None:
    """Return where a field with this name, or one that begins with it, belongs in a manifest.

    None if no field matches, or if it belongs in more than two places.
    """
    begun = [field for field in _places() if field.startswith(name) and len(name) >= _MIN_PREFIX]
    field = name if name in _places() else begun[0] if len(begun) == 1 else None
    ways = _places()[field] if field is not None else ()
    if not 0 < len(ways) <= _MAX_PLACES:
        return None
    return f"the field `{field}` belongs {' or '.join(map(_place_text, ways))}"


def _place_text(path: tuple[str, ...]) -> str:
    return f"under `{': '.join(path)}:`" if path else "at the top level of the manifest"


@cache
def _places() -> Mapping[str, tuple[tuple[str, ...], ...]]:
    """Return the paths of the mappings that may contain each field, except transfers."""
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
