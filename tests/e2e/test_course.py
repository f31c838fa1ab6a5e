"""Waves, the failure threshold and the window, with real processes against a foreign gateway."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.harness import Harness, Report, ids, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, Step

NO = Step("transfer_rejected", reason="agent gone")


def moment(seconds: float) -> str:
    """Return the time in so many seconds, with an offset that is not ours."""
    at = datetime.now(UTC).astimezone(UTC) + timedelta(seconds=seconds)
    return (at + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%f+01:00")


def batch(
    gateway: Gateway, transfers: list[dict[str, Any]], *, limits: Any = None, **policy: Any
) -> dict[str, Any]:
    content = manifest(gateway, transfers, limits=limits)
    content["policy"] |= policy
    return content


def waves(report: Report) -> list[int | None]:
    return [each["wave"] for each in report.json["transfers"]]


def test_waves_follow_each_other_and_are_reported_in_the_report(gateway: Gateway, harness: Harness):
    """No frame of a wave leaves before every one of the last wave was answered."""
    transfers = [transfer() for _ in range(20)]
    gateway.default = Step(delay_s=0.05)
    applied = harness.apply(batch(gateway, transfers, waves=[1, "25%", "100%"]))
    assert applied.code == 0, applied.ended.err
    assert waves(applied.report) == [1] + [2] * 4 + [3] * 15
    assert applied.report.run["waves"] == [1, 5, 20]
    arrived = {frame.interaction_id: n for n, frame in enumerate(gateway.frames)}
    order = [arrived[name] for name in ids(transfers)]
    assert order[0] == 0
    assert set(order[1:5]) == {1, 2, 3, 4}
    begun = applied.ended.logged("wave begins")
    assert [(line["wave"], line["transfers"]) for line in begun] == [(1, 1), (2, 4), (3, 15)]
    told = (applied.report.folder / "audit.jsonl").read_text("utf-8")
    assert told.count('"wave begun"') == 3
    assert waves(harness.apply(batch(gateway, transfers, waves=[1, "100%"])).report) == [None] * 20


def test_a_canary_that_fails_stops_the_run_and_the_next_run_goes_on(
    gateway: Gateway, harness: Harness
):
    transfers = [transfer() for _ in range(10)]
    gateway.scripts[ids(transfers)[0]] = [NO, Step()]
    content = batch(gateway, transfers, waves=[1, "50%", "100%"], max_failures="20%")
    applied = harness.apply(content)
    assert applied.code == 5
    assert len(gateway.frames) == 1
    assert "stopped: wave 1 of 3 was not healthy: 1 of its 1 rejected or failed" in (
        applied.ended.out
    )
    assert applied.report.run["outcome"] == "stopped"
    assert applied.report.summary["unattempted"] == 9
    reasons = {each["reason"] for each in applied.report.json["transfers"][1:]}
    assert [reason.partition(":")[0] for reason in reasons] == ["wave 1 of 3 was not healthy"]
    again = harness.apply(content)
    assert again.code == 0
    assert len(gateway.effects) == 10
    assert waves(again.report) == [4, 1] + [2] * 4 + [3] * 4


def test_a_row_that_is_refused_for_good_stops_one_run_and_no_later_one(
    gateway: Gateway, harness: Harness
):
    transfers = [transfer() for _ in range(10)]
    gateway.scripts[ids(transfers)[0]] = [NO]
    content = batch(gateway, transfers, waves=[1, "50%", "100%"])
    codes = [harness.apply(content).code for _ in range(3)]
    assert codes == [5, 1, 1]
    assert len(gateway.effects) == 9
    planned = harness.run("plan", harness.write(content))
    assert (
        "  in 1 wave: 1\n  1 of them rejected or failed before, and are tried again\n"
        in planned.out
    )


def test_an_outage_of_look_ups_fails_no_transfer(gateway: Gateway, harness: Harness):
    transfers = [transfer() for _ in range(20)]
    gateway.down_from_look_up = 6
    content = batch(
        gateway,
        transfers,
        limits={"in_flight": 4},
        retry={"attempts": 2, "base": "100ms", "cap": "200ms"},
        circuit_breaker={"failures": 4, "cool_down": "1s", "give_up": "3s"},
    )
    content["policy"]["preflight"] = True
    applied = harness.apply(content)
    assert applied.code == 5, applied.ended
    assert "stopped: the gateway's REST side has answered no look-up for 3 s" in applied.ended.out
    assert applied.report.summary["failed"] == 0
    assert applied.report.summary["transferred"] == len(gateway.effects)
    assert applied.report.summary["unattempted"] == 20 - len(gateway.effects)
    gateway.down_from_look_up = None
    assert harness.apply(content).code == 0
    assert len(gateway.effects) == 20


def test_a_canary_in_doubt_needs_a_person_and_the_rest_waits(gateway: Gateway, harness: Harness):
    """Doubt comes before the stop in the exit code, and the stop is told all the same."""
    transfers = [transfer() for _ in range(4)]
    gateway.scripts[ids(transfers)[0]] = [MUTE]
    applied = harness.apply(batch(gateway, transfers, waves=[1, "100%"]))
    assert applied.code == 6
    assert len(gateway.frames) == 1
    assert "\n  wave 1 of 2 was not healthy: 1 of its 1 in doubt" in applied.ended.out
    assert "  3 not attempted: wave 1 of 2 was not healthy" in applied.ended.out
    assert applied.report.summary["unattempted"] == 3


@pytest.mark.parametrize(
    ("policy", "options", "sent"),
    [
        ({"max_failures": 2}, (), 3),
        ({"max_failures": "10%"}, (), 3),
        ({"max_failures": 2}, ("--max-failures", "0"), 1),
        ({}, ("--max-failures", "25%"), 6),
    ],
)
def test_a_run_stops_when_failures_exceed_the_threshold(
    gateway: Gateway, harness: Harness, policy: dict[str, Any], options: tuple[str, ...], sent: int
):
    gateway.default = NO
    transfers = [transfer() for _ in range(20)]
    applied = harness.apply(batch(gateway, transfers, limits={"in_flight": 1}, **policy), *options)
    assert applied.code == 5
    assert len(gateway.frames) == sent
    assert f"stopped: {sent} of the 20 transfers to be sent in this run" in applied.ended.out
    assert applied.report.summary["rejected"] == sent
    assert applied.report.summary["unattempted"] == 20 - sent


def test_the_threshold_may_come_from_the_environment_and_is_reported_with_the_options(
    gateway: Gateway, harness: Harness
):
    gateway.default = NO
    harness.env["RUNNER_MAX_FAILURES"] = "50%"
    applied = harness.apply(batch(gateway, [transfer() for _ in range(4)], limits={"in_flight": 1}))
    assert applied.code == 5
    assert len(gateway.frames) == 3
    assert applied.report.run["options"]["max_failures"] == "50%"


def test_the_window_closes_mid_run_and_a_new_one_takes_up_the_rest(
    gateway: Gateway, harness: Harness
):
    begun = time.monotonic()
    assert harness.run("plan", harness.write(batch(gateway, [transfer()]))).code == 0
    window_s = 8 + 5 * (time.monotonic() - begun)  # a busy machine takes long to begin
    transfers = [transfer() for _ in range(int(window_s * 10) + 20)]
    gateway.default = Step(delay_s=0.4)
    closes = moment(window_s)
    content = batch(gateway, transfers, limits={"rate": "10/s"}, window={"not_after": closes})
    applied = harness.apply(content)
    assert applied.code == 5, applied.ended
    assert f"stopped: the window (policy.window) closed at {closes}" in applied.ended.out
    sent = len(gateway.frames)
    assert 0 < sent < len(transfers)
    assert applied.ended.logged("by the limits, the batch will not end inside its window")
    built = [datetime.fromisoformat(frame.message["timestamp"]) for frame in gateway.frames]
    assert max(built) < datetime.fromisoformat(closes)
    assert applied.report.summary["transferred"] == sent  # all that had left was waited for
    reasons = {
        t["reason"] for t in applied.report.json["transfers"] if t["outcome"] == "unattempted"
    }
    # (One whose intent was made and withdrawn at the end says so besides.)
    assert reasons
    assert all(f"closed at {closes}" in reason for reason in reasons)
    applied.report.agree_with(gateway)
    gateway.default = Step()
    again = harness.apply(batch(gateway, transfers, window={"not_before": closes}))
    assert again.code == 0
    assert again.report.summary["unchanged"] == sent
    assert len(gateway.frames) == len(gateway.effects) == len(transfers)


def test_before_the_window_opens_nothing_is_dialled_and_the_time_is_reported(
    gateway: Gateway, harness: Harness
):
    content = batch(
        gateway, [transfer()], window={"not_before": moment(3600), "not_after": moment(7200)}
    )
    applied = harness.apply(content)
    assert applied.code == 5
    assert "stopped: the window (policy.window) opens at " in applied.ended.out
    assert gateway.token_requests == gateway.frames == []


def test_a_window_that_has_closed_is_an_invalid_manifest(gateway: Gateway, harness: Harness):
    path = harness.write(batch(gateway, [transfer()], window={"not_after": moment(-1)}))
    for options in ((), ("--validate-only",)):
        ended = harness.run("apply", path, *options)
        assert ended.code == 3
        assert "error[R008]: the window closed at " in ended.err


def test_a_plan_shows_waves_and_whether_the_window_suffices(gateway: Gateway, harness: Harness):
    content = batch(
        gateway, [transfer() for _ in range(100)], limits={"rate": "10/min"},
        waves=[1, "10%", "100%"], max_failures="5%", window={"not_after": moment(300)},
    )  # fmt: skip
    ended = harness.run("plan", harness.write(content), "--out", "plan.json")
    assert ended.code == 0, ended.err
    assert "warning[R011]: by the limits, sending 100 takes 10 min 00 s" in ended.err
    assert "  in 3 waves: 1, then 9, then 90\n" in ended.out
    assert "  stops when more than 5 of 100 fail: at most 6 in flight\n" in ended.out
    assert "after the window has closed: the rest would not be sent\n" in ended.out
    [folder] = (harness.folder / "reports" / "batch").glob("plan-*")
    report = Report(folder)
    plan = report.json["plan"]
    assert (plan["waves"], plan["max_failures"]) == ([1, 10, 100], 5)
    assert plan["window"] == {
        "not_before": None,
        "not_after": content["policy"]["window"]["not_after"],
    }
    assert plan["misses_window"] is True
    assert datetime.fromisoformat(plan["ends_at"]) > datetime.now(UTC) + timedelta(seconds=500)
    assert waves(report) == [1] + [2] * 9 + [3] * 90


def test_a_plan_is_carried_out_with_the_threshold_it_was_made_with(
    gateway: Gateway, harness: Harness
):
    gateway.default = NO
    content = batch(gateway, [transfer() for _ in range(5)], limits={"in_flight": 1})
    planned = harness.run(
        "plan", harness.write(content), "--max-failures", "1", "--out", "plan.json"
    )
    assert planned.code == 0, planned.err
    looser = harness.run("apply", "plan.json", "--max-failures", "50%")
    assert looser.code == 3
    assert "--max-failures 50% is not what the plan was made with (--max-failures 1)" in looser.err
    assert harness.run("apply", "plan.json").code == 5
    assert len(gateway.frames) == 2


@pytest.mark.parametrize(
    ("rate", "options", "is_told"),
    [
        ("100/s", (), False),
        ("100/s", ("--rate", "10/min"), True),
        ("10/min", (), True),
        ("10/min", ("--limit", "5"), False),
    ],
)
def test_whether_the_window_suffices_is_judged_by_what_the_command_asks_for(
    gateway: Gateway, harness: Harness, rate: str, options: tuple[str, ...], *, is_told: bool
):
    content = batch(
        gateway, [transfer() for _ in range(100)], limits={"rate": rate},
        window={"not_after": moment(300)},
    )  # fmt: skip
    ended = harness.run("plan", harness.write(content), *options)
    assert ended.code == 0, ended.err
    assert ("warning[R011]" in ended.err) == is_told
    assert ("after the window has closed" in ended.out) == is_told
