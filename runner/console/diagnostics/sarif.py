"""Renders problems as a SARIF 2.1.0 log, for code scanning and editors (OASIS, March 2020)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from runner import __version__
from runner.console.diagnostics.explanations import explanations, render_explanation
from runner.console.diagnostics.problem_text import errors_first, more
from runner.core.diagnostics.codes import CODES
from runner.core.diagnostics.problem import Place, Problem

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def problems_to_sarif(
    problems: Iterable[Problem], *, omitted: Mapping[str, int] | None = None
) -> str:
    """Return one SARIF log with one run; columns count characters (Unicode code points).

    `omitted` errors become a notification of the run, because the list is not complete.
    """
    ordered = errors_first(problems)
    codes = sorted({problem.code for problem in ordered})
    driver = {
        "name": "runner",
        "version": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, codes.index(problem.code)) for problem in ordered],
    }
    if omitted:
        run["invocations"] = [_cut_short(omitted)]
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _rule(code: str) -> dict[str, Any]:
    rule = {"id": code, "shortDescription": {"text": _plain(CODES.get(code, code))}}
    if code in CODES:
        rule["fullDescription"] = {"text": _plain(explanations()[code].why)}
        rule["help"] = {"text": _plain(render_explanation(explanations()[code]))}
    return rule


def _cut_short(omitted: Mapping[str, int]) -> dict[str, Any]:
    note = {"level": "warning", "message": {"text": _plain(more([], omitted))}}
    return {"executionSuccessful": True, "toolExecutionNotifications": [note]}


def _result(problem: Problem, rule_index: int) -> dict[str, Any]:
    text = f"{problem.message}\n{problem.help}" if problem.help else problem.message
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": rule_index,
        "level": problem.severity.value,
        "message": {"text": _plain(text)},
        "locations": [_location(problem.place)],
    }
    if problem.related:
        result["relatedLocations"] = [
            {"id": n, **_location(related.place), "message": {"text": _plain(related.note)}}
            for n, related in enumerate(problem.related)
        ]
    return result


def _plain(text: str) -> str:
    """Escape what SARIF reads as a placeholder (2.1.0, 3.11.5) or a link (3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _location(place: Place) -> dict[str, Any]:
    region = {"startLine": place.line, "startColumn": place.column}
    if place.end_column is not None and place.end_column > place.column:
        region["endColumn"] = place.end_column
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(place.file)}, "region": region}}


def _uri(file: str) -> str:
    path = PurePath(file)
    quoted = quote(path.as_posix().encode(errors="surrogatepass"))
    return f"file://{quoted}" if path.is_absolute() else quoted
