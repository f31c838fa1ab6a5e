"""Two runs side by side as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from runner.core.records.comparison import (
    Change,
    ComparedRun,
    ComparedTransfer,
    Comparison,
    Difference,
)
from runner.core.timestamps import clock_time
from runner.report.formats.markdown_text import code, prose, table

NAME_LIMIT = 100


def compared_md(
    compared: Comparison,
    figures: Iterable[Sequence[str]],
    in_words: Callable[[Change], str],
    clean: Callable[[str], str],
) -> Iterator[str]:
    """Yield the comparison's parts.

    `figures` are rows of name, before, after and change, `in_words` says what a change is, `clean`
    takes out of a foreign text what must not be shown.
    """
    before, after = compared.before, compared.after
    yield f"## {code(before.run.id, NAME_LIMIT)} and {code(after.run.id, NAME_LIMIT)}\n\n"
    yield f"{_side('Before', before)}<br>\n{_side('After', after)}\n\n"
    yield from (f"**Warning:** {prose(warning, 400)}\n\n" for warning in compared.warnings)
    rows = ([prose(cell) for cell in row] for row in figures)
    yield table(("", "before", "after", "change"), rows)
    yield "\n### Transfer by transfer\n\n"
    rows_of_changes = [
        (f"{c.count:,}", prose(in_words(c)), _examples(c, clean)) for c in compared.changes
    ]
    yield table(
        ("Count", "Change", "First"), [*rows_of_changes, (f"{compared.alike:,}", "as before", "")]
    )


def _side(word: str, side: ComparedRun) -> str:
    run = side.run
    batch, outcome = code(run.batch, NAME_LIMIT), prose(run.outcome, NAME_LIMIT)
    return f"**{word}:** batch {batch}, {outcome}, started {prose(clock_time(run.started_at))} UTC"


def _examples(change: Change, clean: Callable[[str], str]) -> str:
    if change.expected:
        return ""
    shown = [_example(each, clean) for each in change.examples]
    rest = change.count - len(shown)
    return "<br>".join([*shown, *([f"and {rest:,} more"] if rest else [])])


def _example(difference: Difference, clean: Callable[[str], str]) -> str:
    key = code(difference.key, NAME_LIMIT)
    before, after = difference.before, difference.after
    if before and after and before.outcome is after.outcome:
        return f"{key}: {_target(before)}, now {_target(after)}"
    side = after or before
    return f"{key}: {code(clean(side.reason))}" if side and side.reason else key


def _target(side: ComparedTransfer) -> str:
    return f"{code(side.interaction_id, NAME_LIMIT)} to {code(side.destination_uri, NAME_LIMIT)}"
