"""Collects problems up to a limit, and sorts them by place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from runner.core.diagnostics.problem import Place, Problem, Severity

KEPT = 1000
"""Most errors kept, and most warnings; further errors are only counted by code."""


class Collector:
    """Collects problems as they are found, without duplicates."""

    def __init__(self) -> None:
        self.found = 0  # all errors, including those that were only counted
        self.omitted: Counter[str] = Counter()  # errors beyond those kept
        self._kept: list[Problem] = []
        self._errors = self._warnings = 0  # among those kept
        self._seen: set[tuple[Place, str]] = set()
        self._unreadable: set[Place] = set()

    def add(self, problem: Problem) -> None:
        """Add a problem; it is only counted if `full`, and dropped if it is a duplicate."""
        self.found += problem.severity is Severity.ERROR
        if (problem.place, problem.message) in self._seen:
            return
        if problem.severity is Severity.WARNING:
            self._warnings += 1
            if self._warnings <= KEPT:  # further warnings are dropped
                self._keep(problem)
        elif self.full:
            self.omitted[problem.code] += 1
        else:
            self._errors += 1
            self._keep(problem)

    def _keep(self, problem: Problem) -> None:
        self._kept.append(problem)
        self._seen.add((problem.place, problem.message))
        if problem.code.startswith("Y"):
            self._unreadable.add(problem.place)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add several problems."""
        for problem in problems:
            self.add(problem)

    def count(self, code: str) -> None:
        """Count an error that is not composed, because `full` is true."""
        self.found += 1
        self.omitted[code] += 1

    @property
    def failed(self) -> bool:
        """Whether an error was found; warnings do not count."""
        return self.found > 0

    @property
    def full(self) -> bool:
        """Whether further errors are only counted."""
        return self._errors >= KEPT

    def is_unreadable(self, place: Place) -> bool:
        """Return whether the text at this place is not valid YAML."""
        return place in self._unreadable

    def sorted(self, first_file: str) -> tuple[Problem, ...]:
        """Return the kept problems: the manifest's first, then by file, line and column."""
        return tuple(
            sorted(
                self._kept,
                key=lambda p: (
                    p.place.file != first_file,
                    p.place.file,
                    p.place.line,
                    p.place.column,
                    p.code,
                ),
            )
        )
