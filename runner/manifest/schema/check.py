"""Checks a document against the manifest's schema, and removes the parts that fail.

`jsonschema-rs` validates, and `explain` composes the messages. The rules then check the rest, so that
one run reports the problems of both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple, Never

import jsonschema_rs

from runner.core.diagnostics.problem import Place, Problem
from runner.core.frozen import frozen
from runner.manifest.problem_collector import KEPT, Collector
from runner.manifest.schema.messages import code_of, described, explain, is_secret
from runner.manifest.schema.schema_paths import part_of_schema
from runner.manifest.suggestions import nearest
from runner.manifest.yaml.tree import Tree, ValuePath
from runner.schemas_lookup import schema

SECTIONS = ("environments", "gateways", "media", "callbacks", "gates")
TRANSFER = "transferItem"
"""The schema's definition of an item of `transfers`."""

_UNIT_DEPTH = {
    **dict.fromkeys(("environments", "gateways"), 3),
    **dict.fromkeys(("media", "callbacks", "gates", "destinations"), 2),
    **dict.fromkeys(("defaults", "policy", "transfers"), 2),
}
_PARTIAL = (
    "environments",
    "gateways",
)  # sections whose entries are checked without their missing fields
_FILE_FIELDS = ("from", "columns")  # fields of a `from` entry without which its file cannot be read


@frozen
class Document:
    """A document whose remaining `tree` satisfies the schema.

    `defined` has the names of each section, including faulty entries, and `uncertain` the paths of
    what was removed: neither causes further problems. `invalid_fields` has, by the identities of the
    faulty transfers and `from` entries that were kept, the fields that are not to be checked. A
    gateway or an environment may lack required fields.
    """

    tree: Tree
    defined: Mapping[str, frozenset[str]]
    uncertain: frozenset[ValuePath]
    invalid_fields: Mapping[int, frozenset[str]]
    _affected: frozenset[ValuePath]  # paths of what contains a removed part

    def where(self, container: Any, at: str | int, *part: str | int) -> Place:
        """Return the place of a container's member, or of a part of it."""
        for step in part:
            container, at = container[at], step
        return self.tree.value(container, at)

    def is_uncertain(self, *path: str) -> bool:
        """Return whether the value at `path`, a part of it, or what contains it was removed."""
        return path in self._affected or any(
            path[:length] in self.uncertain for length in range(1, len(path) + 1)
        )

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a top-level mapping; empty if it is absent or was faulty."""
        found = self.tree.root.get(name)
        return found if isinstance(found, Mapping) else {}


class _Fault(NamedTuple):
    """A finding of the schema: its path, the keyword, and the field names concerned."""

    path: ValuePath
    keyword: str
    unexpected: tuple[str, ...]
    missing: str | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a transfer that the fault leaves unknown."""
        if len(self.path) > _ITEM:
            return (str(self.path[_ITEM]),)
        if self.missing is not None:
            return (self.missing,)
        return tuple(nearest(name, _transfer_fields()) or name for name in self.unexpected[:KEPT])


_ITEM = 2
"""Length of the path to an item of `transfers`."""


def check_schema(tree: Tree, problems: Collector) -> Document | None:
    """Add the schema's problems; return the rest of the document, or None if nothing is left."""
    defined = {name: _names(tree.root, name) for name in SECTIONS}
    if validator().is_valid(tree.root):
        return _document(tree, defined, frozenset(), {})
    faults: list[_Fault] = []
    for path, error, start in _errors(tree.root):
        kind = described(error)
        unexpected = tuple(kind.get("unexpected", ()))
        faults.append(_Fault(path, kind["name"], unexpected, kind.get("property")))
        if problems.full:
            problems.count(code_of(kind["name"]))
            continue
        part = part_of_schema(list(error.evaluation_path)[:-1], start)
        _add(explain(tree, path, part, kind), len(unexpected), problems)
    if not isinstance(tree.root, dict) or not problems.failed:
        return None
    invalid_fields = _invalid_fields(tree.root.get("transfers"), faults)
    return _document(tree, defined, _remove_faulty(tree, faults, invalid_fields), invalid_fields)


def _document(
    tree: Tree,
    defined: Mapping[str, frozenset[str]],
    uncertain: frozenset[ValuePath],
    invalid_fields: Mapping[int, frozenset[str]],
) -> Document:
    affected = {way[:length] for way in uncertain for length in range(1, len(way) + 1)}
    return Document(tree, defined, uncertain, invalid_fields, frozenset(affected))


def _add(found: Iterable[Problem], unexpected: int, problems: Collector) -> None:
    """Add one finding's problems; if they are too many, count the remaining unexpected fields."""
    for added, problem in enumerate(found):
        if problems.full and added < unexpected:
            for _ in range(unexpected - added):
                problems.count(problem.code)
            return
        if not problems.is_unreadable(problem.place):
            problems.add(problem)


def _names(root: Any, section: str) -> frozenset[str]:
    found = root.get(section) if isinstance(root, dict) else None
    return frozenset(found) if isinstance(found, dict) else frozenset()


