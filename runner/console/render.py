"""Problems and results in whichever form `--output` asks for."""

from __future__ import annotations

from collections.abc import Sequence

from runner.console.diagnostics import render_problems
from runner.console.excerpt import Sources
from runner.console.formats import OutputFormat, problems_to_github, problems_to_json
from runner.console.result import RunResult, result_to_json
from runner.console.sarif import problems_to_sarif
from runner.console.verdict import render_result, result_to_github
from runner.core.problem import Problem


def problems_text(
    problems: Sequence[Problem], output: OutputFormat, sources: Sources, *, color: bool = False
) -> str:
    """Return the problems as `output` wants them; colour concerns the pretty form alone."""
    match output:
        case OutputFormat.JSON:
            return problems_to_json(problems)
        case OutputFormat.GITHUB:
            return problems_to_github(problems)
        case OutputFormat.SARIF:
            return problems_to_sarif(problems)
    return render_problems(problems, sources, color=color)


def result_text(
    result: RunResult,
    output: OutputFormat,
    *,
    warnings: Sequence[Problem] = (),
    color: bool = False,
) -> str:
    """Return the result as `output` wants it.

    SARIF has no words for a run: there it is the log of the manifest's `warnings`.
    """
    match output:
        case OutputFormat.JSON:
            return result_to_json(result)
        case OutputFormat.GITHUB:
            return result_to_github(result)
        case OutputFormat.SARIF:
            return problems_to_sarif(warnings)
    return render_result(result, color=color)
