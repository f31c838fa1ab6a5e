"""What a run means to do with each transfer, decided from the history of its interaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from runner.core.media import MediaMatrix
from runner.core.sight import FoundAt
from runner.core.transfer import HELD, State


class Action(StrEnum):
    """What the plan says of one row (recovery.md, "Claims")."""

    SEND = "send"
    CHANGED = "changed"  # sent: carried to another destination before
    UNCHANGED = "unchanged"  # carried to this destination before, or ended
    IN_DOUBT = "in_doubt"  # held under some batch; not sent
    NOT_SELECTED = "not_selected"


NOT_SELECTED = "not selected"
"""The reason of what `--only` or `--limit` leaves out."""

SENDS = frozenset({Action.SEND, Action.CHANGED})
"""The actions that lead to a delivery."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One transfer of the interaction's history, of whatever batch, oldest first in a sequence."""

    transfer_id: int
    lineage: int  # the first transfer that this one continues
    run_id: str
    batch: str
    key: str
    destination_uri: str
    state: State


@dataclass(frozen=True, slots=True)
class Verdict:
    """The action for a row, why, and the history that it goes on from."""

    action: Action
    reason: str | None = None
    claim: int | None = None  # the transfer whose state the row's outcome is, if nothing is sent
    lineage: int | None = None  # the lineage that a delivery continues


def judge(claims: Sequence[Claim], destination_uri: str, *, again: bool) -> Verdict:
    """Decide what to do with a row that would move the interaction to `destination_uri`.

    `again` moves even what has been carried to the same destination; it never overrides a doubt.
    """
    held = next((claim for claim in claims if claim.state in HELD), None)
    if held is not None:
        return Verdict(
            Action.IN_DOUBT,
            f"in doubt since run {held.run_id} (batch {held.batch}, key {held.key})",
            held.transfer_id,
        )
    carried = last_carried(claims)
    if carried and carried.destination_uri == destination_uri and not again:
        reason = f"transferred by run {carried.run_id} (batch {carried.batch}, key {carried.key})"
        return Verdict(Action.UNCHANGED, reason, carried.transfer_id)
    since = [c for c in claims if carried is None or c.transfer_id > carried.transfer_id]
    last = next((c for c in reversed(since) if c.destination_uri == destination_uri), None)
    if last and last.state is State.SKIPPED and not again:
        reason = f"skipped by run {last.run_id}; --again looks anew"
        return Verdict(Action.UNCHANGED, reason, last.transfer_id)
    changed = carried is not None and carried.destination_uri != destination_uri
    return Verdict(
        Action.CHANGED if changed else Action.SEND, None, None, last.lineage if last else None
    )


def last_carried(claims: Sequence[Claim]) -> Claim | None:
    """Return the last transfer of a history that was carried out: it tells where it led to."""
    return next((c for c in reversed(claims) if c.state is State.TRANSFERRED), None)


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One row of a plan, as the engine takes it up."""

    n: int
    key: str
    interaction_id: str
    destination_uri: str
    media: tuple[MediaMatrix, ...]
    callbacks: tuple[str, ...]
    source: str
    lineage: int | None = None
    was_elsewhere: bool = False  # by the history: carried to another destination before
    found_at: FoundAt | None = None  # where a selection found it
