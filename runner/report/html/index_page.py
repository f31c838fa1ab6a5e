"""Renders index.html of a report folder: every batch, its newest runs and how they ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.manifest.model import SIMULATOR
from runner.core.number_text import counted
from runner.core.timestamps import clock_time
from runner.core.transfer.outcome import BY_URGENCY, Outcome
from runner.report.html.outcome_categories import style_of
from runner.report.html.page import page_style, template

_PERCENT = 100.0


@frozen
class Segment:
    """An outcome's part of a run, as a vertical bar: percents of its height."""

    style: str
    y: float
    height: float


@frozen
class IndexedRun:
    """A run, as the index shows it."""

    id: str
    address: str | None  # of its report; None: that is not here
    environment: str
    is_rehearsal: bool
    started: str  # UTC, to the second
    started_at: str  # RFC 3339
    outcome: str
    style: str  # classes of page.css
    counts: tuple[tuple[str, str, int], ...]  # words, style, number; the most urgent first
    segments: tuple[Segment, ...]
    told: str  # the whole in one sentence
    proof: str  # who approved its plan, and how many signed its record


@frozen
class IndexedBatch:
    """A batch, as the index shows it: its runs, the newest first."""

    name: str
    runs: tuple[IndexedRun, ...]


def _beside(batch: str, run: str) -> str | None:
    return f"{quote(batch)}/{quote(run)}/report.html"


def render_index(
    batches: Iterable[tuple[str, Sequence[Mapping[str, Any]]]],
    write: Callable[[str], object],
    *,
    source: str | None = None,
    address_of: Callable[[str, str], str | None] = _beside,
) -> None:
    """Write the page, in pieces.

    `batches` are names, and the beginnings of their runs' report.json (`run` and `summary`),
    the newest first. `source` is the journal that they were read from; None: the report folder.
    `address_of` returns where the report of a batch's run is.
    """
    found = [
        IndexedBatch(
            name, tuple(_run(head, address_of(name, str(head["run"]["id"]))) for head in heads)
        )
        for name, heads in batches
    ]
    found.sort(key=lambda batch: max(run.started_at for run in batch.runs), reverse=True)
    style, policy = page_style()
    made = template("index.html.j2").generate(
        batches=found, style=style, policy=policy, source=source
    )
    for piece in made:
        write(piece)


def _run(head: Mapping[str, Any], address: str | None) -> IndexedRun:
    run, summary = head["run"], head["summary"]
    numbers = {outcome: int(summary.get(outcome.value, 0)) for outcome in Outcome}
    counts = tuple(
        (outcome.words, style_of(outcome), numbers[outcome])
        for outcome in BY_URGENCY
        if numbers[outcome]
    )
    id_, started = str(run["id"]), str(run["started_at"])
    ended = str(run["outcome"])
    told = ", ".join(f"{number:,} {words}" for words, _, number in counts) or "no transfers"
    return IndexedRun(
        id=id_,
        address=address,
        environment=str(run["environment"]),
        is_rehearsal=run["driver"] == SIMULATOR,
        started=clock_time(started),
        started_at=started,
        outcome=ended,
        style=_style(ended, numbers),
        counts=counts,
        segments=tuple(_segments(counts)),
        told=f"{clock_time(started)} UTC, {ended}: {told}",
        proof="; ".join(_proof(head)),
    )


def _proof(head: Mapping[str, Any]) -> Iterator[str]:
    """Yield who approved a run's plan, and how many signatures its record has, unchecked."""
    if approvals := head["run"].get("approvals"):
        yield "approved by " + ", ".join(str(each["who"]) for each in approvals)
    if signatures := int(head.get("signatures", 0)):
        yield counted(signatures, "signature") + " beside it, not checked here"


def _style(ended: str, numbers: Mapping[Outcome, int]) -> str:
    """Return the classes of a run's verdict, drawn like the outcome that decided it."""
    if ended == ExitCode.OK.outcome:
        return style_of(Outcome.TRANSFERRED)
    return style_of(Outcome.IN_DOUBT if numbers[Outcome.IN_DOUBT] else Outcome.REJECTED)


def _segments(counts: Sequence[tuple[str, str, int]]) -> Iterator[Segment]:
    """Yield the parts of a bar, the most urgent at the top and visible however few they are."""
    total = sum(number for *_, number in counts)
    heights = [max(number / total * _PERCENT, 6.0) for *_, number in counts]
    y = 0.0
    for (_, style, _), height in zip(counts, heights, strict=True):
        share = height / sum(heights) * _PERCENT
        yield Segment(style, y, share)
        y += share
