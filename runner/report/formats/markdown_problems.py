"""A command's error or a manifest's problems as Markdown, where no report exists."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from runner.core.diagnostics.codes import CODES
from runner.core.diagnostics.problem import Problem, Severity
from runner.core.number_text import counted
from runner.report.formats.markdown_text import code, table

MOST_PROBLEMS = 20
"""Problems that are listed; the rest are counted by code."""

MESSAGE_LIMIT = 300
MOST_CODES = 5

Clean = Callable[[str], str]
"""Removes from an untrusted text what must not be shown."""


def problems_md(
    problems: Sequence[Problem], omitted: Mapping[str, int], manifest: str, clean: Clean
) -> Iterator[str]:
    """Yield what is wrong with a manifest, errors first, `omitted` being further errors by code."""
    ordered = sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)
    errors = sum(problem.severity is Severity.ERROR for problem in problems) + sum(omitted.values())
    yield f"## \N{CROSS MARK} invalid: {code(manifest)}\n\n"
    yield f"**{counted(errors, 'error')}; nothing was sent.**\n\n"
    rows = [_row(problem, clean) for problem in ordered[:MOST_PROBLEMS]]
    yield table(("Place", "Code", "What is wrong", "What to write instead"), rows)
    rest = Counter(problem.code for problem in ordered[MOST_PROBLEMS:]) + Counter(omitted)
    if rest:
        by_code = ", ".join(f"{n:,} {code(name)}" for name, n in rest.most_common())
        yield f"\nand {rest.total():,} more: {by_code}\n"
    known = dict.fromkeys(each.code for each in ordered[:MOST_PROBLEMS] if each.code in CODES)
    if known:
        learn = " ".join(["runner explain", *list(known)[:MOST_CODES]])
        yield f"\nLearn more: {code(learn)}\n"


def error_md(outcome: str, headline: str, texts: Mapping[str, str | None]) -> Iterator[str]:
    """Yield an error: its exit code's name, a headline, and lines by their title."""
    yield f"## \N{CROSS MARK} {code(outcome)}: {code(headline)}\n\n"
    rows = [
        (f"**{title}**", code(text, 2 * MESSAGE_LIMIT)) for title, text in texts.items() if text
    ]
    yield table(("", ""), rows)


def _row(problem: Problem, clean: Clean) -> Sequence[str]:
    place = code(str(problem.place))
    message, fix = (code(clean(text), MESSAGE_LIMIT) for text in (problem.message, problem.help))
    mark = "" if problem.severity is Severity.ERROR else " (warning)"
    return place, f"{code(problem.code)}{mark}", message, fix
