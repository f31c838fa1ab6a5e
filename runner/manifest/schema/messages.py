"""Composes the messages of schema problems: field, value and fix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jsonschema_rs

from runner.core.diagnostics.problem import Place, Problem, Related
from runner.core.manifest.rules import fixed_figures
from runner.manifest.schema.amounts import amount_fix
from runner.manifest.schema.schema_paths import dereferenced, field_containing, place_of_field
from runner.manifest.secret_lines import REFERENCE, public_part
from runner.manifest.suggestions import list_names, nearest, offer
from runner.manifest.value_text import YAML, Syntax, flow_yaml, is_number, truncate
from runner.manifest.yaml.tree import Tree, ValuePath

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
_LENGTHS = {"maxLength": "characters", "maxItems": "entries", "maxProperties": "entries"}
_BOUNDS = {
    "minimum": "{} or more",
    "maximum": "{} or less",
    "exclusiveMinimum": "a number above {}",
    "exclusiveMaximum": "a number below {}",
}
_BEYOND = {
    "minimum": "less than {}",
    "maximum": "more than {}",
    "exclusiveMinimum": "not above {}",
    "exclusiveMaximum": "not below {}",
}


def explain(
    tree: Tree,
    path: ValuePath,
    part: Mapping[str, Any],
    kind: Mapping[str, Any],
    syntax: Syntax = YAML,
) -> Iterator[Problem]:
    """Yield the problems of one finding of the schema check.

    `path` leads to the value in the document, `part` is the part of the schema that refused it,
    and `kind` is the validator's description of the finding. Fixes are written in `syntax`.
    """
    value, place = tree.reach(path)
    if kind["name"] == "minProperties" and value and set(part.get("required", ())) - value.keys():
        return  # what it lacks is named by a finding of its own
    if is_secret(path):
        yield from _secret(tree, path, place, kind)
    elif path[2:] == ("delivery",) and kind["name"] in ("required", "maxProperties"):
        yield _no_single_promise(_head(tree, path))
    elif kind["name"] == "additionalProperties":
        yield from _unknown_fields(tree, path, part, kind)
    elif kind["name"] == "required":
        yield _missing_field(tree, path, part, kind["property"])
    elif kind["name"] == "anyOf":  # of several fields one is needed, and the first is the usual one
        yield _missing_field(tree, path, part, part["anyOf"][0]["required"][0])
    elif kind["name"] == "propertyNames":
        yield from _wrong_names(tree, path, part)
    elif kind["name"] == "uniqueItems":
        yield _repeated(tree, path, value)
    elif not (kind["name"] in _BOUNDS and _is_mistyped(value, part)):
        yield _refused_value(tree, path, part, kind, syntax)


def _unknown_fields(
    tree: Tree, path: ValuePath, part: Mapping[str, Any], kind: Mapping[str, Any]
) -> Iterator[Problem]:
    value, _ = tree.reach(path)
    is_entry = path[:1] == ("transfers",)
    kind_of = next((word for word in ("from", "select") if is_entry and word in value), None)
    holder = _subject(path) if kind_of is None else f"a `{kind_of}` entry"
    for name in kind["unexpected"]:
        message, place = f"{holder} has no field `{name}`", tree.key(value, name)
        yield Problem("S001", message, place, _field_fix(name, value, part))


def _missing_field(tree: Tree, path: ValuePath, part: Mapping[str, Any], name: str) -> Problem:
    fix = f"add `{name}`"
    if "properties" in part:
        example = _fitting(tree.reach(path)[0], name, part["properties"][name])
        fix = f"add {_entry(tree, name, example)}"
    return Problem("S002", f"{_subject(path)} lacks `{name}`", _head(tree, path), fix)


def _refused_value(
    tree: Tree, path: ValuePath, part: Mapping[str, Any], kind: Mapping[str, Any], syntax: Syntax
) -> Problem:
    value, place = tree.reach(path)
    if path and isinstance(path[-1], str):
        part = _fitting(tree.reach(path[:-1])[0], path[-1], part)
    public = value if "headers" not in path else None
    if isinstance(public, str) and ("://" in public or "url" in str(path[-1:])):
        public = public_part(public)
    hide = public != value
    shown = _shown(tree, value, place) if not hide else public and f"`{truncate(public)}…`"
    message, fix = _wrong_value(path, value, shown, part, kind, syntax)
    return Problem(code_of(kind["name"]), message, place, fix, hide=hide)


def described(error: jsonschema_rs.ValidationError) -> Mapping[str, Any]:
    """Return the validator's description of a finding, with the keyword's `name`."""
    return {"name": error.kind.name, **error.kind.as_dict()}


def code_of(keyword: str) -> str:
    """Return the code of a schema keyword's findings."""
    return _CODES.get(keyword, "S006" if keyword in _BOUNDS else "S007")


