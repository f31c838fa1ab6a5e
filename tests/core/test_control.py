"""Commands and the changes they make, purely."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from runner.core.control import (
    LONGEST_REASON,
    Bounds,
    CommandName,
    Pause,
    RunControls,
    changed,
    command_of,
    controls_at_start,
    parse_command,
)
from runner.core.errors import CommandRefused
from runner.core.manifest.model import Limits
from runner.core.manifest.quantity import Share

LIMITS = Limits(rate_per_s=10, in_flight=8, http_rate_per_s=5)
BOUNDS = Bounds(LIMITS, Share(0.05), total=100, longest_hold_s=3600)
START = controls_at_start(BOUNDS)


def after(
    name: str,
    value: str | None = None,
    *,
    bounds: Bounds = BOUNDS,
    controls: RunControls = START,
    for_: str | None = None,
    reason: str | None = None,
) -> RunControls:
    command = parse_command(name, value, for_, reason)
    return changed(controls, command, bounds, who="alice", now=5.0)


@pytest.mark.parametrize(
    ("name", "value", "for_", "reason", "said"),
    [
        ("dance", None, None, None, "unknown command"),
        ("pause", "20m", None, None, "write `pause --for 20m`"),
        ("stop", "now", None, None, "takes no value"),
        ("rate", None, None, None, "rate 10/s"),
        ("rate", "fast", None, None, "not a rate"),
        ("in-flight", "0", None, None, "above 0"),
        ("in-flight", "1e3", None, None, "above 0"),
        ("in-flight", "9999999999", None, None, "above 0"),
        ("max-failures", "some", None, None, "neither a count nor a share"),
        ("resume", None, "20m", None, "belongs to `pause`"),
        ("pause", None, "0s", None, "does nothing"),
        ("pause", None, "soon", None, "not a duration"),
        ("stop", None, None, "  ", "--reason"),
        ("stop", None, None, "x" * (LONGEST_REASON + 1), "--reason"),
    ],
)
def test_a_wrong_command_says_what_to_write(
    name: str, value: str | None, for_: str | None, reason: str | None, said: str
):
    with pytest.raises(ValueError, match=said):
        parse_command(name, value, for_, reason)


def test_a_command_keeps_its_words():
    assert parse_command("pause", for_="20m").text == "pause --for 20m"
    assert parse_command("rate", "10/s").text == "rate 10/s"
    assert parse_command("stop", reason="x").text == "stop"
    assert parse_command("show").changes_nothing
    assert not parse_command("stop").changes_nothing


def test_limits_go_down_freely_and_up_to_where_they_began():
    low = after("rate", "2/s")
    assert low.limits == replace(LIMITS, rate_per_s=2)
    assert after("rate", "10/s", controls=low) == START
    assert after("in-flight", "3").limits.in_flight == 3
    assert after("http-rate", "60/min").limits.http_rate_per_s == 1
    for name, value in (("rate", "11/s"), ("in-flight", "9"), ("http-rate", "301/min")):
        with pytest.raises(CommandRefused, match="above the limit that the run began with"):
            after(name, value, controls=low)


def test_what_has_no_limit_takes_any():
    bounds = replace(BOUNDS, limits=Limits())
    assert after("rate", "900/s", bounds=bounds).limits.rate_per_s == 900


def test_a_pause_names_who_and_why_and_ends():
    paused = after("pause", reason="queue full")
    assert paused.pause == Pause("alice", 5.0, math.inf, "queue full")
    assert str(paused.pause) == "paused by alice: queue full"
    assert after("resume", controls=paused) == START
    timed = after("pause", for_="20m").pause
    assert timed is not None
    assert timed.until == 1205
    assert str(timed) == "paused by alice"


def test_a_pause_beyond_the_answer_timeout_is_refused():
    with pytest.raises(CommandRefused, match=r"policy\.answer_timeout"):
        after("pause", for_="2h")


def test_resume_without_a_pause_is_refused():
    with pytest.raises(CommandRefused, match="not paused"):
        after("resume")


def test_failures_go_up_with_a_reason_and_never_above_a_plan():
    assert after("max-failures", "3%").max_failures == Share(0.03)
    assert after("max-failures", "5").max_failures == 5
    with pytest.raises(CommandRefused, match="--reason"):
        after("max-failures", "6")
    assert after("max-failures", "6", reason="known").max_failures == 6
    with pytest.raises(CommandRefused, match="the plan's"):
        after("max-failures", "6", reason="known", bounds=replace(BOUNDS, is_planned=True))
    unlimited = replace(BOUNDS, max_failures=None)
    assert after("max-failures", "90%", bounds=unlimited).max_failures == Share(0.9)


@pytest.mark.parametrize("name", [CommandName.SHOW, CommandName.STOP, CommandName.CONTINUE])
def test_other_commands_leave_the_controls_alone(name: CommandName):
    assert after(name) is START


def test_a_limit_may_be_written_as_reports_spell_it():
    assert parse_command("in_flight", "4").text == "in-flight 4"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("pause", None), ("pause --for 20m", "full"), ("rate 10/s", None), ("max-failures 3%", "ok")],
)
def test_a_command_is_read_back_from_its_text(text: str, reason: str | None):
    command = command_of(text, reason)
    assert (command.text, command.reason) == (text, reason)
    with pytest.raises(ValueError, match="unknown command"):
        command_of("decline", None)
