"""Renders problems for people: message, place, source line, fix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.console.diagnostics.marked_lines import Sources, displayed_line
from runner.console.terminal_text import Paint, listed, visible
from runner.core.diagnostics.codes import CODES
from runner.core.diagnostics.problem import Place, Problem, Severity
from runner.core.frozen import frozen
from runner.core.number_text import counted

MAX_PROBLEMS = 20
WIDTH = 120
MOST_LINES = 8
"""Lines that are named of problems that say the same."""

MOST_CODES = 5
"""Codes named in the last line, `learn more`."""


@frozen
class _Mark:
    """A span to mark: the problem's own (`^`) or a related one (`-`, with its note)."""

    place: Place
    sign: str
    note: str = ""


@frozen
class _Block:
    """Settings for rendering problems, and the lines that they refer to."""

    lines: Mapping[tuple[str, int], str]
    hidden: Mapping[tuple[str, int], int]  # the first column to mask, by line
    paint: Paint
    width: int


def render_problems(
    problems: Iterable[Problem],
    sources: Sources,
    *,
    color: bool = False,
    max_problems: int = MAX_PROBLEMS,
    omitted: Mapping[str, int] | None = None,
    width: int = WIDTH,
) -> str:
    """Return the problems as text, errors first; empty if there are none.

    At most `max_problems` are shown in full; those of a file that say the same are shown once, with
    the other lines. The others and the `omitted` errors are counted by code. The last lines give the totals and the command that explains the codes.
    """
    ordered = errors_first(problems)
    if not ordered:
        return ""
    paint, alike = Paint(color), _alike(ordered)
    groups = alike[:max_problems]
    shown = [group[0] for group in groups]
    block = _Block(_lines_of(shown, sources), _hidden(ordered), paint, width)
    parts = ["\n".join(_group(group, block)) for group in groups]
    if rest := more([each for group in alike[max_problems:] for each in group], omitted):
        parts.append(f"… and {rest}")
    advice = f"\nlearn more: runner explain {learn}" if (learn := _codes(shown)) else ""
    parts.append(paint.bold(summary_line(ordered, omitted)) + advice)
    return "\n\n".join(parts) + "\n"


def _alike(problems: Iterable[Problem]) -> list[list[Problem]]:
    """Return the problems in groups of those that say the same of several lines of one file."""
    groups: list[list[Problem]] = []
    last: dict[tuple[object, ...], list[Problem]] = {}
    for each in problems:
        said = (each.place.file, each.code, each.message, each.help, each.hide)
        group = last.get(said, [])
        if not group or each.related or group[-1].place.line == each.place.line:
            groups.append(group := [])
            last[said] = group
        group.append(each)
    return groups


def _group(group: Sequence[Problem], block: _Block) -> Iterator[str]:
    """Yield the first problem of a group, and where the others are."""
    first, *others = group
    yield from _problem(first, block)
    if not others:
        return
    gutter = " " * len(str(first.place.line))
    lines = list(dict.fromkeys(each.place.line for each in others))
    named = ", ".join(str(line) for line in lines[:MOST_LINES])
    rest = f" and {len(lines) - MOST_LINES:,} more lines" if len(lines) > MOST_LINES else ""
    lead = f"{gutter} {block.paint.blue('=')} {block.paint.bold('also')}: "
    yield f"{lead}{counted(len(others), 'more such problem')}, in line{'s' * (len(lines) > 1)} {named}{rest}"


def errors_first(problems: Iterable[Problem]) -> list[Problem]:
    """Return the errors, then the warnings, each in their given order."""
    return sorted(problems, key=lambda problem: problem.severity is not Severity.ERROR)


def more(rest: Sequence[Problem], omitted: Mapping[str, int] | None = None) -> str:
    """Return `25 more: 20 R002, 5 R006`; empty if there are none."""
    codes = Counter(problem.code for problem in rest) + Counter(omitted or {})
    counts = ", ".join(f"{n:,} {visible(code)}" for code, n in codes.most_common())
    return f"{codes.total():,} more: {counts}" if codes else ""


def count_by_severity(
    problems: Sequence[Problem], omitted: Mapping[str, int] | None = None
) -> tuple[int, int]:
    """Return the number of errors, including `omitted` ones, and of warnings."""
    errors = sum(problem.severity is Severity.ERROR for problem in problems)
    return errors + sum((omitted or {}).values()), len(problems) - errors


