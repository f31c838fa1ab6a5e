"""Computes where a batch stands that earlier runs began, so that a later run keeps its promises.

A submission whose worker died, or handed it over, is one batch over several runs: waves that are
finished are not played again, and failures before count towards `max_failures`. Everything is
computed from the first run's plan and the chain's events (operations.md, "After a hand-over").
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from runner.core.frozen import frozen
from runner.core.transfer.frozen_plan import FrozenPlan
from runner.core.transfer.states import HELD, State

FAILURES = frozenset({State.REJECTED, State.FAILED})
ENDED = FAILURES | {State.SKIPPED}


class LastTransfer(NamedTuple):
    """The last transfer of an interaction by the batch's earlier runs."""

    transfer_id: int
    state: State
    code: str | None  # of its outcome


class EarlierRuns(NamedTuple):
    """What the earlier runs of a batch left in the journal."""

    first_run: str  # its id
    transfers: Mapping[str, LastTransfer]  # by interaction, in its canonical form
    events: Sequence[
        Mapping[str, Any]
    ]  # waves that began, commands, pauses that ended; oldest first

    def finished(self, interaction: str) -> int | None:
        """Return the transfer that was rejected, failed or skipped for good; None: none was."""
        last = self.transfers.get(interaction)
        return None if last is None or last.state not in ENDED else last.transfer_id


class GivenBefore(NamedTuple):
    """A command that was given to an earlier run, as the chain has it."""

    text: str  # as a person writes it
    who: str
    why: str | None
    at: str


@frozen
class BatchSoFar:
    """Where a batch stands as a later run goes on with it. Places count from 0, in the sending order."""

    first_run: str
    total: int  # transfers of the first run's plan that were to be sent
    failed_before: int  # those of `total` that were rejected or failed before the batch began
    left: Sequence[int]  # the places of what this run is to send, ascending
    failed: Sequence[int]  # the places of what failed, as `max_failures` counts it, ascending
    in_doubt: frozenset[int]  # transfers of the batch that are in doubt
    waves_begun: int  # the last wave that began; 0: none
    commands: Sequence[GivenBefore]  # in force or to be followed, oldest first


def between(places: Sequence[int], begin: int, end: int) -> int:
    """Return how many ascending places lie in `begin` … `end - 1`."""
    return bisect_left(places, end) - bisect_left(places, begin)


def batch_so_far(
    plan: FrozenPlan, earlier: EarlierRuns, to_send: Iterable[tuple[bool, int]]
) -> BatchSoFar:
    """Return where a batch stands; `to_send` are the turns (see `PlannedRow`) of what is left."""
    rows = sorted(
        ((row.turn, interaction, row) for interaction, row in plan.rows.items() if row.is_sent),
        key=lambda each: each[0],
    )
    turns = [turn for turn, _, _ in rows]
    failed = []
    for place, (_, interaction, row) in enumerate(rows):
        last = earlier.transfers.get(interaction)
        is_known = last is not None and bool(row.failed_as) and last.code == row.failed_as
        if last is not None and last.state in FAILURES and not is_known:
            failed.append(place)
    last_place = max(len(rows) - 1, 0)
    return BatchSoFar(
        first_run=earlier.first_run,
        total=len(rows),
        failed_before=sum(is_late for is_late, _ in turns),
        left=sorted(min(bisect_left(turns, turn), last_place) for turn in to_send),
        failed=failed,
        in_doubt=frozenset(
            each.transfer_id for each in earlier.transfers.values() if each.state in HELD
        ),
        waves_begun=max(
            (event["wave"] for event in earlier.events if event["event"] == "wave begun"), default=0
        ),
        commands=_in_force(earlier.events),
    )


def _in_force(events: Sequence[Mapping[str, Any]]) -> list[GivenBefore]:
    """Return the commands that still count; a pause that ended by itself does not."""
    found: list[GivenBefore] = []
    for event in events:
        if event["event"] == "control":
            found.append(GivenBefore(event["what"], event["who"], event.get("why"), event["at"]))
        elif event["event"] == "pause ended":
            found = [each for each in found if not each.text.startswith("pause")]
    return found
