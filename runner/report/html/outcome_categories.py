"""Categories of transfers on the page: the outcomes of a run, or the forecasts of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from runner.core.records.breakdown import (
    Breakdown,
    Codecs,
    Name,
    Part,
    Partition,
    destination,
    route,
    wave,
)
from runner.core.records.run_record import TransferRecord
from runner.core.transfer.outcome import Outcome, Shape, Tone
from runner.core.transfer.reasons import Code
from runner.report.model import Content

PARTS_SHOWN = 20
"""Rows of a breakdown; the rest is one row."""


class Category(NamedTuple):
    """A category of transfers: its name, its style on the page, and its rank."""

    word: str
    style: str  # classes of page.css: a tone, or `planned`, and a shape
    urgency: int
    needs_attention: bool = False
    outcome: Outcome | None = None  # None: a forecast

    def to_json(self) -> list[Any]:
        """Return what page.js reads; last, how the copied CSV spells it: an outcome as report.csv does."""
        spelling = self.word.replace(" ", "_") if self.outcome is None else self.outcome.value
        return [self.word, self.style, self.urgency, spelling]


def style_of(outcome: Outcome) -> str:
    """Return the classes of page.css that draw an outcome."""
    return f"{outcome.tone} {outcome.shape}"


OF_RUNS = tuple(
    Category(outcome.words, style_of(outcome), outcome.rank, outcome.needs_attention, outcome)
    for outcome in Outcome
)
"""In the order of `Outcome`."""

SENT, CHANGED, LEFT_OUT = 0, 1, 7
OF_PLANS = (
    Category("to send", f"planned {Shape.ARROW}", 4),
    Category("to send (changed)", f"planned {Shape.TRIANGLE}", 3),
    Category("unchanged", f"{Tone.CALM} {Shape.EQUALS}", 7),
    Category("in doubt", f"{Tone.DOUBT} {Shape.DIAMOND}", 0, needs_attention=True),
    Category("would be refused", f"{Tone.BAD} {Shape.SQUARE}", 1, needs_attention=True),
    Category("look-up failed", f"{Tone.BAD} {Shape.CROSS}", 2, needs_attention=True),
    Category("would be skipped", f"{Tone.QUIET} {Shape.RING}", 5),
    Category("left out", f"{Tone.QUIET} {Shape.DASH}", 6),
    Category("found transferred", f"{Tone.CALM} {Shape.DISC}", 8),
)
_FORESEEN: Mapping[str, int] = {
    Code.PLANNED_CHANGED: CHANGED,
    Code.INTERACTION_MISSING: 4,
    Code.INTERACTION_HIDDEN: 4,
    Code.INTERACTION_STATE_UNKNOWN: 4,
    Code.DESTINATION_UNSEEN: 4,
    Code.LOOK_UP_FAILED: 5,
    Code.INTERACTION_ENDED: 6,
    Code.ALREADY_THERE: 6,
    Code.NO_LONGER_WAITING: 6,
    Code.MOVED_ON: 6,
    Code.BEING_SERVED: 6,
    Code.NOT_SELECTED: LEFT_OUT,
    Code.FOUND_CARRIED_OUT: 8,
}
"""Category by the cause of a planned row; any other row is sent."""

_OUTCOMES = {outcome: number for number, outcome in enumerate(Outcome)}
_PLANNED = {Outcome.UNCHANGED: 2, Outcome.IN_DOUBT: 3, Outcome.SKIPPED: 6}

_DIMENSIONS: Mapping[str, Name] = {"destination": destination}
_PLAN_DIMENSIONS: Mapping[str, Name] = {"route": route}
_IN_ORDER = frozenset({"wave"})


def categories(content: Content) -> tuple[Category, ...]:
    """Return the categories of a report; rows name them by their index."""
    return OF_PLANS if content.dry_run else OF_RUNS


def category_finder(content: Content) -> Callable[[TransferRecord], int]:
    """Return a function that finds a transfer's category, as its index in `categories`."""
    if content.dry_run:
        return lambda transfer: _foreseen(transfer.outcome, transfer.reason_code)
    return lambda transfer: _OUTCOMES[transfer.outcome]


def category_of_group(content: Content, outcome: Outcome, code: str | None) -> int:
    """Return the category of transfers that share an outcome and a cause, as its index."""
    return _foreseen(outcome, code) if content.dry_run else _OUTCOMES[outcome]


def _foreseen(outcome: Outcome, code: str | None) -> int:
    known = _PLANNED.get(outcome)
    if known is not None:
        return known
    return SENT if code is None else _FORESEEN.get(code, SENT)


class CategoryCounts(NamedTuple):
    """A report's transfers counted by category, in all and in each breakdown."""

    counts: Mapping[int, int]
    breakdowns: tuple[Breakdown, ...]


def count_categories(content: Content) -> CategoryCounts:
    """Count all transfers of a report, in one pass."""
    named: dict[str, Name] = dict(_PLAN_DIMENSIONS if content.dry_run else _DIMENSIONS)
    if content.source.run.waves:
        named["wave"] = wave
    named["codec"] = Codecs()
    needing_attention = frozenset(
        index for index, category in enumerate(categories(content)) if category.needs_attention
    )
    partition = Partition(named, category_finder(content), needing_attention, in_order=_IN_ORDER)
    if content.source.counts is not None:
        partition.add_alike(content.source.counts())
    else:
        partition.add_all(content.source.transfers())
    found = partition.breakdowns(PARTS_SHOWN)
    if found:
        gateway = Part(content.source.run.gateway, partition.kinds)  # a run has one gateway
        found += (Breakdown("gateway", (gateway,), None, exact=True),)
    return CategoryCounts(partition.kinds, found)
