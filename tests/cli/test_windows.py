"""Recurring windows: nothing leaves outside them; a run can wait for one."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway


def span(begins_h: float, length: str = "PT2H") -> str:
    """Return a span, in UTC, that begins some hours from now."""
    return f"{datetime.now(UTC) + timedelta(hours=begins_h):%Y-%m-%d %H:%M}/{length}"


def with_windows(gateway: Gateway, *windows: dict[str, str], **policy: Any) -> dict[str, Any]:
    content = manifest(gateway, [transfer()])
    content["policy"] |= {"windows": [{"zone": "UTC", **each} for each in windows], **policy}
    return content


def test_outside_its_windows_nothing_is_dialled_and_the_time_is_reported(
    gateway: Gateway, harness: Harness
):
    for windows in (
        [{"allow": span(1)}],
        [{"allow": "Mon-Sun 00:00-24:00"}, {"deny": span(-1)}],
        [{"deny": span(-1)}],
    ):
        applied = harness.apply(with_windows(gateway, *windows))
        assert applied.code == 5
        assert "stopped: the windows (policy.windows) open at " in applied.ended.out
        recorded = applied.report.run["windows"]
        assert (recorded["zone"], recorded["closed_at"]) == ("UTC", None)
        assert recorded["openings"][0]["opens_utc"].endswith("Z")
    assert gateway.token_requests == gateway.frames == []
    assert harness.apply(with_windows(gateway, {"allow": span(-1)}, {"deny": span(2)})).code == 0


def test_both_kinds_of_windows_hold(gateway: Gateway, harness: Harness):
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
    content = with_windows(gateway, {"allow": span(-1, "P1D")}, window={"not_before": later})
    assert harness.apply(content).code == 5
    assert not gateway.frames


def test_a_plan_names_the_next_five_openings_in_the_zone_and_in_utc(
    gateway: Gateway, harness: Harness
):
    content = with_windows(gateway, {"allow": "Mon-Sun 22:00-04:00", "zone": "Asia/Kathmandu"})
    path = harness.write(content)
    plan = json.loads(harness.run("plan", path, "--output", "json").out)["plan"]
    assert plan["zone"] == "Asia/Kathmandu"
    assert len(plan["openings"]) == 5
    for opening in plan["openings"][1:]:
        assert opening["opens"].endswith("T22:00:00+05:45")
        assert opening["closes"].endswith("T04:00:00+05:45")
        assert opening["opens_utc"].endswith("T16:15:00Z")
        assert opening["closes_utc"].endswith("T22:15:00Z")
    text = harness.run("plan", path).out
    assert "is sent only while a window is open, in Asia/Kathmandu (in UTC):" in text


def test_a_plan_counts_the_pauses_before_its_waves(gateway: Gateway, harness: Harness):
    """Two transfers take no time to speak of, but half an hour of pause does not fit."""
    closes = (datetime.now(UTC) + timedelta(minutes=10)).isoformat(timespec="seconds")
    content = manifest(gateway, [transfer(), transfer()])
    content["policy"] |= {
        "waves": [1, {"size": "100%", "pause": "30m"}],
        "window": {"not_after": closes},
    }
    path = harness.write(content)
    plan = json.loads(harness.run("plan", path, "--output", "json").out)["plan"]
    assert plan["pauses_s"] == 1800
    assert plan["estimate_s"] >= 1800
    assert plan["misses_window"]
    planned = harness.run("plan", path)
    assert "warning[R011]" in planned.err
    assert "30 min 00 s of it pauses before waves" in planned.out


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ({"allow": "Mon-Fri 22:00"}, "error[S005]"),
        ({"allow": "Mon-Fri 22:00-04:00", "zone": "Europe/Amsterdm"}, "`Europe/Amsterdam`"),
        ({"allow": "Mon-Fri 22:00-04:00", "zone": "../etc/passwd"}, "unknown time zone"),
        ({"allow": "2020-01-01 00:00/P1D"}, "error[R008]"),
        ({"deny": "Mon-Sun 00:00-24:00"}, "error[R008]"),
        ({"allow": "Mon 22:00-04:00", "deny": "Tue 22:00-04:00"}, "either allows or denies"),
        ({}, "error["),
    ],
)
def test_windows_that_cannot_be_meant_are_errors(
    gateway: Gateway, harness: Harness, window: dict[str, str], said: str
):
    ended = harness.run("apply", harness.write(with_windows(gateway, window)))
    assert ended.code == 3
    assert said in ended.err
    assert not gateway.frames


def test_a_run_waits_without_the_lock_and_reads_the_manifest_after(
    gateway: Gateway, harness: Harness
):
    """Another run goes on meanwhile; what is added to the manifest meanwhile is sent."""
    first, added = transfer(), transfer()
    content = manifest(gateway, [first])
    opens = datetime.now(UTC) + timedelta(seconds=20)
    content["policy"]["window"] = {"not_before": opens.isoformat(timespec="seconds")}
    path = harness.write(content)
    other = harness.write(manifest(gateway, [transfer()], name="other"), "other.yaml")
    with harness.started("apply", "--wait", path) as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("waiting for the window: it opens at ")
        assert harness.run("apply", other).code == 0
        harness.write(content | {"transfers": [first, added]})
        assert waiting.wait(120) == 0
    assert len(gateway.effects) == 3


def test_a_wait_that_is_too_short_ends_at_once_and_a_signal_ends_one(
    gateway: Gateway, harness: Harness
):
    content = with_windows(gateway, {"allow": span(3)})
    assert harness.apply(content, "--wait", "2h").code == 5
    with harness.started("apply", "batch.yaml", "--wait") as waiting:
        assert waiting.stderr is not None
        assert waiting.stderr.readline().startswith("waiting for the window")
        waiting.send_signal(signal.SIGTERM)
        assert waiting.wait(60) == 143
    assert not gateway.frames


def slow_batch(gateway: Gateway, **policy: Any) -> dict[str, Any]:
    """Return 20 transfers to a destination that takes one a minute, at a fast gateway."""
    content = manifest(gateway, [transfer() for _ in range(20)])
    content["destinations"] = {"genesys://queue/*": {"rate": "1/min"}}
    content["policy"] |= policy
    return content


@pytest.mark.parametrize("kind", ["window", "windows"])
def test_a_plan_takes_as_long_as_its_slowest_destination_lets_it(
    gateway: Gateway, harness: Harness, kind: str
):
    closes = datetime.now(UTC) + timedelta(minutes=10)
    policy: dict[str, Any] = {"window": {"not_after": closes.isoformat(timespec="seconds")}}
    if kind == "windows":
        policy = {"windows": [{"allow": span(-0.5, "PT40M"), "zone": "UTC"}]}
    path = harness.write(slow_batch(gateway, **policy))
    planned = harness.run("plan", path)
    assert "takes about 20 min" in planned.out
    assert "warning[R011]: by the limits of its destination genesys://queue/" in planned.err
    assert "after the window has closed: the rest would not be sent" in planned.out
    plan = json.loads(harness.run("plan", path, "--output", "json").out)["plan"]
    assert plan["estimate_s"] == 1200
    assert plan["misses_window"]
    few = harness.run("plan", path, "--limit", "5")
    assert "takes about 5 min" in few.out
    assert "R011" not in few.err


@pytest.mark.parametrize("kind", ["window", "windows"])
def test_outside_its_window_a_plan_says_when_it_opens_and_how_to_wait(
    gateway: Gateway, harness: Harness, kind: str
):
    opens = (datetime.now(UTC) + timedelta(hours=3)).replace(second=0, microsecond=0)
    shown = f"{opens:%Y-%m-%dT%H:%M:00+00:00}"
    content = with_windows(gateway, {"allow": span(3)})
    if kind == "window":
        content["policy"]["window"] = {"not_before": shown}
        del content["policy"]["windows"]
    path = harness.write(content)
    planned = harness.run("plan", path)
    assert f"  the window is shut until {shown}: nothing is sent before\n" in planned.out
    assert "  wait for the window and carry it out; or have `at` or cron" in planned.out
    assert f"runner apply {path} --wait\n" in planned.out
    document = json.loads(harness.run("plan", path, "--output", "json").out)
    assert document["plan"]["opens_at"] == shown
    assert shown in document["next_steps"][0]["text"]
    assert document["next_steps"][0]["argv"][-1] == "--wait"
    page = (harness.folder / document["report"] / "report.html").read_text("utf-8")
    assert f"Nothing would be sent before the window opens, at {shown}." in page
    opened = harness.run("plan", harness.write(with_windows(gateway, {"allow": span(-1)})))
    assert "--wait" not in opened.out
