"""The core's states and actions as SQL spells them: one list, whatever the database."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import TypeVar

from runner.core.transfer.plan_decision import SENDS, Action
from runner.core.transfer.states import HELD, UNDER_WAY, State

E = TypeVar("E", bound=StrEnum)


def _in(kind: type[E], members: Collection[E]) -> str:
    """Return `IN (…)`, in the order in which the members are defined.

    SQLite uses a partial index where a query has the very expression of the index.
    """
    names = [f"'{each.value}'" for each in kind if each in members]
    return f"IN ({', '.join(names)})"


IN_HELD = _in(State, HELD)
"""Of a transfer's state: its interaction is held."""

IN_UNDER_WAY = _in(State, UNDER_WAY)
"""Of a transfer's state: its reply is still waited for."""

IN_SENDS = _in(Action, SENDS)
"""Of a planned row's action: it leads to a delivery."""
