"""A manifest's problems as values, each with its place and fix."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from runner.core.frozen import frozen


class Severity(StrEnum):
    """Severity of a problem: an error refuses the manifest, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@frozen
class Place:
    """A span of one line of a file; `line` and `column` count from 1, in characters."""

    file: str
    line: int
    column: int
    end_column: int | None = None  # exclusive; None: a single caret

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@frozen
class Related:
    """A second place that matters to a problem, and why."""

    place: Place
    note: str


@frozen
class Problem:
    """One problem: a stable code, what is wrong, where, and what to write instead.

    `code` is a rule of manifest.md (R001 to R015), `S…` for the schema, `Y…` for YAML or `P…` for
    a plan file.
    """

    code: str
    message: str
    place: Place
    help: str
    severity: Severity = Severity.ERROR
    related: tuple[Related, ...] = field(default=())
    hide: bool = False  # the span may be a secret: it is masked where the line is shown
