"""What a run means to do with each transfer, decided from the history of its interaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from runner.core.frozen import frozen
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.reasons import CARRIES_OVER, Code, Earlier
from runner.core.transfer.states import HELD, State


class Action(StrEnum):
    """What the plan says of one row (recovery.md, "Claims")."""

    SEND = "send"
    CHANGED = "changed"  # sent: carried to another destination before
    UNCHANGED = "unchanged"  # carried to this destination before, or ended
    IN_DOUBT = "in_doubt"  # held under some batch; not sent
    NOT_SELECTED = "not_selected"
    FINISHED = "finished"  # rejected, failed or skipped by an earlier run of the same batch
    REVERTED = "reverted"  # carried to this destination before, and back by an undo
    PROTECTED = "protected"  # the manifest's `exclude_from` lists it
    MOVED_ON = "moved_on"  # of an undo: the run that it reverts is not the last that moved it


NOT_SELECTED = "not selected"
"""The reason of what `--only` or `--limit` leaves out."""

SENDS = frozenset({Action.SEND, Action.CHANGED})
"""The actions that lead to a delivery."""

SKIPS: Mapping[Action, Code] = MappingProxyType(
    {
        Action.REVERTED: Code.REVERTED,
        Action.MOVED_ON: Code.MOVED_ON,
        Action.PROTECTED: Code.PROTECTED,
    }
)
"""The actions that skip a row without a look-up, with the cause."""

_FAILURES = frozenset({State.REJECTED, State.FAILED})
_SETTLED = _FAILURES | {State.SKIPPED}


@frozen
class Claim:
    """One transfer of the interaction's history, of whatever batch, oldest first in a sequence."""

    transfer_id: int
    lineage: int  # the first transfer that this one continues
    run_id: str
    batch: str
    key: str
    destination_uri: str
    state: State
    code: str | None = None  # of its outcome (`reasons`); None: not known
    reverts: str | None = None  # the run that its manifest reverts; None: it is no undo


@frozen
class Decision:
    """The action for a row, why, and the history that it goes on from."""

    action: Action
    reason: str | None = None
    claim: int | None = None  # the transfer whose state the row's outcome is, if nothing is sent
    lineage: int | None = None  # the lineage that a delivery continues
    code: str | None = None  # of `reason`
    earlier: Earlier | None = None  # whom `claim` is about
    left_out: bool = False  # a doubt that `--only` leaves out: it is looked at, and not sent again
    failed_as: str | None = None  # see `PlannedRow`


def decide(
    claims: Sequence[Claim], destination_uri: str, *, again: bool, reverts: str | None = None
) -> Decision:
    """Decide what to do with a row that would move the interaction to `destination_uri`.

    `again` moves even what has been carried to the same destination; it never overrides a doubt.
    A manifest that `reverts` a run moves only what that run was the last to move.
    """
    held = next((claim for claim in claims if claim.state in HELD), None)
    if held is not None:
        return Decision(
            Action.IN_DOUBT,
            f"in doubt since run {held.run_id} (batch {held.batch}, key {held.key})",
            held.transfer_id,
            code=Code.HELD,
            earlier=_earlier(held),
        )
    carried = last_carried(claims)
    is_there = carried is not None and same_destination(carried.destination_uri, destination_uri)
    if carried and is_there and not again:
        reason = f"transferred by run {carried.run_id} (batch {carried.batch}, key {carried.key})"
        return _unchanged(carried, reason, Code.TRANSFERRED_BEFORE)
    if reverts is not None and (carried is None or carried.run_id != reverts):
        return _moved_on(carried, reverts)
    undone = None if again or reverts is not None else reverted_by(claims, destination_uri)
    if undone is not None:
        reason = f"reverted by a later run, {undone.run_id}; --again moves it once more"
        return Decision(
            Action.REVERTED,
            reason,
            undone.transfer_id,
            code=Code.REVERTED,
            earlier=_earlier(undone),
        )
    since = [c for c in claims if carried is None or c.transfer_id > carried.transfer_id]
    there = [c for c in since if same_destination(c.destination_uri, destination_uri)]
    last = there[-1] if there else None
    if last and last.state is State.SKIPPED and last.code in CARRIES_OVER and not again:
        reason = f"skipped by run {last.run_id}; --again looks anew"
        return _unchanged(last, reason, Code.SKIPPED_BEFORE)
    settled = next((c for c in reversed(there) if c.state in _SETTLED), None)
    changed = carried is not None and not is_there
    return Decision(
        Action.CHANGED if changed else Action.SEND,
        lineage=last.lineage if last else None,
        failed_as=(settled.code or "") if settled and settled.state in _FAILURES else None,
    )


def reverted_by(claims: Sequence[Claim], destination_uri: str) -> Claim | None:
    """Return the undo that carried an interaction away from a destination, where it stays undone.

    None: nothing carried it back, or something has carried it to the destination again since.
    """
    carriers: set[str] = set()  # runs that have carried it to the destination
    undone: Claim | None = None
    for claim in claims:
        if claim.state is not State.TRANSFERRED:
            continue
        if same_destination(claim.destination_uri, destination_uri):
            carriers.add(claim.run_id)
            undone = None
        elif claim.reverts in carriers:
            undone = claim
    return undone


def not_moved_by(run_id: str) -> Decision:
    """Return the decision on a row of an undo that the run to revert did not move."""
    return _moved_on(None, run_id)


def _moved_on(carried: Claim | None, reverts: str) -> Decision:
    if carried is None:
        return Decision(Action.MOVED_ON, f"run {reverts} did not move it", code=Code.MOVED_ON)
    return Decision(
        Action.MOVED_ON,
        f"moved on: run {carried.run_id} (batch {carried.batch}, key {carried.key}) moved it last",
        carried.transfer_id,
        code=Code.MOVED_ON,
        earlier=_earlier(carried),
    )


def _unchanged(claim: Claim, reason: str, code: Code) -> Decision:
    return Decision(Action.UNCHANGED, reason, claim.transfer_id, code=code, earlier=_earlier(claim))


def _earlier(claim: Claim) -> Earlier:
    return Earlier(claim.run_id, claim.batch, claim.key)


def last_carried(claims: Sequence[Claim]) -> Claim | None:
    """Return the last transfer of a history that was carried out: its destination is where the interaction is."""
    return next((c for c in reversed(claims) if c.state is State.TRANSFERRED), None)


class PlannedMove(NamedTuple):
    """What a plan means to move, and where to; `origin_uri` is where it was, as far as is known."""

    key: str
    interaction_id: str
    destination_uri: str
    origin_uri: str | None  # where it was carried before, or seen by a look-up
