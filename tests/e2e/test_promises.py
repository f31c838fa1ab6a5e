"""What a gateway promises decides what becomes of a doubt (recovery, "In doubt")."""

from __future__ import annotations

from typing import Any

from tests.e2e.harness import ELSEWHERE, Harness, ids, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE, Interaction, Step


def promising(content: dict[str, Any], **delivery: str) -> dict[str, Any]:
    content["gateways"]["edge"]["delivery"] = delivery
    return content


def test_a_gateway_that_dedupes_is_asked_again_under_the_same_id_and_bytes(
    gateway: Gateway, harness: Harness
):
    one, other = transfer(), transfer()
    gateway.scripts[one["interaction_id"]] = [MUTE, Step()]
    applied = harness.apply(promising(manifest(gateway, [one, other]), dedupes="24h"))
    assert applied.code == 0, applied.ended.err
    first, again = gateway.deliveries(one["interaction_id"])
    assert first.text == again.text
    assert len(gateway.effects) == len(applied.outcomes()) == 2


def test_a_gateway_whose_messages_expire_is_asked_again_after_the_fence(
    gateway: Gateway, harness: Harness
):
    """Only where nothing has changed since; what somebody else moved stays in doubt."""
    expired, taken = transfer(), transfer()
    gateway.scripts[expired["interaction_id"]] = [MUTE, Step()]
    gateway.scripts[taken["interaction_id"]] = [MUTE, Step()]
    content = manifest(gateway, [expired, taken])
    harness.write(promising(content, expires="1s", visible="1s"))
    with harness.started("apply", "batch.yaml") as process:
        gateway.wait_until(lambda: len(gateway.deliveries(taken["interaction_id"])) == 1)
        name = taken["interaction_id"]
        gateway.interactions[name] = Interaction(name, "active", ELSEWHERE, "not-ours")
        process.communicate()
    assert process.returncode == 6
    report = harness.newest_report()
    report.check(6)
    assert [report.by_id[name]["outcome"] for name in ids([expired, taken])] == [
        "transferred",
        "in_doubt",
    ]
    first, again = gateway.deliveries(expired["interaction_id"])
    assert first.id != again.id
    assert again.at - first.at >= 1 + 1 + 2
    assert len(gateway.deliveries(taken["interaction_id"])) == 1
    assert len(gateway.effects) == 1