_HOLDER = ("environments", "NAME", "credentials")


def is_secret(path: ValuePath) -> bool:
    """Return whether the value at `path`, or a part of it, may be a secret in plain text."""
    section, field = path[:1], path[2:3]
    return (
        (section == ("environments",) and field == ("credentials",))
        or (section == ("callbacks",) and field == ("secret",))
        or (section == ("notify",) and field == ("url",))
    )


def _secret(
    tree: Tree, path: ValuePath, place: Place, kind: Mapping[str, Any]
) -> Iterator[Problem]:
    fix = REFERENCE
    name = f"`{path[3] if path[0] == 'environments' and len(path) > len(_HOLDER) else path[2]}`"
    if kind["name"] == "required":
        message = f"`credentials` lacks `{kind['property']}`"
        fix = f"add `{kind['property']}: {{env: NAME}}`"
        yield Problem("S002", message, _head(tree, path), fix, hide=True)
    elif kind["name"] == "additionalProperties":
        mapping, _ = tree.reach(path)
        if name == "`credentials`":
            fix = "`credentials` has only the fields `client_id` and `client_secret`"
        for field in kind["unexpected"]:
            message = f"{name} has no field `{field}`"
            yield Problem("S001", message, tree.key(mapping, field), fix, hide=True)
    elif kind["name"] in ("minProperties", "maxProperties"):
        message = f"{name} has {len(tree.reach(path)[0])} sources, and must have exactly one"
        yield Problem("S007", message, place, fix, hide=True)
    else:
        yield Problem("R007", f"{name} is not a secret reference", place, fix, hide=True)


def _no_single_promise(place: Place) -> Problem:
    fix = (
        "write `{dedupes: 24h}` or `{expires: 30s, visible: 2s}`, as the gateway promises; "
        "delete `delivery` if it promises neither"
    )
    return Problem("S007", "`delivery` must have exactly one promise", place, fix)


def _wrong_names(tree: Tree, path: ValuePath, part: Mapping[str, Any]) -> Iterator[Problem]:
    pattern, longest = re.compile(part["pattern"]), part.get("maxLength", 10_000)
    mapping, _ = tree.reach(path)
    for name in mapping:
        if pattern.fullmatch(name) is None or len(name) > longest:
            message = f"`{truncate(name)}` is not a {part['title']}"
            yield Problem("S005", message, tree.key(mapping, name), _form_fix(part))


def _wrong_value(  # noqa: PLR0917 - each is a part of the message
    path: ValuePath,
    value: Any,
    shown: str | None,
    part: Mapping[str, Any],
    kind: Mapping[str, Any],
    syntax: Syntax,
) -> tuple[str, str]:
    """Return message and fix for a value; `shown` is None if it may be a secret."""
    name = kind["name"]
    finding = f"{_subject(path)} is {shown}"
    message = f"{_subject(path, transfer='this entry')} is {shown}, not {_wanted(part)}"
    if shown is None:
        message = (
            f"{_subject(path)} is not {_wanted(part)}; it is not shown because it may be a secret"
        )
        shown = "…"
    if name == "type" or _CODES.get(name) == "S005":
        message = message if value or name == "type" else f"{_subject(path)} is empty"
        fix = amount_fix(value, part, shown)
        if fix is None and name == "type":
            fix = _type_fix(path, value, shown, part, syntax)
        if name not in _LENGTHS:
            return message, fix or _form_fix(part)
    if name in ("constant", "const"):
        return (
            f"{finding}, not {flow_yaml(part['const'])}",
            f"write `{path[-1]}: {flow_yaml(part['const'])}`",
        )
    if name == "enum":
        fix = offer(
            str(value), [str(option) for option in part["enum"]], kind="value", before="allowed"
        )
        return f"{finding}, which is not one of the allowed values", fix
    if "fitting" in part and name in _BOUNDS:
        return (
            f"{finding}, {_BEYOND[name].format(part[name])}",
            f"write `{syntax.key(path[-1])}{part['fitting']}`",
        )
    if name in _BOUNDS or name in _LENGTHS:
        return _beyond(path, value, finding, part[name], name)
    fix = f"write for example `{syntax.key(path[-1])}{_example(part, syntax)}`"
    names = ", ".join(f"`{truncate(name)}`" for name in value)
    return f"{_subject(path)} {f'has nothing but {names}' if names else 'is empty'}", fix


def _is_mistyped(value: Any, part: Mapping[str, Any]) -> bool:
    """Return whether a number has the wrong type, which is a problem of its own."""
    wanted = part.get("type", ())
    return "integer" in wanted and isinstance(value, float) and not value.is_integer()


