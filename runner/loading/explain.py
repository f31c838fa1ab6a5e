"""Words what the schema refuses: the thing, its value, and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from runner.core.problem import Place, Problem
from runner.loading.names import offer
from runner.loading.quoting import cut, flow, is_number
from runner.loading.tree import Tree
from runner.schemas_lookup import schema

Path = tuple[str | int, ...]

_UNITS = {"duration": ("s", "ms"), "rate": ("/s", "/min"), "share": ("%",)}
_TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}
_CODES = {
    "additionalProperties": "S001",
    "required": "S002",
    "type": "S003",
    "constant": "S004",
    "const": "S004",
    "enum": "S004",
    "pattern": "S005",
    "minLength": "S005",
    "maxLength": "S005",
    "propertyNames": "S005",
    "uniqueItems": "S008",
}
_BOUNDS = {
    "minimum": "at least",
    "maximum": "at most",
    "exclusiveMinimum": "more than",
    "exclusiveMaximum": "less than",
}


def explain(
    tree: Tree, path: Path, schema_path: Sequence[str | int], kind: Mapping[str, Any]
) -> Iterator[Problem]:
    """Yield the problems of one finding of the schema check.

    `path` leads to the value in the document, `schema_path` to the keyword that refused it and
    `kind` is the validator's description of the finding.
    """
    value, place = tree.reach(path)
    part = _part_of_schema(schema_path[:-1])
    if is_secret(path):
        yield from _secret(tree, path, place, kind)
    elif path[2:] == ("delivery",) and kind["name"] in ("required", "maxProperties"):
        yield _no_single_promise(_head(tree, path))
    elif kind["name"] == "additionalProperties":
        for name in kind["unexpected"]:
            known = part.get("properties", {})
            unused = [field for field in known if field not in value]
            mend = (
                offer(name, unused, kind="field", before="it may also have")
                if unused
                else "delete it"
            )
            holder = "a `from` entry" if "from" in value else _subject(path)
            yield Problem("S001", f"{holder} has no field `{name}`", tree.key(value, name), mend)
    elif kind["name"] == "required":
        name = kind["property"]
        mend = (
            f"add {_entry(tree, name, part['properties'][name]) if 'properties' in part else name}"
        )
        yield Problem("S002", f"{_subject(path)} lacks `{name}`", _head(tree, path), mend)
    elif kind["name"] == "propertyNames":
        yield from _wrong_names(tree, path, part)
    else:
        hide = "headers" in path or (isinstance(value, str) and "://" in value and "@" in value)
        shown = None if hide else _shown(tree, value, place)
        message, mend = _wrong_value(path, value, shown, part, kind)
        yield Problem(code_of(kind["name"]), message, place, mend, hide=hide)


def described(error: jsonschema_rs.ValidationError) -> Mapping[str, Any]:
    """Return the validator's description of a finding, the refusing keyword's `name` included."""
    return {"name": error.kind.name, **error.kind.as_dict()}


def code_of(keyword: str) -> str:
    """Return the code of what a keyword of the schema refuses."""
    return _CODES.get(keyword, "S006" if keyword in _BOUNDS else "S007")


_HOLDER = ("environments", "NAME", "credentials")


def is_secret(path: Path) -> bool:
    """Tell whether the value at `path`, or something in it, may be a secret in plain text."""
    section, field = path[:1], path[2:3]
    return (section == ("environments",) and field == ("credentials",)) or (
        section == ("callbacks",) and field == ("secret",)
    )


def _secret(tree: Tree, path: Path, place: Place, kind: Mapping[str, Any]) -> Iterator[Problem]:
    mend = "write where it is found: {env: NAME}, {file: PATH} or {command: [PROGRAM, ARGUMENT]}"
    name = f"`{path[3] if path[0] == 'environments' and len(path) > len(_HOLDER) else path[2]}`"
    if kind["name"] == "required":
        message = f"`credentials` lacks `{kind['property']}`"
        mend = f"add `{kind['property']}: {{env: NAME}}`"
        yield Problem("S002", message, _head(tree, path), mend, hide=True)
    elif kind["name"] == "additionalProperties":
        mapping, _ = tree.reach(path)
        if name == "`credentials`":
            mend = "`credentials` has the fields `client_id` and `client_secret` alone"
        for field in kind["unexpected"]:
            message = f"{name} has no field `{field}`"
            yield Problem("S001", message, tree.key(mapping, field), mend, hide=True)
    elif kind["name"] in ("minProperties", "maxProperties"):
        yield Problem("S007", f"{name} wants exactly one place", place, mend, hide=True)
    else:
        yield Problem("R007", f"{name} is not a secret reference", place, mend, hide=True)


def _no_single_promise(place: Place) -> Problem:
    mend = (
        "write `{dedupes: 24h}` or `{expires: 30s, visible: 2s}`, as the gateway promises; "
        "delete `delivery` if it promises neither"
    )
    return Problem("S007", "`delivery` wants exactly one promise", place, mend)


def _wrong_names(tree: Tree, path: Path, part: Mapping[str, Any]) -> Iterator[Problem]:
    pattern, longest = re.compile(part["pattern"]), part.get("maxLength", 10_000)
    mapping, _ = tree.reach(path)
    for name in mapping:
        if pattern.fullmatch(name) is None or len(name) > longest:
            message = f"`{cut(name)}` is not a {part['title']}"
            yield Problem("S005", message, tree.key(mapping, name), _mend_form(part))


def _wrong_value(
    path: Path, value: Any, shown: str | None, part: Mapping[str, Any], kind: Mapping[str, Any]
) -> tuple[str, str]:
    """Return what is wrong with a value, and the mend; `shown` is None for what may be a secret."""
    name = kind["name"]
    said = f"{_subject(path)} is {shown}"
    unwanted = f"{said}, not {_wanted(part)}"
    if shown is None:
        unwanted = f"{_subject(path)} is not {_wanted(part)}; it is not shown, it may be a secret"
        shown = "…"
    if name == "type":
        return unwanted, _mend_type(path, value, shown, part)
    if name in ("constant", "const"):
        return said, f"write `{path[-1]}: {flow(part['const'])}`"
    if name == "enum":
        mend = offer(str(value), [str(option) for option in part["enum"]], kind="value")
        return f"{said}, which is not one of its values", mend
    if name in _BOUNDS:
        return said, f"write a number {_BOUNDS[name]} {part[name]}"
    if _CODES.get(name) == "S005":
        return unwanted, _mend_form(part)
    return _wrong_count(path, value, part, name)


def _wrong_count(path: Path, value: Any, part: Mapping[str, Any], keyword: str) -> tuple[str, str]:
    if keyword == "uniqueItems":
        return f"{_subject(path)} names {_repeated(value)} twice", "keep one of the two"
    amount = "too much" if value else "nothing"
    mend = f"write for example `{path[-1]}: {_example(part)}`"
    return f"{_subject(path)} holds {amount}", mend


def _repeated(items: Sequence[Any]) -> str:
    """Return the first item that stands twice; `1` and `1.0` are one to the schema alone."""
    seen: set[str] = set()
    for text in map(flow, items):
        if text in seen:
            return f"`{cut(text)}`"
        seen.add(text)
    return "something"


def _mend_type(path: Path, value: Any, shown: str, part: Mapping[str, Any]) -> str:
    if not path:
        return "begin with `version: 1`"
    name = f"{path[-1]}: " if isinstance(path[-1], str) else "- "
    wanted, mend = part.get("type"), f"write for example `{name}{_example(part)}`"
    if isinstance(value, str | int | float):
        if wanted == "string" and part.get("title") in _UNITS and not isinstance(value, bool):
            mend = f"add a unit: {_with_unit(name, value, shown, part['title'])}"
        elif wanted == "string":
            mend = f'put quotes around it: `{name}"{shown}"`'
        elif wanted == "array":
            mend = f"write a list: `{name}[{cut(str(value))}]`"
        elif wanted in ("integer", "number") and isinstance(value, str) and is_number(value):
            mend = f"drop the quotes: `{name}{value}`"
    return f"write `{name}true` or `{name}false`" if wanted == "boolean" else mend


def _with_unit(name: str, value: Any, shown: str, quantity: str) -> str:
    if quantity == "share" and isinstance(value, float) and 0 < value < 1:
        shown = f"{value * 100:g}"
    return " or ".join(f"`{name}{shown}{unit}`" for unit in _UNITS[quantity])


def _mend_form(part: Mapping[str, Any]) -> str:
    examples = ", ".join(f"`{flow(example)}`" for example in part.get("examples", ())[:3])
    meaning = part.get("description", "").partition(". ")[0].rstrip(".")
    return f"write for example {examples}" + (
        f" ({meaning[0].lower()}{meaning[1:]})" if meaning else ""
    )


def _wanted(part: Mapping[str, Any]) -> str:
    if "$schema" in part:
        return "a mapping"
    wanted = part.get("type", "object")
    noun = part.get("title") or (_TYPES[wanted] if isinstance(wanted, str) else "text")
    if noun in ("text", "true or false"):
        return noun
    if wanted == "object" and noun not in ("media matrix", "transfer"):
        return "a mapping"
    return f"{'an' if noun[0] in 'aeiou' or noun.startswith('HTTP') else 'a'} {noun}"


def _subject(path: Path) -> str:
    if not path:
        return "the manifest"
    if isinstance(path[-1], str):
        return f"`{path[-1]}`"
    if path[0] == "transfers" and len(path) == 2:  # noqa: PLR2004 - an item of `transfers`
        return "this transfer"
    return f"item {path[-1] + 1} of `{path[-2]}`"


def _shown(tree: Tree, value: Any, place: Place) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    written = tree.source.shown(place)
    if isinstance(value, str) and not written.startswith(("'", '"')):
        return f"`{cut(value)}`"
    return cut(written or flow(value))


def _head(tree: Tree, path: Path) -> Place:
    """Return where a mapping is named, or where it begins if it has no name."""
    if path and isinstance(path[-1], str):
        parent, _ = tree.reach(path[:-1])
        return tree.key(parent, path[-1])
    return tree.reach(path)[1]


def _part_of_schema(path: Sequence[str | int]) -> Mapping[str, Any]:
    part: Any = schema("manifest.v1")
    for step in path:
        part = part[step]
    # `then` only adds a demand; what the fields are is said beside it.
    if path and path[-1] == "then" and "properties" not in part:
        part = {**_part_of_schema(path[:-1]), **part}
    return _dereferenced(part)


def _dereferenced(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    target: Mapping[str, Any] = schema("manifest.v1")["$defs"][part["$ref"].rpartition("/")[2]]
    return {**target, **part}


def _entry(tree: Tree, name: str, part: Mapping[str, Any]) -> str:
    gateways = tree.root.get("gateways") if name == "gateway" else None
    defined = next(iter(gateways), None) if isinstance(gateways, dict) else None
    return f"`{name}: {defined or _example(part)}`"


def _example(part: Mapping[str, Any]) -> str:
    examples = _dereferenced(part).get("examples", ())
    return flow(examples[0]) if examples else "…"
