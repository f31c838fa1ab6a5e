"""Changes that an operator makes to a running batch (operations.md, "Control of a running batch").

Transitions are pure: the engine applies what they return.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from runner.core.errors import CommandRefused
from runner.core.frozen import frozen
from runner.core.manifest.model import Limits
from runner.core.manifest.quantity import (
    Amount,
    parse_amount,
    parse_duration,
    parse_rate,
    rate_text,
)
from runner.core.number_text import duration
from runner.core.pacing.waves import most_failures

LONGEST_REASON = 500
"""Characters of a reason that are accepted."""


class CommandName(StrEnum):
    """The commands of `runner control`."""

    PAUSE = "pause"
    RESUME = "resume"
    RATE = "rate"
    HTTP_RATE = "http-rate"
    IN_FLIGHT = "in-flight"
    MAX_FAILURES = "max-failures"
    CONTINUE = "continue"
    STOP = "stop"
    SHOW = "show"


@frozen
class Command:
    """One command: `text` is it as a person writes it; `value` is in seconds or per second."""

    name: CommandName
    text: str
    value: Amount | float | None = None
    reason: str | None = None

    @property
    def changes_nothing(self) -> bool:
        """Whether it only reads."""
        return self.name is CommandName.SHOW


def parse_command(
    name: str, value: str | None = None, for_: str | None = None, reason: str | None = None
) -> Command:
    """Return a command from its words; raises `ValueError` that says what to write instead."""
    try:
        command = CommandName(name.replace("_", "-"))  # as reports and `show` spell limits
    except ValueError:
        names = ", ".join(CommandName)
        raise ValueError(f"unknown command {name!r}; write one of: {names}") from None
    parse = _VALUES.get(command)
    if command is CommandName.PAUSE and value is not None:
        raise ValueError(f"`pause` takes its time by an option; write `pause --for {value}`")
    if (value is None) != (parse is None):
        raise ValueError(
            f"`{command}` takes no value; leave {value!r} out"
            if parse is None
            else f"`{command}` needs a value; write for example `{command} {_EXAMPLES[command]}`"
        )
    if for_ is not None and command is not CommandName.PAUSE:
        raise ValueError(f"`--for` belongs to `pause`, not to `{command}`; leave it out")
    if reason is not None and (len(reason) > LONGEST_REASON or not reason.strip()):
        raise ValueError(f"`--reason` takes 1 to {LONGEST_REASON} characters; shorten or fill it")
    if parse is not None and value is not None:
        return Command(command, f"{command} {value}", parse(value), reason)
    if for_ is not None:
        return Command(command, f"{command} --for {for_}", _positive(parse_duration(for_)), reason)
    return Command(command, command.value, None, reason)


def command_of(text: str, reason: str | None) -> Command:
    """Return the command whose `text` it is; raises `ValueError`."""
    name, _, rest = text.partition(" ")
    flag, _, for_ = rest.partition(" ")
    if flag == "--for":
        return parse_command(name, None, for_, reason)
    return parse_command(name, rest or None, None, reason)


def _positive(seconds: float) -> float:
    if seconds <= 0:
        raise ValueError("a pause of 0 s does nothing; write for example --for 20m")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10]) < 10**9):
        raise ValueError(f"{text!r} is not a number of transfers above 0; write for example 8")
    return int(text)


_VALUES: Mapping[CommandName, Callable[[str], Any]] = {
    CommandName.RATE: parse_rate,
    CommandName.HTTP_RATE: parse_rate,
    CommandName.IN_FLIGHT: _count,
    CommandName.MAX_FAILURES: parse_amount,
}
_EXAMPLES = {
    CommandName.RATE: "10/s",
    CommandName.HTTP_RATE: "300/min",
    CommandName.IN_FLIGHT: "8",
    CommandName.MAX_FAILURES: "3%",
}


@frozen
class Bounds:
    """What a run may be raised to: the limits that it began with.

    `is_planned`: they are those of a plan that was approved as it is.
    """

    limits: Limits
    max_failures: Amount | None
    total: int  # transfers that the run is to send
    longest_hold_s: float  # `policy.answer_timeout`
    is_planned: bool = False


@frozen
class Pause:
    """A pause that an operator made; times are monotonic seconds."""

    who: str
    since: float
    until: float = math.inf  # infinite: until `resume`
    reason: str | None = None

    def __str__(self) -> str:
        return f"paused by {self.who}" + (f": {self.reason}" if self.reason else "")


@frozen
class RunControls:
    """What is in force in a run now."""

    limits: Limits
    max_failures: Amount | None
    pause: Pause | None = None


def controls_at_start(bounds: Bounds) -> RunControls:
    """Return what is in force when a run begins."""
    return RunControls(bounds.limits, bounds.max_failures)


def changed(
    controls: RunControls, command: Command, bounds: Bounds, *, who: str, now: float
) -> RunControls:
    """Return the controls after a command; those that it does not concern are the same.

    `now` is monotonic seconds. Raises `CommandRefused` with the reason.
    """
    limits = controls.limits
    match command.name:
        case CommandName.PAUSE:
            controls = replace(controls, pause=_pause(command, bounds, who, now))
        case CommandName.RESUME:
            if controls.pause is None:
                raise CommandRefused("the run is not paused, so there is nothing to resume")
            controls = replace(controls, pause=None)
        case CommandName.RATE:
            rate = _at_most(command.value, bounds.limits.rate_per_s, "rate", rate_text)
            controls = replace(controls, limits=replace(limits, rate_per_s=rate))
        case CommandName.HTTP_RATE:
            rate = _at_most(command.value, bounds.limits.http_rate_per_s, "http_rate", rate_text)
            controls = replace(controls, limits=replace(limits, http_rate_per_s=rate))
        case CommandName.IN_FLIGHT:
            number = _at_most(command.value, bounds.limits.in_flight, "in_flight", str)
            controls = replace(controls, limits=replace(limits, in_flight=number))
        case CommandName.MAX_FAILURES:
            controls = replace(controls, max_failures=_max_failures(command, bounds))
    return controls


def _pause(command: Command, bounds: Bounds, who: str, now: float) -> Pause:
    lasts_s = math.inf if command.value is None else float(command.value)  # type: ignore[arg-type]
    if math.isfinite(lasts_s) and lasts_s > bounds.longest_hold_s:
        raise CommandRefused(
            f"a pause of {duration(lasts_s)} is longer than policy.answer_timeout"
            f" ({duration(bounds.longest_hold_s)}), after which the run ends; write a shorter one,"
            " or stop the run and apply again later"
        )
    return Pause(who, now, now + lasts_s, command.reason)


def _at_most(value: Any, most: Any, name: str, text: Callable[[Any], str]) -> Any:
    if most is not None and value > most:
        raise CommandRefused(
            f"{text(value)} is above the limit that the run began with ({name} {text(most)});"
            " write that or less"
        )
    return value


def _max_failures(command: Command, bounds: Bounds) -> Amount:
    value = command.value
    assert value is not None and not isinstance(value, float)  # noqa: S101, PT018 - as parsed
    asked, most = (most_failures(each, total=bounds.total) for each in (value, bounds.max_failures))
    if most is None or asked is None or asked <= most:
        return value
    if bounds.is_planned:
        raise CommandRefused(
            f"max_failures {value} is above the plan's ({bounds.max_failures}), which the run is"
            " held to; write that or less"
        )
    if command.reason is None:
        raise CommandRefused(
            f"max_failures {value} is above the manifest's ({bounds.max_failures}); to allow it,"
            " say why with --reason"
        )
    return value
