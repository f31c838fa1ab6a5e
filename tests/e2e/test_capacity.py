"""Target queues get no more than they take, on the platform and at a foreign gateway."""

from __future__ import annotations

from runner.simulator.genesys_cloud.entities import make_id
from tests.e2e.harness import Harness, manifest, transfer
from tests.e2e.platform_builders import conversation, document
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step

OVERFLOW = "genesys://queue/Overflow"
BY_ID = f"genesys://queue/{make_id('queue', 'Overflow')}"
ADA = f"genesys://user/{make_id('user', 'Ada')}"
GRACE = f"genesys://user/{make_id('user', 'Grace')}"


def test_a_queue_is_filled_as_far_as_it_may_and_the_rest_follows_as_it_is_worked_off(
    harness: Harness,
):
    rows = [{"interaction_id": conversation(n), "destination_uri": OVERFLOW} for n in range(12)]
    content = document(*rows, queues=["Overflow"], agents={"Overflow": 2}, handle_time="300ms")
    content["destinations"] = {
        OVERFLOW: {"rate": "50/s", "while": {"waiting": "< 3", "on_queue": ">= 2"}}
    }
    content["gates"] = {
        "healthy": {
            "queue": "Overflow",
            "waiting": "< 1",
            "on_queue": "== 2",
            "estimated_wait": "< 1m",
        }
    }
    content["policy"] = {"waves": [1, {"size": "100%", "gates": ["healthy"]}]}
    planned = harness.run("plan", harness.write(content), "--preflight")
    assert planned.code == 0, planned.err
    assert f"{OVERFLOW}: 12 transfers would be sent in" in planned.out
    applied = harness.apply(content)
    assert applied.code == 0, applied.ended.err
    assert set(applied.outcomes().values()) == {"transferred"}
    (found,) = applied.report.json["destinations"]
    assert (found["destination_uri"], found["sent"]) == (BY_ID, 12)
    assert found["most_waiting"] <= 3
    assert found["forecast_s"] is not None
    assert [each["verdict"] for each in applied.report.json["gates"]] == ["pass"]
    page = (applied.report.folder / "report.html").read_text("utf-8")
    assert "Destinations with limits" in page
    assert "<polyline" in page


def test_a_full_queue_and_an_absent_user_are_given_up_and_the_others_are_moved(harness: Harness):
    rows = [
        {"interaction_id": conversation(n), "destination_uri": uri}
        for n, uri in enumerate([OVERFLOW, GRACE, ADA, OVERFLOW])
    ]
    content = document(
        *rows, waiting={"Overflow": 5}, users=["Ada", "Grace"], presence={"Grace": "busy"}
    )
    content["destinations"] = {
        OVERFLOW: {"while": {"waiting": "< 3"}, "give_up": "1s"},
        "genesys://user/*": {"in_flight": 1, "while": {"presence": "available"}, "give_up": "1s"},
    }
    applied = harness.apply(content)
    assert applied.code == 5
    assert applied.outcomes() == {
        conversation(0): "unattempted",
        conversation(1): "unattempted",
        conversation(2): "transferred",
        conversation(3): "unattempted",
    }
    left = applied.report.by_id[conversation(0)]
    assert (left["reason"], left["reason_code"]) == ("destination full", "destination_full")
    explanation = applied.report.run["explanation"]
    assert f"destination full: {OVERFLOW} was full for 1" in explanation
    assert "(2 transfers)" in explanation
    content["destinations"][OVERFLOW]["while"]["waiting"] = "< 30"
    again = harness.apply(content)
    assert again.outcomes()[conversation(0)] == "transferred"


def test_a_queue_that_nobody_works_off_gets_no_more_than_its_bound(harness: Harness):
    rows = [{"interaction_id": conversation(n), "destination_uri": OVERFLOW} for n in range(8)]
    content = document(*rows, queues=["Overflow"], latency="50ms")
    content["destinations"] = {OVERFLOW: {"while": {"waiting": "< 5"}, "give_up": "3s"}}
    applied = harness.apply(content)
    assert applied.code == 5
    assert list(applied.outcomes().values()).count("transferred") == 5
    (found,) = applied.report.json["destinations"]
    assert (found["sent"], found["most_waiting"]) == (5, 5)
    assert f"{OVERFLOW} was full for 3" in applied.report.run["explanation"]


def test_a_name_and_an_id_of_one_queue_are_two_entries_of_one(harness: Harness):
    content = document({"interaction_id": conversation(1)}, queues=["Overflow"])
    content["destinations"] = {OVERFLOW: {"in_flight": 1}, BY_ID: {"in_flight": 2}}
    ended = harness.run("apply", harness.write(content))
    assert ended.code == 3
    assert "R013" in ended.err
    content["destinations"] = {"genesys://queue/Overflaw": {"in_flight": 1}}
    ended = harness.run("apply", harness.write(content))
    assert ended.code == 3
    assert "no queue is named `Overflaw`" in ended.err


def test_a_foreign_gateway_gets_no_more_at_a_destination_than_its_entry_says(
    gateway: Gateway, harness: Harness
):
    slow, fast = "genesys://queue/slow", "genesys://queue/fast"
    gateway.default = Step(until="drained")
    content = manifest(
        gateway,
        [*(transfer(to=slow) for _ in range(3)), *(transfer(to=fast) for _ in range(5))],
        destinations={
            slow: {"in_flight": 1, "rate": "20/s"},
            "genesys://queue/*": {"in_flight": 4},
        },
    )
    content["policy"]["negotiation_timeout"] = "60s"
    with harness.started("apply", harness.write(content)) as process:
        gateway.wait_until(lambda: len(gateway.frames) == 5)
        sent = [frame.message["destination_uri"] for frame in gateway.frames]
        assert sorted(sent) == [fast] * 4 + [slow]
        gateway.release("drained")
        process.communicate(timeout=60)
    assert process.returncode == 0
    report = harness.newest_report()
    report.check(0)
    report.agree_with(gateway)
    assert sorted(each["sent"] for each in report.json["destinations"]) == [3, 5]
    order = [frame.id for frame in gateway.frames if frame.message["destination_uri"] == slow]
    assert len(order) == 3
