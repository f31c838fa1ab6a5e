"""Renders the comparison of two runs as a page that opens offline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from runner.core.frozen import frozen
from runner.core.records.comparison import Change, ComparedTransfer, Comparison, Difference
from runner.core.timestamps import clock_time
from runner.core.transfer.outcome import Outcome, Shape, Tone
from runner.report.html.outcome_categories import style_of
from runner.report.html.page import page_style, template

NONE = "\N{EN DASH}"


@frozen
class ChangeRow:
    """A row of the page: what changed, how often, and the first transfers of it."""

    count: int
    text: str
    style: str  # classes of page.css
    examples: tuple[tuple[str, str], ...]  # keys, and what is to say of each
    more: int


def render_comparison(
    compared: Comparison,
    figures: Iterable[Sequence[str]],
    in_words: Callable[[Change], str],
    clean: Callable[[str], str],
    write: Callable[[str], object],
) -> None:
    """Write the page, in pieces.

    `figures` are rows of name, before, after and change; `in_words` says what a change is,
    `clean` takes out of a foreign text what must not be shown.
    """
    style, policy = page_style()
    sides = [
        (word, side.run, clock_time(side.run.started_at))
        for word, side in (("Before", compared.before), ("After", compared.after))
    ]
    pieces = template("comparison.html.j2").generate(
        compared=compared,
        sides=sides,
        figures=tuple(figures),
        changes=tuple(_row(change, in_words(change), clean) for change in compared.changes),
        style=style,
        policy=policy,
    )
    for piece in pieces:
        write(piece)


def _row(change: Change, text: str, clean: Callable[[str], str]) -> ChangeRow:
    shown = () if change.expected else change.examples
    return ChangeRow(
        count=change.count,
        text=text,
        style=_style(change),
        examples=tuple((each.key, _told(each, clean)) for each in shown),
        more=0 if change.expected else change.count - len(shown),
    )


def _style(change: Change) -> str:
    if change.after is None:
        return f"{Tone.CALM} {Shape.DASH}"
    return style_of(Outcome.UNCHANGED if change.expected else change.after)


def _told(difference: Difference, clean: Callable[[str], str]) -> str:
    before, after = difference.before, difference.after
    if before and after and before.outcome is after.outcome:
        return f"{_target(before)}, now {_target(after)}"
    side = after or before
    return clean(side.reason) if side and side.reason else NONE


def _target(side: ComparedTransfer) -> str:
    return f"{side.interaction_id} to {side.destination_uri}"
