"""Builds the document from libyaml's events, and stops at unsafe input before it uses memory.

PyYAML's own loader crashes on deep nesting, keeps the last of duplicate keys, and expands aliases
without limit. The events show each of these early.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any, Never

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from runner.core.diagnostics.problem import Problem, Related
from runner.manifest.problem_collector import Collector
from runner.manifest.secret_lines import REFERENCE, holds_secret
from runner.manifest.yaml.gc_pause import collection_paused
from runner.manifest.yaml.open_container import NO_KEY, OpenContainer
from runner.manifest.yaml.pure_parser import PureParser
from runner.manifest.yaml.scalars import NumberOutOfRange, is_plain_text, resolve_scalar
from runner.manifest.yaml.syntax_errors import syntax_problem
from runner.manifest.yaml.tree import Marks, Source, Tree, pack

_parser: Callable[[Any], Any] = PureParser  # slower than libyaml's, with the same events
with suppress(ImportError):  # PyYAML may have been built without libyaml
    _parser = import_module("yaml.cyaml").CParser

MAX_DEPTH = 32
_MOST_KNOWN = 1_000
"""Different texts that are remembered, so that what repeats takes memory once."""

MAX_EXPANDED = 10_000
"""Most nodes that aliases, including merge keys, may add to a document."""

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    _TAG + "null": (type(None),),
    _TAG + "bool": (bool,),
    _TAG + "int": (int,),
    _TAG + "float": (float, int),
}
_SURROGATE = re.compile("[\ud800-\udfff]")  # libyaml refuses them itself
_BEGIN = "begin with `version: 1`; `runner init` writes a first manifest"
_ONE_DOCUMENT = "delete this line, or move what follows it to a manifest of its own"
_SCALAR_CODES = ("Y008", "Y011", "Y012")  # problems whose fix is to write plain text
_QUOTES = "a text that is not a secret needs quotes"
_MERGE = object()


class _Halted(Exception):
    """Stops the build: the document cannot be read further."""


def build(
    source: Source, problems: Collector, parser: Callable[[Any], Any] | None = None
) -> Tree | None:
    """Return the document, or None if its problems make it unusable."""
    with collection_paused():
        try:
            return _Builder(source, problems).run(
                (parser or _parser)(_Pieces(source.text)).get_event
            )
        except _Halted:
            return None
        except yaml.YAMLError as error:
            problems.add(syntax_problem(error, source))
            return None


class _Pieces:
    """A text as a stream: of a text that it is given whole, libyaml's parser makes a copy."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._read = 0

    def read(self, size: int) -> str:
        """Return the next characters, at most `size`."""
        begin, self._read = self._read, self._read + size
        return self._text[begin : self._read]


def _mark(event: Any) -> int:
    start, end = event.start_mark, event.end_mark
    return pack(
        start.line, start.column, end.column - start.column if end.line == start.line else 0
    )


def _lines(first: int, second: int) -> str:
    return f"line {first}" if first == second else f"lines {first} and {second}"


