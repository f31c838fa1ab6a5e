"""A run in figures, counted in one pass over its transfers (cli.md, "A run leaves")."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from runner.core.frozen import frozen
from runner.core.records.latency import Latency, LatencyBin, histogram, latency_of
from runner.core.records.run_record import AttemptRecord, Figures, TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import WORDS, Cause, Code, cause_of, common_words

GROUP_LIMIT = 1_000
"""Distinct reasons counted apart; the rest is one group, so that memory stays bounded."""

MOST_EXAMPLES = 3
"""Keys and places in the manifest that are kept of a group."""


@frozen
class ReasonGroup:
    """How many transfers share an outcome and a cause, the first one's key, the first places."""

    outcome: Outcome
    reason: str | None
    count: int
    first_key: str
    examples: tuple[str, ...] = ()  # "file:line" in the manifest
    status: str | None = None  # the first one's last reply, where it had any
    keys: tuple[str, ...] = ()  # of the same transfers
    code: str | None = None  # of the cause
    names: tuple[str, ...] = ()  # their places; the keys of those that one place selected

    @property
    def cause(self) -> Cause:
        """What its transfers have in common."""
        return cause_of(self.code, self.reason)


@frozen
class Summary:
    """The report's `summary`, and what its page draws: groups of reasons, spread of latencies."""

    counts: Mapping[Outcome, int]  # every outcome, zeros included
    attempts: int  # deliveries in this run
    retries: int  # deliveries of a media matrix beyond its first
    fallbacks: int  # switches to a next media matrix
    callbacks_delivered: int
    callbacks_failed: int
    latency: Latency
    figures: Figures
    groups: tuple[ReasonGroup, ...]  # the most urgent outcome first, then by count
    histogram: tuple[LatencyBin, ...]

    @property
    def total(self) -> int:
        """Every transfer of the manifest."""
        return sum(self.counts.values())

    @property
    def failures(self) -> int:
        """How many transfers moved nothing, which is not as it should be."""
        return sum(number for outcome, number in self.counts.items() if outcome.is_failure)

    @property
    def not_begun(self) -> int:
        """How many transfers no run has taken up."""
        return sum(number for outcome, number in self.counts.items() if not outcome.was_begun)

    @property
    def not_selected(self) -> int:
        """How many transfers `--only` or `--limit` left out."""
        return sum(g.count for g in self.groups if g.code == Code.NOT_SELECTED)

    @property
    def found_nothing(self) -> bool:
        """Return whether nothing was delivered, settled or left over."""
        is_idle = not self.attempts and not any(
            self.counts[outcome]
            for outcome in Outcome
            if outcome is Outcome.TRANSFERRED or outcome.needs_attention
        )
        return is_idle and self.not_begun == self.not_selected

    def to_json(self) -> dict[str, Any]:
        """Return `summary` as report.json spells it."""
        latency, figures = self.latency, self.figures
        return {
            "total": self.total,
            **{outcome.value: self.counts[outcome] for outcome in Outcome},
            "attempts": self.attempts,
            "retries": self.retries,
            "fallbacks": self.fallbacks,
            "callbacks": {"delivered": self.callbacks_delivered, "failed": self.callbacks_failed},
            "latency_ms": {
                "p50": rounded(latency.p50),
                "p90": rounded(latency.p90),
                "p99": rounded(latency.p99),
                "max": rounded(latency.max),
            },
            "rate": {
                "limit_per_s": rounded(figures.rate_limit_per_s),
                "achieved_per_s": rounded(figures.rate_achieved_per_s),
                "peak_in_any_second": figures.peak_in_any_second,
                "throttled": figures.throttled,
                "burst": figures.burst,
            },
        }


