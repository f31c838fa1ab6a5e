"""Holds a batch that goes on elsewhere to the plan of its first run.

A submission's first run chooses its rows and the point in history that it was planned at. Later runs,
after a death or a hand-over, finish those rows and add none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from runner.core.frozen import frozen
from runner.core.transfer.canonical_form import same_destination
from runner.core.transfer.plan_decision import NOT_SELECTED, SENDS, Action, Decision
from runner.core.transfer.reasons import Code


class FrozenRow(NamedTuple):
    """What the first run planned for an interaction."""

    destination_uri: str
    action: Action
    n: int  # its number in the plan
    failed_as: str | None  # see `PlannedRow`

    @property
    def is_sent(self) -> bool:
        """Whether the first run was to send it."""
        return self.action in SENDS

    @property
    def turn(self) -> tuple[bool, int]:
        """The row's place in the order of sending."""
        return self.failed_as is not None, self.n


@frozen
class FrozenPlan:
    """The plan of a first run: its rows by interaction, in its canonical form."""

    first_run: int  # its number
    rows: Mapping[str, FrozenRow]
    last_transfer_id: int  # the newest transfer before it


class Moved(NamedTuple):
    """Where an interaction was carried since the first run was planned."""

    destination_uri: str
    transfer_id: int
    run: str


def held_to(
    frozen: FrozenRow | None,
    moved: Moved | None,
    finished: int | None,
    destination_uri: str,
    decision: Decision,
) -> Decision:
    """Return the decision on a row of a later run; `frozen` None: the first run had no such row.

    `moved` stands whatever the options say: `--again` overrides only what was carried before.
    `finished` is the transfer by which an earlier run of the batch brought it to another end, which
    stands too: it is not tried again.
    """
    if decision.action not in SENDS:
        return decision
    is_of_plan = (
        frozen is not None
        and frozen.action in SENDS | {Action.IN_DOUBT}
        and same_destination(frozen.destination_uri, destination_uri)
    )
    if not is_of_plan:
        return Decision(Action.NOT_SELECTED, NOT_SELECTED, code=Code.NOT_SELECTED)
    assert frozen is not None  # noqa: S101 - for the type checker
    if moved is None and finished is not None:
        return Decision(Action.FINISHED, claim=finished)
    if moved is None:
        # Failures of the batch itself do not change its order.
        return replace(decision, failed_as=frozen.failed_as) if frozen.is_sent else decision
    if same_destination(moved.destination_uri, destination_uri):
        reason = f"transferred since the submission began, by run {moved.run}"
        return Decision(Action.UNCHANGED, reason, moved.transfer_id, code=Code.TRANSFERRED_BEFORE)
    return Decision(Action.NOT_SELECTED, NOT_SELECTED, code=Code.NOT_SELECTED)