def _errors(root: Any) -> Iterator[tuple[ValuePath, jsonschema_rs.ValidationError, str | None]]:
    """Yield findings with their paths, and the part of the schema that found them.

    Transfers are checked one at a time, because there may be millions.
    """
    transfers = root.get("transfers") if isinstance(root, dict) else None
    if not isinstance(transfers, list):
        transfers = []
    elif transfers:
        root = {**root, "transfers": []}
    for error in validator().iter_errors(root):
        yield _path_of(error, root), error, None
    check = validator(TRANSFER)
    for index, item in enumerate(transfers):
        if not check.is_valid(item):
            for error in check.iter_errors(item):
                yield ("transfers", index, *_path_of(error, item)), error, TRANSFER


def _path_of(error: jsonschema_rs.ValidationError, root: Any) -> ValuePath:
    """Return the path to a finding. The library reports a key of digits as a number: `005` as 5."""
    path: list[str | int] = []
    value = root
    for at, step in enumerate(error.instance_path, 1):
        key = step
        if isinstance(value, dict) and isinstance(step, int):
            keys = [each for each in value if each.isdecimal() and int(each) == step]
            is_end = at == len(error.instance_path)
            here = [each for each in keys if not is_end or value[each] == error.instance]
            key = (here or keys)[0]
        path.append(key)
        value = value[key]
    return tuple(path)


@cache
def validator(part: str | None = None) -> jsonschema_rs.Validator:
    """Return the validator of a manifest, or of a part that the schema defines."""
    whole = schema("manifest.v1")
    return jsonschema_rs.validator_for(
        whole if part is None else {"$ref": f"#/$defs/{part}", "$defs": whole["$defs"]},
        retriever=_refuse,  # no reference of the schema leads to the network
        pattern_options=jsonschema_rs.RegexOptions(),  # linear in the text's length
    )


def _refuse(address: str) -> Never:
    raise ValueError(f"a schema refers to {address}; schemas must not refer to other documents")


def _invalid_fields(transfers: Any, faults: Iterable[_Fault]) -> Mapping[int, frozenset[str]]:
    """Return the faulty transfers and `from` entries that can be checked in part.

    They are keyed by identity; the values are the fields that are not to be checked.
    """
    found: dict[int, set[str]] = defaultdict(set)
    unusable: set[int] = set()
    for fault in faults:
        if fault.path[:1] != ("transfers",) or len(fault.path) < _ITEM:
            continue
        item = transfers[fault.path[1]]
        if (
            not isinstance(item, dict)
            or "select" in item
            or ("from" in item and not set(_FILE_FIELDS).isdisjoint(fault.fields))
        ):
            unusable.add(id(item))
        else:
            found[id(item)].update(fault.fields)
    return {item: frozenset(fields) for item, fields in found.items() if item not in unusable}


def _remove_faulty(
    tree: Tree, faults: Iterable[_Fault], invalid_fields: Mapping[int, frozenset[str]]
) -> frozenset[ValuePath]:
    """Remove unknown fields, and otherwise the smallest part that rules check as a whole.

    Items in `invalid_fields` stay, except for the faulty fields of `from` entries. Returns the paths of
    what was removed, and of what the unknown fields probably meant.
    """
    removed: dict[ValuePath, set[str | int]] = defaultdict(set)
    uncertain: set[ValuePath] = set()
    for path, keyword, unexpected, missing in faults:
        unit = path[: _UNIT_DEPTH.get(str(path[0]), 1)] if path else ()
        if path[:1] == ("transfers",) and len(path) >= _ITEM:
            item, _ = tree.reach(path[:_ITEM])
            if id(item) not in invalid_fields:
                removed[unit[:-1]].add(unit[-1])
            elif "from" in item and len(path) > _ITEM:
                removed[path[:_ITEM]].add(path[_ITEM])
        elif unexpected and not is_secret(path):
            removed[path].update(unexpected)
            meant = (nearest(name, _field_names()) or name for name in unexpected[:KEPT])
            uncertain.update((*path, name) for name in meant)
        elif keyword == "required" and len(path) == _ITEM and path[0] in _PARTIAL:
            uncertain.add((*path, str(missing)))
        elif path:
            removed[unit[:-1]].add(unit[-1])
            uncertain.add(unit)
    for path in sorted(removed, key=len, reverse=True):
        container, _ = tree.reach(path)
        tree.marks.remove(container, removed[path])
    return frozenset(uncertain)


@cache
def _transfer_fields() -> frozenset[str]:
    whole = schema("manifest.v1")["$defs"]
    return frozenset({*whole["transfer"]["properties"], *whole["rowFile"]["properties"]})


@cache
def _field_names() -> frozenset[str]:
    """Return the fields whose absence the rules would report."""
    whole = schema("manifest.v1")
    parts = (whole, *(whole["$defs"][part] for part in ("defaults", "endpoints", "environment")))
    return frozenset(name for part in parts for name in part["properties"])
