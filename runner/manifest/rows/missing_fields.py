"""Reports rows without a field: each row, or the file once if no row has the field."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.diagnostics.problem import Problem
from runner.manifest.problem_collector import KEPT, Collector


class MissingField:
    """Holds the problems of rows that lack a field until a row has it, or the file ends."""

    def __init__(self, problems: Collector) -> None:
        self._problems = problems
        self._held: list[Problem] = []
        self._more = 0  # beyond those held
        self.seen = False  # whether a row has the field

    def see(self) -> None:
        """Record that a row has the field."""
        self.seen = True
        self._release()

    def add(self, problem: Problem) -> None:
        """Take the problem of a row without the field."""
        if self.seen:
            self._problems.add(problem)
        elif len(self._held) < KEPT:
            self._held.append(problem)
        else:
            self._more += 1

    def end(self, instead: Callable[[Problem], Problem] | None = None) -> None:
        """Add the held problems; if there are several, only `instead` of the first, if given."""
        if len(self._held) > 1 and instead is not None:
            self._problems.add(instead(self._held[0]))
        else:
            self._release()
        self._held, self._more = [], 0

    def _release(self) -> None:
        self._problems.extend(self._held)
        for _ in range(self._more):
            self._problems.count(self._held[0].code)
        self._held, self._more = [], 0