class _Builder:
    def __init__(self, source: Source, problems: Collector) -> None:
        self._source = source
        self._problems = problems
        self._marks = Marks()
        self._open_container = OpenContainer([], 0, None)  # holds the document's root
        self._stack: list[OpenContainer] = []
        self._anchors: dict[str, tuple[Any, int, int]] = {}  # value, nodes, height
        self._expanded = 0
        self._known: dict[str, str] = {}  # texts: keys and common values are kept once

    def run(self, get_event: Callable[[], Event]) -> Tree | None:
        steps: dict[type[Event], Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            MappingStartEvent: self._open,
            SequenceStartEvent: self._open,
            MappingEndEvent: self._close,
            SequenceEndEvent: self._close,
            AliasEvent: self._alias,
            DocumentStartEvent: self._document,
        }
        while (event := get_event()).__class__ is not StreamEndEvent:
            step = steps.get(event.__class__)
            if step is not None:
                step(event)
        if not self._open_container.value or self._open_container.value[0] is None:
            self._halt("Y014", "the manifest is empty", 0, _BEGIN)
        return Tree(
            self._open_container.value[0], self._open_container.marks[0], self._marks, self._source
        )

    def _document(self, event: DocumentStartEvent) -> None:
        if self._open_container.value:
            self._halt("Y006", "a second document begins here", _mark(event), _ONE_DOCUMENT)

    def _scalar(self, event: ScalarEvent) -> None:
        mark = _mark(event)
        if event.tag is None and event.anchor is None and is_plain_text(event.value):
            text = self._known.get(event.value)
            if text is None:
                text = event.value
                if len(self._known) < _MOST_KNOWN:
                    self._known[text] = text
            self._put(text, mark, 1, 0)
            return
        value: Any
        if event.tag is not None:
            value = self._tagged(event, mark)
        elif event.implicit[0]:
            value = self._plain(event.value, mark)
            if event.value == "<<" and self._wants_key():
                value = _MERGE
        else:
            value = event.value
        if not event.value.isascii() and _SURROGATE.search(event.value):
            self._problem(
                "Y004", "a lone surrogate, which is half a character", mark, "write the whole one"
            )
            value = _SURROGATE.sub("\ufffd", event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = (value, 1, 0)
        self._put(value, mark, 1, 0)

    def _plain(self, text: str, mark: int) -> Any:
        try:
            return resolve_scalar(text)
        except NumberOutOfRange as error:
            shown = self._shown(text if len(text) <= 40 else text[:37] + "…")  # noqa: PLR2004 - a line's part
            fix = f'write a number up to 2^53; a text, such as an id, needs quotes: "{shown}"'
            self._problem("Y012", f"{shown} is {error}", mark, fix)
            return 0

    def _tagged(self, event: ScalarEvent, mark: int) -> Any:
        tag = event.tag or "!"
        if tag in ("!", _TAG + "str"):
            return event.value
        if tag not in _SCALAR_TAGS:
            self._unknown_tag(tag, mark)
            return event.value
        value = self._plain(event.value, mark)
        if not isinstance(value, _SCALAR_TAGS[tag]):
            shown = "!!" + tag.removeprefix(_TAG)
            self._problem(
                "Y008", f"this value is not of the type `{shown}`", mark, f"delete `{shown}`"
            )
        return value

    def _unknown_tag(self, tag: str, mark: int) -> None:
        shown = "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else self._shown(tag)
        message = f"unknown tag `{shown}`"
        self._problem("Y008", message, mark, "delete the tag and write the plain value")

    def _open(self, event: MappingStartEvent | SequenceStartEvent) -> None:
        mark = _mark(event)
        is_mapping = event.__class__ is MappingStartEvent
        tag = event.tag or "!"
        if tag not in ("!", _TAG + ("map" if is_mapping else "seq")):
            self._unknown_tag(tag, mark)
        if self._wants_key():
            self._halt("Y013", "a key must be text, not a list or mapping", mark, "write one word")
        self._stack.append(self._open_container)
        self._check_depth(len(self._stack), mark)
        self._open_container = OpenContainer({} if is_mapping else [], mark, event.anchor)
        if event.anchor is not None:
            self._anchors.pop(event.anchor, None)

    def _close(self, _event: MappingEndEvent | SequenceEndEvent) -> None:
        container = self._open_container
        for mapping in container.merged:
            self._merge(mapping, container)
        self._marks.add(container.value, container.marks)
        self._open_container = self._stack.pop()
        if container.anchor is not None:
            self._anchors[container.anchor] = (container.value, container.nodes, container.height)
        self._put(container.value, container.mark, container.nodes, container.height)

    def _merge(self, mapping: dict[str, Any], container: OpenContainer) -> None:
        marks = self._marks.of(mapping)
        for index, (key, value) in enumerate(mapping.items()):
            if key not in container.value:
                container.value[key] = value
                container.marks += marks[2 * index : 2 * index + 2]

    def _alias(self, event: AliasEvent) -> None:
        mark = _mark(event)
        if event.anchor not in self._anchors:
            inside = any(
                container.anchor == event.anchor
                for container in (*self._stack, self._open_container)
            )
            why = "is inside its own anchor" if inside else "has no anchor before it"
            name = self._shown(event.anchor or "")
            fix = f"write `&{name}` before the value it repeats; a text that begins with `*` needs quotes"
            if inside:
                fix = "write the value itself: it cannot contain itself"
            self._halt("Y011", f"the alias `*{name}` {why}", mark, fix)
        value, nodes, height = self._anchors[event.anchor]
        self._expanded += nodes
        if self._expanded > MAX_EXPANDED:
            message = f"aliases add more than {MAX_EXPANDED:,} values"
            fix = "use `defaults:` for values that transfers share, or `from:` for long lists"
            self._halt("Y010", message, mark, fix)
        self._check_depth(len(self._stack) + height, mark)
        self._put(value, mark, nodes, height)

    def _wants_key(self) -> bool:
        container = self._open_container
        return container.key is NO_KEY and container.value.__class__ is dict

    def _put(self, value: Any, mark: int, nodes: int, height: int) -> None:
        container = self._open_container
        container.nodes += nodes
        if height >= container.height:
            container.height = height + 1
        if container.value.__class__ is list:
            container.value.append(value)
            container.marks.append(mark)
        elif container.key is NO_KEY:
            container.key, container.key_mark = self._checked_key(value, mark), mark
        elif container.key is _MERGE:
            if container.merge_mark is None:
                container.merge_mark = container.key_mark
                self._note_merge(value, mark)
            else:
                self._duplicate(container, "<<", container.merge_mark)
            container.key = NO_KEY
        else:
            if container.key in container.value:
                self._duplicate(container, container.key)
            else:
                container.value[container.key] = value
                container.marks += (container.key_mark, mark)
            container.key = NO_KEY

    def _checked_key(self, key: Any, mark: int) -> Any:
        if key.__class__ is str or key is _MERGE:
            return key
        shown = self._shown(self._source.shown(self._source.place(mark)) or "…")
        self._problem(
            "Y013", f"the key {shown} is not text", mark, f'put quotes around it: "{shown}"'
        )
        return shown

    def _note_merge(self, value: Any, mark: int) -> None:
        mappings = value if isinstance(value, list) else [value]
        if all(isinstance(mapping, dict) for mapping in mappings):
            self._open_container.merged += mappings
        else:
            message = "`<<` merges mappings only"
            self._problem("Y011", message, mark, "name an anchor of a mapping: `<<: *name`")

    def _duplicate(self, container: OpenContainer, key: str, first_mark: int | None = None) -> None:
        if self._problems.full:
            self._problems.count("Y007")
            return
        if first_mark is None:
            first_mark = container.marks[2 * list(container.value).index(key)]
        place, first = self._source.place(container.key_mark), self._source.place(first_mark)
        self._problems.add(
            Problem(
                "Y007",
                f"the key `{key}` appears twice, on {_lines(first.line, place.line)}",
                place,
                "keep one of the two",
                related=(Related(first, "first here"),),
            )
        )

    def _check_depth(self, depth: int, mark: int) -> None:
        if depth > MAX_DEPTH:
            fix = "check brackets and indentation; no manifest needs this many levels"
            self._halt("Y009", f"nested deeper than {MAX_DEPTH} levels", mark, fix)

    def _problem(self, code: str, message: str, mark: int, fix: str) -> None:
        hide = self._may_be_secret()
        fix = f"{REFERENCE}; {_QUOTES}" if hide and code in _SCALAR_CODES else fix
        self._problems.add(Problem(code, message, self._source.place(mark), fix, hide=hide))

    def _shown(self, text: str) -> str:
        """Return a text of the manifest, masked if it may be a secret."""
        return "…" if self._may_be_secret() else text

    def _may_be_secret(self) -> bool:
        """Return whether the present value is, or is part of, a secret."""
        return any(
            holds_secret(container.key) for container in (*self._stack, self._open_container)
        )

    def _halt(self, code: str, message: str, mark: int, fix: str) -> Never:
        self._problem(code, message, mark, fix)
        raise _Halted