def summary_line(problems: Sequence[Problem], omitted: Mapping[str, int] | None = None) -> str:
    """Return `3 errors, 1 warning in manifests/a.yaml`."""
    errors, warnings = count_by_severity(problems, omitted)
    counts = [counted(errors, "error")] if errors else []
    counts += [counted(warnings, "warning")] if warnings else []
    files = list(dict.fromkeys(visible(problem.place.file) for problem in problems))
    return f"{', '.join(counts) or 'no problems'}{' in ' if files else ''}{listed(files)}"


def _codes(problems: Iterable[Problem]) -> str:
    codes = dict.fromkeys(problem.code for problem in problems if problem.code in CODES)
    return " ".join(list(codes)[:MOST_CODES])


def _lines_of(problems: Iterable[Problem], sources: Sources) -> dict[tuple[str, int], str]:
    wanted: dict[str, set[int]] = {}
    for problem in problems:
        for place in (problem.place, *(related.place for related in problem.related)):
            wanted.setdefault(place.file, set()).add(place.line)
    return {
        (file, number): line
        for file, numbers in wanted.items()
        for number, line in sources.lines(file, numbers).items()
    }


def _hidden(problems: Iterable[Problem]) -> dict[tuple[str, int], int]:
    """Return the column from which each line is masked: no problem may show what another hides."""
    hidden: dict[tuple[str, int], int] = {}
    for problem in problems:
        if problem.hide:
            line = (problem.place.file, problem.place.line)
            hidden[line] = min(problem.place.column, hidden.get(line, problem.place.column))
    return hidden


def _problem(problem: Problem, block: _Block) -> Iterator[str]:
    paint = block.paint
    strong = paint.red if problem.severity is Severity.ERROR else paint.yellow
    title = strong(f"{problem.severity.value}[{visible(problem.code)}]")
    yield title + paint.bold(f": {visible(problem.message)}")
    marks = [_Mark(problem.place, "^"), *(_Mark(r.place, "-", r.note) for r in problem.related)]
    gutter = max(len(str(mark.place.line)) for mark in marks)
    for nth, file in enumerate(dict.fromkeys(mark.place.file for mark in marks)):
        there = [mark for mark in marks if mark.place.file == file]
        arrow = paint.blue(":::" if nth else "-->")
        yield f"{' ' * gutter}{arrow} {visible(str(there[0].place))}"
        yield from _source(there, gutter, block)
    first, *others = (visible(line) for line in problem.help.splitlines() or [""])
    if first:
        yield f"{' ' * gutter} {paint.blue('=')} {paint.bold('help')}: {first}"
    yield from (f"{' ' * gutter}         {line}".rstrip() for line in others)


def _source(marks: Sequence[_Mark], gutter: int, block: _Block) -> Iterator[str]:
    """Yield one file's lines with their marks; only the notes of lines that cannot be read."""
    paint, before = block.paint, None
    bare = f"{' ' * gutter} {paint.blue('|')}"
    for number in sorted({mark.place.line for mark in marks}):
        here = [mark for mark in marks if mark.place.line == number]
        line = block.lines.get((here[0].place.file, number))
        if line is None:
            notes = (f"{mark.place}: {mark.note}" for mark in here if mark.note)
            yield from (f"{' ' * gutter} {paint.blue('=')} note: {visible(n)}" for n in notes)
            continue
        if before is None:
            yield bare
        elif number > before + 1:
            yield paint.blue("...")
        before = number
        lead = f"{paint.blue(f'{number:>{gutter}} |')} "
        yield from _line(line, here, lead, f"{bare} ", block)
    if before is not None:
        yield bare


def _line(line: str, marks: Sequence[_Mark], lead: str, bare: str, block: _Block) -> Iterator[str]:
    """Yield one source line, and a row below it for each of its marks."""
    place = marks[0].place
    shown = displayed_line(
        line,
        width=block.width - len(str(place.line)) - len(" | "),
        focus=min(mark.place.column for mark in marks),
        hide_from=block.hidden.get((place.file, place.line)),
    )
    yield f"{lead}{shown.text}".rstrip()
    for mark in marks:
        paint = block.paint.red if mark.sign == "^" else block.paint.blue
        indent, sign = shown.marker(mark.place.column, mark.place.end_column, mark.sign)
        yield f"{bare}{indent}{paint(sign)} {visible(mark.note)}".rstrip()
