"""Follows the rate of a run that is going on, by its events: limits that were changed, and slow-downs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.core.control import CommandName, command_of
from runner.core.pacing.pace_left import FULL_PACE, PaceLeft, pace_left
from runner.ports import Note

EVENTS = (Note.CONTROL, Note.RATE_RESTORED, Note.SLOWED_DOWN)
"""What changes the rate; however long ago, it is still in force."""


class RunPace:
    """The limit on one run's rate, and its pace; an event replaces what was in force before."""

    def __init__(self, limit_per_s: float | None) -> None:
        """`limit_per_s` is the limit that the run began with; None: unlimited."""
        self.limit_per_s = limit_per_s
        self._left: PaceLeft = FULL_PACE

    def take(self, body: Mapping[str, Any]) -> None:
        """Take the next event."""
        event = body["event"]
        if event == Note.SLOWED_DOWN:
            self._left = pace_left([body])
        elif event == Note.RATE_RESTORED:
            self.limit_per_s = body["rate_per_s"]
        elif event == Note.CONTROL:
            self._take_command(str(body["what"]))

    def _take_command(self, what: str) -> None:
        try:
            command = command_of(what, None)
        except ValueError:  # an approval, or what was declined at the terminal
            return
        if command.name is CommandName.RATE and isinstance(command.value, float):
            self.limit_per_s = command.value

    def rate_per_s(self, at: float) -> float | None:
        """Return the pace at a time, in seconds since the epoch; None: unlimited."""
        return self._left.rate(self.limit_per_s, now=at, wall_s=at).rate_per_s
