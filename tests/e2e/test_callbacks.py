"""Who is told of an outcome, with a signature that others can verify."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from tests.e2e.callbacks import SECRET, with_callback
from tests.e2e.harness import HERE, Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.receiver import Receiver
from tests.foreign.script import MUTE, Interaction, Step
from tests.foreign.wire import WebResponse


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as serving:
        yield serving


def test_every_outcome_is_reported_with_a_signature_that_verifies(
    gateway: Gateway, harness: Harness, receiver: Receiver
):
    """Each with the fields a receiver needs, once."""
    harness.env["HOOK_SECRET"] = SECRET
    rows = {
        "transferred": [Step()],
        "rejected": [Step("transfer_rejected", reason="no \u202egents\x1b")],
        "failed": [Step("rate_limited")],
        "in_doubt": [MUTE],
        "skipped": [Step()],
    }
    transfers = {outcome: transfer(key=outcome) for outcome in rows}
    for outcome, steps in rows.items():
        gateway.scripts[transfers[outcome]["interaction_id"]] = steps
    ended = transfers["skipped"]["interaction_id"]
    gateway.interactions[ended] = Interaction(ended, "completed")
    content = manifest(gateway, list(transfers.values()), preflight=True, limits={"rate": "400/s"})
    applied = harness.apply(with_callback(content, receiver, headers={"X-Site": "ams"}))
    assert applied.code == 6, applied.ended.err
    result = {}
    for request in receiver.requests:
        Webhook(SECRET).verify(request.body, dict(request.headers))
        assert request.method == "POST"
        assert request.headers["x-site"] == "ams"
        assert request.headers["content-type"].startswith("application/json")
        body = json.loads(request.body)
        result[body["key"]] = body
    assert len(receiver.requests) == len(result) == 5
    for outcome, each in transfers.items():
        assert result[outcome]["outcome"] == outcome
        assert result[outcome]["interaction_id"] == each["interaction_id"]
        assert result[outcome]["run"] == applied.report.run["id"]
        assert result[outcome]["batch"] == "batch"
    assert applied.report.summary["callbacks"] == {"delivered": 5, "failed": 0}
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 5


def test_a_failing_receiver_fails_no_transfer_and_is_reported_later_under_the_same_id(
    gateway: Gateway, harness: Harness, receiver: Receiver
):
    """What is owed stays owed: the next run delivers it, though it has nothing to send."""
    harness.env["HOOK_SECRET"] = SECRET
    receiver.answer = WebResponse(503, headers={"Retry-After": "600"})
    content = with_callback(manifest(gateway, [transfer() for _ in range(3)]), receiver)
    first = harness.apply(content)
    assert first.code == 0, first.ended.err
    assert set(first.outcomes().values()) == {"transferred"}
    tried = {request.headers["webhook-id"] for request in receiver.requests}
    assert len(tried) == 3
    assert first.report.summary["callbacks"]["delivered"] == 0
    assert len(receiver.requests) == 3
    receiver.answer = WebResponse(200)
    receiver.requests.clear()
    second = harness.apply(content)
    assert second.code == 0
    assert {request.headers["webhook-id"] for request in receiver.requests} == tried
    assert len(receiver.requests) == 3
    third = harness.apply(content)
    assert third.code == 0
    assert len(receiver.requests) == 3
    assert len(gateway.frames) == 3


def test_what_is_owed_to_one_batch_goes_to_no_other_batchs_address(
    gateway: Gateway, harness: Harness, receiver: Receiver
):
    """Both call theirs `crm`; a person, and a run of the other batch, settle the first one's doubts."""
    harness.env["HOOK_SECRET"] = SECRET
    said, seen = transfer(key="said"), transfer(key="seen")
    for each in (said, seen):
        gateway.scripts[each["interaction_id"]] = [MUTE]
    first = with_callback(manifest(gateway, [said, seen], preflight=True), receiver)
    first["name"] = "first"
    assert harness.apply(first).code == 6
    receiver.requests.clear()
    resolved = harness.run("resolve", "latest", "said", "--as", "transferred", "--reason", "seen")
    assert "1 callback owed, which its batch's next apply delivers" in resolved.out
    name = seen["interaction_id"]
    gateway.interactions[name] = Interaction(name, destination_uri=HERE)
    with Receiver() as others:
        second = with_callback(manifest(gateway, [transfer(key="other")], preflight=True), others)
        applied = harness.apply(second | {"name": "second"})
        assert applied.code == 0, applied.ended.err
        assert [json.loads(each.body)["batch"] for each in others.requests] == ["second"]
    assert receiver.requests == []
    again = harness.apply(first)
    assert again.code == 0, again.ended.err
    told = [json.loads(each.body) for each in receiver.requests]
    assert {(each["key"], each["outcome"], each["batch"]) for each in told} == {
        ("said", "transferred", "first"),
        ("seen", "transferred", "first"),
    }


def test_a_receiver_that_stays_down_fails_the_callback_alone(
    gateway: Gateway, harness: Harness, receiver: Receiver
):
    harness.env["HOOK_SECRET"] = SECRET
    receiver.answer = WebResponse(500)
    applied = harness.apply(with_callback(manifest(gateway, [transfer()]), receiver))
    assert applied.code == 0, applied.ended.err
    assert applied.report.summary["callbacks"] == {"delivered": 0, "failed": 1}
    assert len(receiver.requests) == 3
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    [[callback]] = [each["callbacks"] for each in applied.report.json["transfers"]]
    assert "500" in json.dumps(callback)


def test_private_addresses_are_called_only_when_the_manifest_says_so(
    gateway: Gateway, harness: Harness, receiver: Receiver
):
    """And `on` chooses the outcomes."""
    harness.env["HOOK_SECRET"] = SECRET
    content = manifest(gateway, [transfer()])
    refused = harness.apply(with_callback(content, receiver, allow_private=False))
    assert refused.code == 0, refused.ended.err
    assert refused.report.summary["callbacks"] == {"delivered": 0, "failed": 1}
    assert "allow_private" in json.dumps(refused.report.json["transfers"][0]["callbacks"])
    silent = with_callback(content, receiver, on=["rejected"])
    assert harness.apply(silent, "--again").code == 0
    assert not receiver.requests
