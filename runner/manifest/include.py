"""Merges the sections that other files define into a manifest (manifest.md, "Shared sections").

Each part keeps the place where it is written. Paths start at the manifest's folder, and stay in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.core.diagnostics.problem import Place, Problem, Related
from runner.manifest.problem_collector import Collector
from runner.manifest.regular_file import NOT_THERE, path_fault
from runner.manifest.suggestions import nearest
from runner.manifest.yaml.source import read_source
from runner.manifest.yaml.tree import Source, Tree
from runner.manifest.yaml.tree_builder import build

INCLUDE = "include"
LISTS = ("notify",)
"""The sections that are lists; the others have names."""
INCLUDED = ("callbacks", "destinations", "environments", "gates", "gateways", "media", *LISTS)
"""The sections that an included file may have."""
MOST_FILES = 100
"""Most files that one manifest includes, directly or not."""


def read_tree(path: Path, problems: Collector) -> tuple[Tree | None, list[Source]]:
    """Return a manifest with what it includes, and all files that were read, the manifest first."""
    source = read_source(path, problems)
    if source is None:
        return None, []
    sources = [source]
    tree = build(source, problems)
    if tree is None or not isinstance(tree.root, dict) or not _named(tree):
        return tree, sources
    return _Inclusion(tree, path.parent, problems, sources).run(), sources


def _named(tree: Tree) -> list[tuple[str, Place]]:
    """Return the files that a document includes, with their places; none if it says so wrongly."""
    written = tree.root.get(INCLUDE)
    if isinstance(written, str):
        return [(written, tree.value(tree.root, INCLUDE))]
    if not isinstance(written, list) or not all(isinstance(each, str) for each in written):
        return []
    return [(each, tree.value(written, at)) for at, each in enumerate(written)]


class _Inclusion:
    """Adds the sections of included files to one document."""

    def __init__(
        self, tree: Tree, folder: Path, problems: Collector, sources: list[Source]
    ) -> None:
        self._tree = tree
        self._folder = folder
        self._problems = problems
        self._sources = sources
        self._trees: list[Tree] = []
        self._first: dict[Path, Place] = {}  # where each file was included
        self._lacks = False  # something that was to be included

    def run(self) -> Tree:
        """Return the document with all sections, and without `include` if nothing is lacking."""
        root, marks = self._tree.root, self._tree.marks
        own = self._folder / self._tree.source.path_name
        self._follow(self._tree, (own.resolve(),))
        include = list(root).index(INCLUDE)
        here = marks.of(root)[2 * include : 2 * include + 2]
        for section in INCLUDED:
            if section not in root and any(section in each.root for each in self._trees):
                root[section] = [] if section in LISTS else {}
                marks.add(root[section], [])
                marks.add(root, [*marks.of_keys(root, len(root) - 1), *here])
        if not self._lacks:  # else sections may be absent
            marks.remove(root, {INCLUDE})
        tree = replace(
            self._tree,
            source=replace(self._tree.source, sha256=self._digest()),
            origins={id_of: each.source for each in self._trees for id_of in each.marks.start_of},
            entry_origins={},
            included=tuple(self._trees),
            is_partial=self._lacks,
        )
        for each in self._trees:
            marks.extend(each.marks)
        for section in INCLUDED:
            merge = self._append if section in LISTS else self._merge
            merge(tree, section)
        return tree

    def _digest(self) -> str:
        """Return what stands for the manifest and all that it includes: a plan is held to it."""
        whole = hashlib.sha256()
        for source in self._sources:
            whole.update(source.sha256.encode())
        return whole.hexdigest()

    def _follow(self, tree: Tree, chain: tuple[Path, ...]) -> None:
        for written, place in _named(tree):
            path = self._folder / written
            if fault := self._fault(written, path, place, chain):
                self._problems.add(fault)
                self._lacks = True
                continue
            real = path.resolve()
            self._first[real] = place
            source = read_source(path, self._problems)
            if source is None:
                self._lacks = True
                continue
            self._sources.append(source)
            found = build(source, self._problems)
            if found is not None and self._is_shared(found):
                self._trees.append(found)
                self._follow(found, (*chain, real))
            else:
                self._lacks = True

    def _fault(
        self, written: str, path: Path, place: Place, chain: tuple[Path, ...]
    ) -> Problem | None:
        """Return why a file cannot be included here; None if it can."""
        try:
            real, folder = path.resolve(), self._folder.resolve()
        except (OSError, ValueError, RuntimeError):
            return _unreadable(written, str(path_fault(path)), place)
        if not real.is_relative_to(folder):
            fix = "copy the file beside the manifest, and write its path from there"
            return Problem("R015", f"`{written}` is outside the manifest's folder", place, fix)
        if real in chain:
            fix = "delete this line: the file's sections are there already"
            return Problem("R015", f"`{written}` includes itself in the end", place, fix)
        if (first := self._first.get(real)) is not None:
            related = (Related(first, "first included here"),)
            fix = "delete this line: one is enough"
            return Problem("R015", f"`{written}` is included twice", place, fix, related=related)
        if len(self._first) >= MOST_FILES:
            fix = "join some of them"
            return Problem("R015", f"more than {MOST_FILES} files are included", place, fix)
        return _file_fault(written, path, place, self._tree.source.path_name)

    def _is_shared(self, tree: Tree) -> bool:
        """Return whether a file has only sections that can be shared; add a problem for each other."""
        sound, root = True, tree.root
        if not isinstance(root, dict):
            message = "an included file is a mapping of sections"
            place = tree.source.place(tree.root_mark)
            self._problems.add(Problem("R015", message, place, f"write {', '.join(INCLUDED)}"))
            return False
        for name, value in root.items():
            if name in LISTS and not isinstance(value, list):
                message, fix = f"`{name}` is not a list", "write a list of addresses"
            elif name in INCLUDED and name not in LISTS and not isinstance(value, dict):
                message, fix = f"`{name}` is not a mapping", "write names, each with its entry"
            elif name not in (*INCLUDED, INCLUDE):
                message = f"`{name}` cannot be included"
                fix = f"write it in the manifest; an included file has {', '.join(INCLUDED)}"
            else:
                continue
            sound = False
            self._problems.add(Problem("R015", message, tree.key(root, name), fix))
        return sound

    def _merge(self, tree: Tree, section: str) -> None:
        """Add the entries of a section from all files; an entry that is there already is a problem."""
        own = tree.root.get(section)
        if not isinstance(own, dict):
            return
        added: dict[str, Any] = {}
        marks = list(tree.marks.of(own))
        for each in self._trees:
            found: Mapping[str, Any] = each.root.get(section, {})
            at = each.marks.of(found) if found else ()
            for number, (name, value) in enumerate(found.items()):
                if name in own or name in added:
                    self._problems.add(self._double(tree, each, section, name, added))
                    continue
                added[name] = (value, each)
                marks += at[2 * number : 2 * number + 2]
        for name, (value, each) in added.items():
            own[name] = value
            tree.entry_origins[id(own), name] = each.source
        tree.marks.add(own, marks)
        tree.marks.forget(own)

    def _append(self, tree: Tree, section: str) -> None:
        """Add the items of a section that is a list from all files."""
        own = tree.root.get(section)
        if not isinstance(own, list):
            return
        marks = list(tree.marks.of(own))
        for each in self._trees:
            found = each.root.get(section, [])
            marks += each.marks.of(found) if found else ()
            for item in found:
                tree.entry_origins[id(own), str(len(own))] = each.source
                own.append(item)
        tree.marks.add(own, marks)

    @staticmethod
    def _double(
        tree: Tree, each: Tree, section: str, name: str, added: Mapping[str, Any]
    ) -> Problem:
        holder = added[name][1] if name in added else tree
        first = Related(holder.key(holder.root[section], name), "first defined here")
        return Problem(
            "R001",
            f"`{name}` is defined twice in `{section}`",
            each.key(each.root[section], name),
            "delete one of them, or give it another name",
            related=(first,),
        )


def _file_fault(written: str, path: Path, place: Place, manifest: str) -> Problem | None:
    """Return why a file cannot be read; None if it can."""
    if (why := path_fault(path)) is None:
        return None
    if why == NOT_THERE:
        return _missing(written, path, place, manifest)
    return _unreadable(written, why, place)


def _unreadable(written: str, why: str, place: Place) -> Problem:
    message = f"the included file `{written}` cannot be read: {why}"
    return Problem("R015", message, place, "name a regular file in the manifest's folder")


def _missing(written: str, path: Path, place: Place, manifest: str) -> Problem:
    near = nearest(path.name, (name for name in _beside(path) if name != manifest))
    fix = f"did you mean `{near}`?" if near else "paths start at the manifest's folder"
    return Problem("R015", f"the included file `{written}` does not exist", place, fix)


def _beside(path: Path) -> Iterator[str]:
    try:
        yield from sorted(each.name for each in path.parent.iterdir() if each.is_file())
    except OSError:
        return
