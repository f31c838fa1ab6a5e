"""Follows what holds a run that is going on, by its events (operations.md, "Looking at a run").

The engine knows its own holds; this is for who only reads the journal, as `status` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from runner.core.control import CommandName, command_of
from runner.core.frozen import frozen
from runner.core.gates import Verdict
from runner.core.number_text import duration
from runner.core.pacing.pace_left import why_text
from runner.core.records.recent_failures import stage_of
from runner.core.timestamps import seconds, timestamp
from runner.ports import Note
from runner.ports.history import Hold

_OF_THE_GATEWAY = {Note.ASKED_TO_WAIT, Note.CIRCUIT_OPEN, Note.LOOK_UPS_HELD, Note.GOING_ON}
_DESTINATION_ENDED = {Note.DESTINATION_OPEN, Note.DESTINATION_GIVEN_UP}


@frozen
class _Held:
    """A hold until a time, in seconds since the epoch. `counts_down`: its cause says how long."""

    hold: Hold
    until: float = math.inf
    counts_down: bool = False

    def at(self, at: float) -> Hold:
        if not self.counts_down:
            return self.hold
        return Hold(f"{math.ceil(self.until - at)} s more ({why_text(self.hold.cause)})")


class RunHolds:
    """What holds one run; an event replaces the hold of its kind that was there before."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def take(self, body: Mapping[str, Any]) -> None:
        """Take the next event."""
        event = body["event"]
        if event == Note.CONTROL:
            self._take_command(body)
        elif event == Note.PAUSE_RESTORED:
            self._take_command({**body, "at": body["since"]})
        elif event == Note.PAUSE_ENDED:
            self._held.pop("pause", None)
        elif event == Note.WAVE_HELD:
            self._held["wave"] = _held_wave(body)
        elif event == Note.WAVE_BEGUN:
            self._held.pop("wave", None)
        elif event == Note.GATE:
            self._take_gate(body)
        elif event in _OF_THE_GATEWAY:
            self._take_gateway(body)
        elif event == Note.DESTINATION_FULL:
            cause = f"room at {body['destination']} ({body['why']})"
            self._held[f"at {body['destination']}"] = _Held(Hold(cause))
        elif event in _DESTINATION_ENDED:
            self._held.pop(f"at {body['destination']}", None)

    def at(self, at: float) -> tuple[Hold, ...]:
        """Return what holds the run at a time; what a person ends comes first."""
        held = [each.at(at) for each in self._held.values() if each.until > at]
        return tuple(sorted(held, key=_rank))

    def _take_command(self, body: Mapping[str, Any]) -> None:
        try:
            command = command_of(str(body["what"]), body.get("why"))
        except ValueError:  # an approval, or what was declined at the terminal
            return
        why = f": {body['why']}" if body.get("why") else ""
        by = f"by {body['who']} since {timestamp(seconds(body['at']))[11:16]}Z{why}"
        if command.name is CommandName.PAUSE:
            hold = Hold(f"a resume (paused {by})", CommandName.RESUME, f"is paused {by}")
            self._held["pause"] = _Held(hold)
        elif command.name is CommandName.RESUME:
            self._held.pop("pause", None)
        elif command.name is CommandName.CONTINUE:
            self._held.pop("wave", None)
        elif command.name is CommandName.STOP:
            self._held = {"stop": _Held(Hold("what is in flight", None, f"is stopping, {by}"))}

    def _take_gate(self, body: Mapping[str, Any]) -> None:
        name, verdict = f"gate {body['gate']}", body["verdict"]
        self._held.pop(name, None)
        if verdict == Verdict.INCONCLUSIVE:
            self._held[name] = _Held(Hold(f"{name} ({verdict}: {body['text']})"))

    def _take_gateway(self, body: Mapping[str, Any]) -> None:
        event = body["event"]
        self._held.pop("gateway", None)
        if event == Note.ASKED_TO_WAIT:
            until = seconds(body["at"]) + body["wait_s"]
            self._held["gateway"] = _Held(Hold(body["why"]), until, counts_down=True)
        elif event != Note.GOING_ON:
            self._held["gateway"] = _Held(Hold(event))


def _rank(hold: Hold) -> int:
    """Return an order: a pause holds whatever else is answered, and nobody answers the others."""
    order = (CommandName.RESUME, CommandName.CONTINUE)
    return len(order) if hold.ends_by is None else order.index(hold.ends_by)


def _held_wave(body: Mapping[str, Any]) -> _Held:
    wave = stage_of(body)
    if body["by"] == "confirm":
        return _Held(Hold(f"the confirmation of {wave}", CommandName.CONTINUE))
    cause = f"the pause of {duration(body['seconds'])} before {wave}"
    return _Held(Hold(cause), seconds(body["at"]) + body["seconds"])
