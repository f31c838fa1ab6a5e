"""Renders problems and results in the format of `--output`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from runner.console.diagnostics.formats import OutputFormat, problems_to_github, problems_to_json
from runner.console.diagnostics.marked_lines import Sources
from runner.console.diagnostics.problem_text import MAX_PROBLEMS, render_problems
from runner.console.diagnostics.sarif import problems_to_sarif
from runner.console.results.run_result import RunResult, result_to_json
from runner.console.results.run_text import render_result, result_to_github
from runner.core.diagnostics.problem import Problem


def problems_text(
    problems: Sequence[Problem],
    output: OutputFormat,
    sources: Sources,
    *,
    color: bool = False,
    max_problems: int = MAX_PROBLEMS,
    omitted: Mapping[str, int] | None = None,
) -> str:
    """Return the problems in the format `output`; `omitted` errors are counted.

    `color` and `max_problems` apply to the pretty format only: programs get every problem.
    """
    match output:
        case OutputFormat.JSON:
            return problems_to_json(problems, omitted=omitted)
        case OutputFormat.GITHUB:
            return problems_to_github(problems, omitted=omitted)
        case OutputFormat.SARIF:
            return _sarif(problems, omitted)
    return render_problems(
        problems, sources, color=color, max_problems=max_problems, omitted=omitted
    )


def result_text(
    result: RunResult,
    output: OutputFormat,
    *,
    warnings: Sequence[Problem] = (),
    color: bool = False,
    width: int | None = None,
    links: bool = False,
) -> str:
    """Return the result in the format `output`.

    SARIF cannot describe a run: its log has the manifest's `warnings`.
    """
    match output:
        case OutputFormat.JSON:
            return result_to_json(result)
        case OutputFormat.GITHUB:
            return result_to_github(result)
        case OutputFormat.SARIF:
            return _sarif(warnings)
    return render_result(result, color=color, width=width, links=links)


def _sarif(problems: Sequence[Problem], omitted: Mapping[str, int] | None = None) -> str:
    return problems_to_sarif(problems, omitted=omitted)
