"""A gateway that answers too much, for ids that are none of ours, out of turn and twice."""

from __future__ import annotations

import json

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.hazards.cost import Spent

FLOOD = 5_000
KEPT = 1000  # notes of one kind that the audit log keeps
MOST_KB = 200_000


def test_a_flood_of_strangers_settles_nothing_and_is_kept_in_bounds(
    gateway: Gateway, harness: Harness
):
    """Positive replies for ids that nobody sent, and frames that are no replies at all."""
    strangers, noise, good = transfer(), transfer(), transfer()
    claim = json.dumps({"id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "status": "codec_negotiated"})
    gateway.scripts[strangers["interaction_id"]] = [Step(raw=claim, copies=FLOOD, effect=False)]
    gateway.scripts[noise["interaction_id"]] = [Step(raw="[1]" * 400, copies=FLOOD, effect=False)]
    path = harness.write(manifest(gateway, [strangers, noise, good]))
    spent = Spent(harness.folder, "apply", path)
    assert spent.code == 6, spent.said
    assert spent.kb < MOST_KB
    assert len(spent.said) < 100_000
    report = harness.newest_report()
    report.check(6)
    told = [each["outcome"] for each in report.json["transfers"]]
    assert told == ["in_doubt", "in_doubt", "transferred"]
    noted = report.events()
    assert noted["unclaimed reply"] == KEPT
    assert noted["stray frame"] == KEPT
    lines = (report.folder / "audit.jsonl").read_text("utf-8").splitlines()[1:]
    assert max(map(len, lines)) < 2000


def test_replies_that_come_twice_or_late_settle_their_own_transfer_alone(
    gateway: Gateway, harness: Harness
):
    """Each of fifty is answered thrice; a refusal, then a doubled yes for another, change nothing."""
    transfers = [transfer() for _ in range(50)]
    refused = {each["interaction_id"] for each in transfers[::5]}
    gateway.default = Step(copies=3)
    for name in refused:
        gateway.scripts[name] = [Step("transfer_rejected", copies=3)]
    applied = harness.apply(manifest(gateway, transfers))
    assert applied.code == 1, applied.ended.err
    for name, outcome in applied.outcomes().items():
        assert outcome == ("rejected" if name in refused else "transferred")
    assert len(gateway.frames) == len(transfers)
    applied.report.agree_with(gateway)
