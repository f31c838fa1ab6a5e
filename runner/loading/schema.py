"""Checks a document against the manifest's schema, and leaves what the rules can still judge.

`jsonschema-rs` decides; `explain` words its findings. What failed is then taken out of the
document, so that the rules find the problems in the rest within the same run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Never

import jsonschema_rs

from runner.core.problem import Place, Problem
from runner.loading.collector import KEPT, Collector
from runner.loading.explain import code_of, described, explain, is_secret
from runner.loading.names import nearest
from runner.loading.parts import part_of_schema
from runner.loading.tree import Tree
from runner.schemas_lookup import schema

SECTIONS = ("environments", "gateways", "media", "callbacks")
TRANSFER = "transferItem"
"""The part of the schema that an item of `transfers` obeys."""

_UNIT_DEPTH = {
    "environments": 3,
    **dict.fromkeys((*SECTIONS[1:], "defaults", "policy", "transfers"), 2),
}

_NAMES = (("key",), ("interaction_id",))
_NO_TRANSFER = {"from", "select"}  # fields of an item that stands for many

Path = tuple[str | int, ...]
"""The way to a value: keys and indexes."""


@dataclass(frozen=True, slots=True)
class Document:
    """What the rules read: the schema holds for all that is left in `tree`.

    `defined` has the names of each section as they were written, the faulty ones included, and
    `doubtful` the ways to what was taken out: neither is a reason for further problems.
    `spoilt` has the identities of transfers that were left in, but for their names alone.
    """

    tree: Tree
    defined: Mapping[str, frozenset[str]]
    doubtful: frozenset[Path]
    spoilt: frozenset[int]
    _on_the_way: frozenset[Path]  # to what was taken out: its wholes

    def where(self, container: Any, at: str | int, *part: str | int) -> Place:
        """Return the place of a container's member, or of a part of it."""
        for step in part:
            container, at = container[at], step
        return self.tree.value(container, at)

    def doubts(self, *path: str) -> bool:
        """Tell whether what `path` leads to, a part or a whole of it, was taken out."""
        return path in self._on_the_way or any(
            path[:length] in self.doubtful for length in range(1, len(path) + 1)
        )

    def section(self, name: str) -> Mapping[str, Any]:
        """Return a top-level mapping; empty where it is absent or was faulty."""
        found = self.tree.root.get(name)
        return found if isinstance(found, Mapping) else {}


def check_schema(tree: Tree, problems: Collector) -> Document | None:
    """Add what the schema refuses; return what is left, or None if that is nothing."""
    defined = {name: _names(tree.root, name) for name in SECTIONS}
    if validator().is_valid(tree.root):
        return _document(tree, defined, frozenset(), frozenset())
    faults: list[tuple[Path, tuple[str, ...]]] = []
    for path, error, start in _errors(tree.root):
        kind = described(error)
        faults.append((path, tuple(kind.get("unexpected", ()))))
        if problems.full:
            problems.count(code_of(kind["name"]))
            continue
        part = part_of_schema(list(error.evaluation_path)[:-1], start)
        _tell(explain(tree, path, part, kind), len(faults[-1][1]), problems)
    if not isinstance(tree.root, dict) or not problems.failed:
        return None
    nameable = _nameable(tree.root.get("transfers"), [path for path, _ in faults])
    return _document(tree, defined, _take_out(tree, faults, nameable), frozenset(nameable.values()))


def _document(
    tree: Tree,
    defined: Mapping[str, frozenset[str]],
    doubtful: frozenset[Path],
    spoilt: frozenset[int],
) -> Document:
    on_the_way = {way[:length] for way in doubtful for length in range(1, len(way) + 1)}
    return Document(tree, defined, doubtful, spoilt, frozenset(on_the_way))


def _tell(found: Iterable[Problem], unexpected: int, problems: Collector) -> None:
    """Add one finding's problems; where they are too many, count the unexpected fields left."""
    for told, problem in enumerate(found):
        if problems.full and told < unexpected:
            for _ in range(unexpected - told):
                problems.count(problem.code)
            return
        if not problems.unread(problem.place):
            problems.add(problem)


def _names(root: Any, section: str) -> frozenset[str]:
    found = root.get(section) if isinstance(root, dict) else None
    return frozenset(found) if isinstance(found, dict) else frozenset()


def _errors(root: Any) -> Iterator[tuple[Path, jsonschema_rs.ValidationError, str | None]]:
    """Yield findings with their paths, and the part of the schema that they were found by.

    The transfers are checked one at a time, for there may be millions.
    """
    transfers = root.get("transfers") if isinstance(root, dict) else None
    if not isinstance(transfers, list):
        transfers = []
    elif transfers:
        root = {**root, "transfers": []}
    for error in validator().iter_errors(root):
        yield tuple(error.instance_path), error, None
    check = validator(TRANSFER)
    for index, item in enumerate(transfers):
        if not check.is_valid(item):
            for error in check.iter_errors(item):
                yield ("transfers", index, *error.instance_path), error, TRANSFER


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
    raise ValueError(f"a schema refers to {address}; schemas refer to nothing outside themselves")


def _nameable(transfers: Any, faults: Iterable[Path]) -> Mapping[Path, int]:
    """Return the ways to faulty transfers that have sound names, and their identities."""
    found: dict[Path, int] = {}
    unnamed: set[Path] = set()
    for path in faults:
        if path[:1] == ("transfers",) and len(path) > 1:
            item, way = transfers[path[1]], path[:2]
            found[way] = id(item)
            if path[2:3] in _NAMES or not _is_named(item):
                unnamed.add(way)
    return {way: item for way, item in found.items() if way not in unnamed}


def _is_named(item: Any) -> bool:
    return isinstance(item, dict) and "interaction_id" in item and not item.keys() & _NO_TRANSFER


def _take_out(
    tree: Tree, faults: Iterable[tuple[Path, tuple[str, ...]]], spared: Collection[Path]
) -> frozenset[Path]:
    """Remove unknown fields, and otherwise the smallest part that rules judge as a whole.

    Of the transfers those at the ways in `spared` are left as they are.
    Returns the ways to what was removed, and to what the unknown fields probably meant.
    """
    doomed: dict[Path, set[str | int]] = defaultdict(set)
    doubtful: set[Path] = set()
    for path, unexpected in faults:
        if unexpected and path[:1] != ("transfers",) and not is_secret(path):
            doomed[path].update(unexpected)
            meant = (nearest(name, _field_names()) or name for name in unexpected[:KEPT])
            doubtful.update((*path, name) for name in meant)
        elif path:
            unit = path[: _UNIT_DEPTH.get(str(path[0]), 1)]
            if unit not in spared:
                doomed[unit[:-1]].add(unit[-1])
                doubtful.add(unit)
    for path in sorted(doomed, key=len, reverse=True):
        container, _ = tree.reach(path)
        tree.marks.remove(container, doomed[path])
    return frozenset(doubtful)


@cache
def _field_names() -> frozenset[str]:
    """Return the fields whose absence the rules would report."""
    whole = schema("manifest.v1")
    parts = (whole, *(whole["$defs"][part] for part in ("defaults", "endpoints", "environment")))
    return frozenset(name for part in parts for name in part["properties"])
