"""Compares two runs: the outcome of each transfer in both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from runner.core.frozen import frozen
from runner.core.records.run_record import RunRecord
from runner.core.records.summary import Summary
from runner.core.transfer.outcome import Outcome

MOST_EXAMPLES = 5
"""Transfers that are named of each kind of change."""


class ChangeKind(StrEnum):
    """How a key differs between two runs."""

    OUTCOME = "outcome"  # it ended otherwise
    TARGET = "target"  # it ended alike, of another interaction or to another destination
    LISTED = "listed"  # only the second run has it
    UNLISTED = "unlisted"  # only the first run has it


@frozen
class ComparedTransfer:
    """A transfer as one run reports it."""

    outcome: Outcome
    reason: str | None
    interaction_id: str
    destination_uri: str


@frozen
class Difference:
    """One key that is not the same in both runs; None: the run does not list it."""

    key: str
    before: ComparedTransfer | None
    after: ComparedTransfer | None

    @property
    def kind(self) -> ChangeKind:
        """How they differ."""
        if self.before is None:
            return ChangeKind.LISTED
        if self.after is None:
            return ChangeKind.UNLISTED
        return (
            ChangeKind.OUTCOME
            if self.before.outcome is not self.after.outcome
            else ChangeKind.TARGET
        )


@frozen
class Change:
    """All differences of a kind between the same two outcomes, the first of them by name."""

    kind: ChangeKind
    before: Outcome | None
    after: Outcome | None
    count: int
    examples: tuple[Difference, ...]

    @property
    def expected(self) -> bool:
        """Whether applying again explains it: what was transferred is left unchanged."""
        return self.before is Outcome.TRANSFERRED and self.after is Outcome.UNCHANGED


@frozen
class ComparedRun:
    """One of the runs, counted."""

    run: RunRecord
    summary: Summary

    @property
    def duration_s(self) -> float | None:
        """How long it took, in seconds; None: it has no end."""
        return self.run.duration_s


@frozen
class Comparison:
    """Two runs and their differences, the most urgent first."""

    before: ComparedRun
    after: ComparedRun
    changes: tuple[Change, ...]

    @property
    def alike(self) -> int:
        """How many keys are the same in both."""
        differing = sum(
            change.count for change in self.changes if change.kind is not ChangeKind.LISTED
        )
        return self.before.summary.total - differing

    @property
    def warnings(self) -> tuple[str, ...]:
        """Reasons why the comparison may mislead."""
        warnings = []
        first, second = self.before.run, self.after.run
        if first.batch != second.batch:
            warnings.append(
                f"the runs are of different batches, {first.batch} and {second.batch}:"
                " keys that are the same may mean different transfers"
            )
        warnings += [
            f"run {run.id} has no end: it goes on, or it died"
            for run in (first, second)
            if run.finished_at is None
        ]
        if first.started_at > second.started_at:
            warnings.append(
                f"run {first.id} began after run {second.id}: name the earlier one first"
            )
        return tuple(warnings)


@dataclass(slots=True)
class _Counted:
    """A change that is still counted."""

    count: int = 0
    examples: list[Difference] = field(default_factory=list)


def changes_of(
    differences: Iterable[Difference], most_examples: int = MOST_EXAMPLES
) -> tuple[Change, ...]:
    """Count differences by kind and outcomes, in one pass; keep the first few of each."""
    counted: dict[tuple[ChangeKind, Outcome | None, Outcome | None], _Counted] = {}
    for difference in differences:
        name = (difference.kind, _outcome(difference.before), _outcome(difference.after))
        change = counted.setdefault(name, _Counted())
        change.count += 1
        if len(change.examples) < most_examples:
            change.examples.append(difference)
    changes = [Change(*name, each.count, tuple(each.examples)) for name, each in counted.items()]
    return tuple(sorted(changes, key=_urgency))


def _outcome(side: ComparedTransfer | None) -> Outcome | None:
    return None if side is None else side.outcome


def _urgency(change: Change) -> tuple[bool, int, int]:
    ended = change.after or change.before
    place = len(Outcome) if ended is None else ended.rank
    return change.expected, place, -change.count
