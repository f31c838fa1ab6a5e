"""Decides what an undo carries back, and where to (recovery.md, "Claims")."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from runner.core.manifest.rules import check_destination
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.plan_decision import Claim, last_carried
from runner.core.transfer.reasons import Code
from runner.core.transfer.states import HELD, State


class Irreversible(StrEnum):
    """Why a transfer that a run moved, or may have moved, is not carried back."""

    IN_DOUBT = "in_doubt"
    MOVED_ON = "moved_on"
    CARRIED_BACK = "carried_back"
    ENDED = "ended"
    NO_BASELINE = "no_baseline"
    NOT_A_DESTINATION = "not_a_destination"
    SENT_BEFORE = "sent_before"

    @property
    def words(self) -> str:
        """The reason, as it follows a number of transfers."""
        return _WORDS[self]


_WORDS = {
    Irreversible.IN_DOUBT: "in doubt: settle them first",
    Irreversible.MOVED_ON: "moved on: another run moved them last",
    Irreversible.CARRIED_BACK: "carried back already",
    Irreversible.ENDED: "ended, as a later look-up showed",
    Irreversible.NO_BASELINE: "without a look-up before they were moved: where they were is unknown",
    Irreversible.NOT_A_DESTINATION: "from a place that no manifest can name as a destination",
    Irreversible.SENT_BEFORE: "sent by an earlier run, and settled by this one: revert that run too",
}


def way_back(
    claims: Sequence[Claim], run_id: str, origins: Sequence[str]
) -> str | Irreversible | None:
    """Return where an undo of a run carries an interaction, or why it does not; None: never moved.

    `claims` are the interaction's history, oldest first; `origins` are the destinations that
    look-ups before the run's deliveries showed, newest first.
    """
    ours = [claim for claim in claims if claim.run_id == run_id]
    if any(claim.state in HELD for claim in claims):
        moved = any(claim.state in {*HELD, State.TRANSFERRED} for claim in ours)
        return Irreversible.IN_DOUBT if moved else None
    moved_by_us = [claim for claim in ours if claim.state is State.TRANSFERRED]
    if not moved_by_us:
        return None
    last, own = last_carried(claims), moved_by_us[-1]
    if last is not own:
        undone = any(c.reverts == run_id and c.state is State.TRANSFERRED for c in claims)
        return Irreversible.CARRIED_BACK if undone else Irreversible.MOVED_ON
    if any(_shows_end(claim) for claim in claims if claim.transfer_id > own.transfer_id):
        return Irreversible.ENDED
    others = (uri for uri in origins if not same_destination(uri, own.destination_uri))
    origin = next(others, None)
    if origin is None:
        return Irreversible.NO_BASELINE
    is_usable = check_destination(origin) is None
    return origin if is_usable else Irreversible.NOT_A_DESTINATION


def _shows_end(claim: Claim) -> bool:
    return claim.state is State.SKIPPED and claim.code == Code.INTERACTION_ENDED