@dataclass(slots=True)
class _Group:
    """A group of reasons that is still counted."""

    first_key: str
    reason: str | None
    status: str | None = None
    differ: bool = False  # not all of it have the first one's words
    count: int = 0
    examples: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Tally:
    """Counts transfers one by one; keeps eight bytes of each that has a latency."""

    def __init__(self) -> None:
        self._outcomes: Counter[Outcome] = Counter()
        self._groups: dict[tuple[Outcome, Cause], _Group] = {}
        self._last_place: str | None = None
        self._shared_places: set[str] = set()  # that selected more transfers than one
        self._callbacks: Counter[str] = Counter()
        self._latencies = array("d")
        self._attempts = self._retries = self._fallbacks = 0

    def add(self, transfer: TransferRecord, alike: int = 1) -> None:
        """Count one transfer, or as many that differ in nothing that is counted."""
        self._outcomes[transfer.outcome] += alike
        if transfer.source == self._last_place:
            self._shared_places.add(transfer.source)
        self._last_place = transfer.source
        if transfer.outcome.needs_reason:
            self._group(transfer, alike)
        if transfer.latency_ms is not None:
            self._latencies.append(transfer.latency_ms)
        for callback in transfer.callbacks:
            undelivered = callback.state == "pending" and callback.attempts > 0
            self._callbacks["failed" if undelivered else callback.state] += 1
        if transfer.attempts:
            self._deliveries(transfer.attempts)

    def _group(self, transfer: TransferRecord, alike: int) -> None:
        name = (transfer.outcome, cause_of(transfer.reason_code, transfer.reason))
        group = self._groups.get(name)
        if group is None:
            reason = transfer.reason
            if len(self._groups) >= GROUP_LIMIT:
                name = (transfer.outcome, Cause(Code.OTHER_REASONS, None))
                reason = WORDS[Code.OTHER_REASONS]
            status = transfer.attempts[-1].status if transfer.attempts else None
            group = self._groups.setdefault(name, _Group(transfer.key, reason, status))
        group.count += alike
        group.differ = group.differ or transfer.reason != group.reason
        if len(group.examples) < MOST_EXAMPLES:
            group.examples.append(transfer.source)
            group.keys.append(transfer.key)

    def _deliveries(self, attempts: Sequence[AttemptRecord]) -> None:
        self._attempts += len(attempts)
        if len(attempts) == 1:  # as nearly every transfer
            return
        self._retries += len(attempts) - len({attempt.media_index for attempt in attempts})
        self._fallbacks += sum(
            before.media_index != after.media_index for before, after in pairwise(attempts)
        )

    def summary(self, figures: Figures) -> Summary:
        """Return the figures of all transfers counted so far."""
        ordered = sorted(self._latencies)
        return Summary(
            counts={outcome: self._outcomes[outcome] for outcome in Outcome},
            attempts=self._attempts,
            retries=self._retries,
            fallbacks=self._fallbacks,
            callbacks_delivered=self._callbacks["delivered"],
            callbacks_failed=self._callbacks["failed"],
            latency=latency_of(ordered),
            figures=figures,
            groups=self._ordered_groups(),
            histogram=histogram(ordered),
        )

    def _ordered_groups(self) -> tuple[ReasonGroup, ...]:
        groups = [
            ReasonGroup(
                outcome,
                common_words(cause.code, group.reason, differ=group.differ),
                group.count,
                group.first_key,
                tuple(group.examples),
                group.status,
                tuple(group.keys),
                cause.code,
                tuple(
                    key if place in self._shared_places else place
                    for place, key in zip(group.examples, group.keys, strict=True)
                ),
            )
            for (outcome, cause), group in self._groups.items()
        ]
        return tuple(sorted(groups, key=lambda g: (g.outcome.rank, -g.count)))


def summarize(transfers: Iterable[TransferRecord], figures: Figures) -> Summary:
    """Count all of `transfers`, in one pass."""
    tally = Tally()
    for transfer in transfers:
        tally.add(transfer)
    return tally.summary(figures)


def rounded(number: float | None) -> float | None:
    """Round to three decimals: microseconds where the unit is a millisecond."""
    return None if number is None else round(number, 3)
