"""Callbacks that have not been delivered, counted by callback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from runner.core.number_text import counted, was_or_were


class Undelivered(NamedTuple):
    """What one callback's receiver was not told.

    The next run tries what is owed; nothing tries again what was given up, such as after an answer of 404.
    """

    callback: str  # its name in the manifest
    owed: int
    given_up: int
    reason: str | None = None  # of the newest; None: it was not tried yet

    @property
    def text(self) -> str:
        """One line: the name, the numbers, the reason."""
        parts = [f"{self.owed:,} owed"] if self.owed else []
        parts += [f"{self.given_up:,} given up"] if self.given_up else []
        why = f" ({self.reason})" if self.reason else ""
        return f"{self.callback}: {', '.join(parts)}{why}"


def count_owed(undelivered: Sequence[Undelivered]) -> int:
    """Return how many callbacks the next run tries."""
    return sum(each.owed for each in undelivered)


def count_undelivered(undelivered: Sequence[Undelivered]) -> int:
    """Return how many callbacks were not delivered."""
    return sum(each.owed + each.given_up for each in undelivered)


def undelivered_text(undelivered: Sequence[Undelivered]) -> str:
    """Return how many callbacks were not delivered, as a clause."""
    number = count_undelivered(undelivered)
    return f"{counted(number, 'callback')} {was_or_were(number)} not delivered"
