"""Collects problems: many, bounded, in the order of their places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from runner.core.diagnostics.problem import Place, Problem, Severity

KEPT = 1000
"""Errors kept, and warnings; further errors are counted by code. Nobody reads more at once."""


class Collector:
    """Takes problems as they are found."""

    def __init__(self) -> None:
        self.found = 0  # errors, those that were only counted included
        self.omitted: Counter[str] = Counter()  # errors beyond those kept
        self._kept: list[Problem] = []
        self._errors = self._warnings = 0  # among those kept
        self._said: set[tuple[Place, str]] = set()
        self._unread: set[Place] = set()

    def add(self, problem: Problem) -> None:
        """Keep the problem, or count it once too many like it are kept; say nothing twice."""
        self.found += problem.severity is Severity.ERROR
        if (problem.place, problem.message) in self._said:
            return
        if problem.severity is Severity.WARNING:
            self._warnings += 1
            if self._warnings <= KEPT:  # beyond that warnings are dropped: they refuse nothing
                self._keep(problem)
        elif self.full:
            self.omitted[problem.code] += 1
        else:
            self._errors += 1
            self._keep(problem)

    def _keep(self, problem: Problem) -> None:
        self._kept.append(problem)
        self._said.add((problem.place, problem.message))
        if problem.code.startswith("Y"):
            self._unread.add(problem.place)

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add several."""
        for problem in problems:
            self.add(problem)

    def count(self, code: str) -> None:
        """Count an error that is not worth composing, because `full` is true."""
        self.found += 1
        self.omitted[code] += 1

    @property
    def failed(self) -> bool:
        """Tell whether an error, not a mere warning, was found."""
        return self.found > 0

    @property
    def full(self) -> bool:
        """Tell whether further errors will only be counted."""
        return self._errors >= KEPT

    def unread(self, place: Place) -> bool:
        """Tell whether the text at this place could not even be read as YAML."""
        return place in self._unread

    def sorted(self, first_file: str) -> tuple[Problem, ...]:
        """Return what was kept: the manifest's own first, then by file, line and column."""
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