def _fitting(holder: Any, name: str, part: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the part with an example for the codec beside it, which may allow only one value."""
    codec = holder.get("codec") if isinstance(holder, Mapping) else None
    figure = fixed_figures(codec).get(name) if isinstance(codec, str) else None
    if figure is None:
        return part
    return {**part, "examples": [int(figure)], "fitting": int(figure)}


def _beyond(path: ValuePath, value: Any, finding: str, bound: int, keyword: str) -> tuple[str, str]:
    if keyword in _BOUNDS:
        return (
            f"{finding}, {_BEYOND[keyword].format(bound)}",
            f"write {_BOUNDS[keyword].format(bound)}",
        )
    noun = _LENGTHS[keyword]
    return f"{_subject(path)} has {len(value):,} {noun}", f"use at most {bound:,} {noun}"


def _repeated(tree: Tree, path: ValuePath, items: Sequence[Any]) -> Problem:
    """Return the problem of a duplicate item; the schema takes `1` and `1.0` as equal."""
    seen: dict[str, int] = {}
    for index, text in enumerate(map(flow_yaml, items)):
        if text in seen:
            first = Related(tree.value(items, seen[text]), "first here")
            message = f"{_subject(path)} contains `{truncate(text)}` twice"
            place = tree.value(items, index)
            return Problem("S008", message, place, "keep one of the two", related=(first,))
        seen[text] = index
    place = tree.reach(path)[1]
    return Problem("S008", f"{_subject(path)} contains an item twice", place, "keep one of the two")


def _field_fix(name: str, value: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    unused = [field for field in part.get("properties", {}) if field not in value]
    if (inner := field_containing(name, part, unused)) is not None:
        return f"it belongs in `{inner}`: write `{inner}: {{{name}: …}}`"
    elsewhere = place_of_field(name) if nearest(name, unused) is None else None
    if elsewhere is not None:
        return (
            f"{elsewhere}; {list_names(sorted(unused), 'allowed here') if unused else 'delete it'}"
        )
    return offer(name, unused, kind="field", before="it may also have") if unused else "delete it"


def _type_fix(
    path: ValuePath, value: Any, shown: str, part: Mapping[str, Any], syntax: Syntax
) -> str:
    if not path:
        return "begin with `version: 1`"
    name = syntax.key(path[-1])
    wanted, fix = part.get("type"), f"write for example `{name}{_example(part, syntax)}`"
    if isinstance(value, str | int | float):
        if wanted == "string" and part.get("title") in _UNITS and not isinstance(value, bool):
            written = [f"{shown}{unit}" for unit in _UNITS[part["title"]]]
            if all(re.search(part["pattern"], text) for text in written):
                fix = "add a unit: " + " or ".join(f"`{name}{text}`" for text in written)
        elif wanted == "string" and re.search(part.get("pattern", ""), shown):
            fix = f'put quotes around it: `{name}"{shown}"`'
        elif wanted == "array":
            fix = f"write a list: `{name}[{truncate(syntax.value(value))}]`"
        elif wanted in ("integer", "number") and isinstance(value, str) and is_number(value):
            fix = f"drop the quotes: `{name}{value}`"
    return f"write `{name}true` or `{name}false`" if wanted == "boolean" else fix


def _form_fix(part: Mapping[str, Any]) -> str:
    examples = ", ".join(f"`{flow_yaml(example)}`" for example in part.get("examples", ())[:3])
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


def _subject(path: ValuePath, *, transfer: str = "this transfer") -> str:
    if not path:
        return "the manifest"
    if isinstance(path[-1], str):
        return f"`{path[-1]}`"
    if path[0] == "transfers" and len(path) == 2:  # noqa: PLR2004 - an item of `transfers`
        return transfer
    return f"item {path[-1] + 1} of `{path[-2]}`"


def _shown(tree: Tree, value: Any, place: Place) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    written = tree.shown(place)
    if isinstance(value, str) and not written.startswith(("'", '"')):
        return f"`{truncate(value)}`"
    return truncate(written or flow_yaml(value))


def _head(tree: Tree, path: ValuePath) -> Place:
    """Return the place of a mapping's key, or its beginning if it has no key."""
    if path and isinstance(path[-1], str):
        parent, _ = tree.reach(path[:-1])
        return tree.key(parent, path[-1])
    value, place = tree.reach(path)
    return tree.key(value, next(iter(value))) if isinstance(value, dict) and value else place


def _entry(tree: Tree, name: str, part: Mapping[str, Any]) -> str:
    gateways = tree.root.get("gateways") if name == "gateway" else None
    defined = next(iter(gateways), None) if isinstance(gateways, dict) else None
    return f"`{name}: {defined or _example(part)}`"


def _example(part: Mapping[str, Any], syntax: Syntax = YAML) -> str:
    examples = dereferenced(part).get("examples", ())
    return syntax.value(examples[0]) if examples else "…"
