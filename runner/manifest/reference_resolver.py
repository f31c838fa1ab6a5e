"""Resolves the media, fallbacks and callbacks of transfers; checks each matrix once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from runner.core.diagnostics.problem import Place, Problem, Related, Severity
from runner.core.frozen import frozen
from runner.core.manifest.media import Audio, MediaMatrix, Video
from runner.core.manifest.model import GatewayConstraints
from runner.core.manifest.rules import Finding, check_constraints, check_plausible
from runner.manifest.problem_collector import Collector
from runner.manifest.schema.check import Document
from runner.manifest.suggestions import offer

PlaceFinder = Callable[..., Place]
"""Returns the place of a value, or of the part at the path that is given."""


@frozen
class LocatedValue:
    """A value and its place."""

    value: Any
    where: PlaceFinder


def build_matrix(written: Mapping[str, Any]) -> MediaMatrix:
    """Return the matrix; the schema has accepted it."""
    audio, video = written["audio"], written.get("video")
    return MediaMatrix(
        Audio(audio["codec"], audio["bandwidth_kbps"], int(audio["bit_depth"])),
        Video(**video) if video is not None else None,
    )


class ReferenceResolver:
    """Resolves names of media and callbacks; records which callbacks are used."""

    def __init__(
        self, document: Document, gateway: GatewayConstraints | None, problems: Collector
    ) -> None:
        self.used_callbacks: set[str] = set()
        self._document = document
        self._gateway = gateway
        self._problems = problems
        self._findings: dict[MediaMatrix, tuple[Finding, ...]] = {}
        self._named: dict[str, MediaMatrix] = {}
        self._is_supported: dict[str, bool] = {}
        for name, written in document.section("media").items():
            self._define(name, written)

    def matrices(
        self, media: LocatedValue | None, fallback: LocatedValue | None
    ) -> tuple[MediaMatrix, ...] | None:
        """Return the requested matrix and its fallbacks, or None after adding problems."""
        found = [] if media is None else [self._matrix(media.value, media.where)]
        if fallback is not None:
            for index, choice in enumerate(_names(fallback.value)):
                found.append(self._matrix(choice, _item(fallback.where, index)))
        whole = tuple(matrix for matrix in found if matrix is not None)
        return whole if len(whole) == len(found) else None

    def callbacks(self, given: LocatedValue | None) -> tuple[str, ...] | None:
        """Return the callbacks' names, or None after adding problems."""
        if given is None:
            return ()
        names, known = _names(given.value), self._document.defined["callbacks"]
        for index, name in enumerate(names):
            if name not in known:
                self._unknown(name, known, "callback", partial(given.where, index))
        if not known.issuperset(names):
            return None
        self.used_callbacks.update(names)
        return tuple(dict.fromkeys(names))

    def _unknown(self, name: str, known: frozenset[str], kind: str, where: PlaceFinder) -> None:
        if self._problems.full:
            self._problems.count("R001")
        else:
            fix = offer(name, known, kind=kind, written=name)
            message = f"unknown {kind} `{name}`" if name else f"the name of a {kind} is empty"
            self._problems.add(Problem("R001", message, where(), fix))

    def _define(self, name: str, written: Mapping[str, Any]) -> None:
        self._named[name] = matrix = build_matrix(written)
        section = self._document.section("media")
        for finding in check_plausible(matrix):
            place = self._document.where(section, name, *finding.part)
            self._problems.add(_problem(finding, place))

    def _matrix(self, choice: Any, where: PlaceFinder) -> MediaMatrix | None:
        if isinstance(choice, str):
            return self._by_name(choice, where)
        matrix = build_matrix(choice)
        found = (*self._check(matrix), *check_plausible(matrix))
        for finding in found:
            self._problems.add(_problem(finding, where(*finding.part), *self._limit(finding)))
        failed = any(finding.severity is Severity.ERROR for finding in found)
        return None if failed else matrix

    def _by_name(self, name: str, where: PlaceFinder) -> MediaMatrix | None:
        known = self._document.defined["media"]
        if name not in known:
            self._unknown(name, known, "media matrix", where)
            return None
        if name not in self._named:
            return None  # its problems are reported already
        if name not in self._is_supported:
            self._is_supported[name] = self._check_named(name, where())
        return self._named[name] if self._is_supported[name] else None

    def _check_named(self, name: str, use: Place) -> bool:
        section = self._document.section("media")
        findings = self._check(self._named[name])
        for finding in findings:
            place = self._document.where(section, name, *finding.part)
            used = Related(use, f"`{name}` is used here")
            self._problems.add(_problem(finding, place, *self._limit(finding), used))
        return not findings

    def _limit(self, finding: Finding) -> Iterator[Related]:
        """Yield the place of the gateway's limit that the finding is about."""
        if finding.limit is not None and self._gateway is not None:
            gateways = self._document.section("gateways")
            place = self._document.where(gateways, self._gateway.name, finding.limit)
            what = "codecs" if finding.limit == "supported_codecs" else "limit"
            yield Related(place, f"the gateway's {what}")

    def _check(self, matrix: MediaMatrix) -> tuple[Finding, ...]:
        if self._gateway is None:
            return ()
        if matrix not in self._findings:
            self._findings[matrix] = tuple(check_constraints(matrix, self._gateway))
        return self._findings[matrix]


def _names(written: Any) -> Sequence[Any]:
    """Return a list unchanged; split the text of a cell at semicolons and spaces."""
    return written.replace(";", " ").split() if isinstance(written, str) else written


def _item(where: PlaceFinder, index: int) -> PlaceFinder:
    return lambda *part: where(index, *part)


def _problem(finding: Finding, place: Place, *related: Related) -> Problem:
    return Problem(
        finding.code, finding.message, place, finding.help, finding.severity, related=related
    )
