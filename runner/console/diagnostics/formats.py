"""Renders problems for programs: as JSON, or as GitHub workflow commands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from runner.console.diagnostics.problem_text import count_by_severity, errors_first, more
from runner.console.results.document import document
from runner.console.terminal_text import visible
from runner.core.diagnostics.problem import Place, Problem, Severity

GITHUB_ANNOTATIONS = 9
"""GitHub shows ten annotations of a step; the tenth counts the others."""


class OutputFormat(StrEnum):
    """The values of `--output`."""

    PRETTY = "pretty"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


def problems_to_json(
    problems: Iterable[Problem], *, omitted: Mapping[str, int] | None = None
) -> str:
    """Return one JSON document with every problem, in ASCII.

    `errors` includes the `omitted` ones, which the document counts by code.
    """
    ordered = errors_first(problems)
    errors, warnings = count_by_severity(ordered, omitted)
    fields = {
        "errors": errors,
        "warnings": warnings,
        "problems": [_problem(problem) for problem in ordered],
        **({"omitted": dict(omitted)} if omitted else {}),
    }
    return document("problems", fields)


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "severity": problem.severity.value,
        "message": problem.message,
        "help": problem.help,
        **_place(problem.place),
        "related": [{"note": r.note, **_place(r.place)} for r in problem.related],
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "end_column": place.end_column,
    }


def problems_to_github(
    problems: Iterable[Problem], *, omitted: Mapping[str, int] | None = None
) -> str:
    """Return GitHub workflow commands: one for each of nine problems, and one that counts the rest."""
    ordered = errors_first(problems)
    lines = [_annotation(problem) for problem in ordered[:GITHUB_ANNOTATIONS]]
    rest = ordered[GITHUB_ANNOTATIONS:]
    if text := more(rest, omitted):
        severity = Severity.ERROR if omitted else rest[0].severity
        lines.append(github_command(severity.value, text, title="more problems"))
    return "".join(f"{line}\n" for line in lines)


def _annotation(problem: Problem) -> str:
    place = problem.place
    related = [f"{r.note}: {r.place}" for r in problem.related]
    text = "\n".join([problem.message, *related, *([problem.help] if problem.help else [])])
    return github_command(
        problem.severity.value,
        text,
        file=place.file,
        line=place.line,
        col=place.column,
        title=problem.code,
    )


def github_command(command: str, text: str, **properties: str | int) -> str:
    """Return one workflow command, with text escaped that could end or extend it."""
    named = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{command}{' ' if named else ''}{named}::{_message(text)}"


def without_commands(text: str) -> str:
    """Return `text` with lines changed that GitHub's runner would take for workflow commands.

    Indentation is not enough: the runner skips leading blanks, and it finds its older commands
    anywhere in a line.
    """
    lines = text.replace("##[", "## [").splitlines()
    return "".join(f"{_COMMAND.sub(_DEFUSED, line)}\n" for line in lines)


_COMMAND = re.compile(r"^(\s*)(?=::)")
_DEFUSED = r"\1| "


def _message(text: str) -> str:
    lines = (visible(line) for line in text.splitlines())
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _property(text: str) -> str:
    return visible(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
