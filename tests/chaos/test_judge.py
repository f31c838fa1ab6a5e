"""The judge itself: it turns red where somebody moves twice, is lost, or is told wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.chaos.harness import GatewayProcess, Workspace, names
from tests.chaos.tally import judge

Open = Callable[..., tuple[GatewayProcess, Workspace]]


def test_a_gateway_that_does_not_dedupe_as_promised_doubles(open_workspace: Open):
    """Planted fault: a manifest promises what the gateway does not keep; resending is then blind."""
    gateway, workspace = open_workspace(promise="nothing", mute=0.3, visible_s=600.0, seed=5)
    expected = names(20)
    policy = {"negotiation_timeout": "300ms", "retry": {"base": "10ms", "cap": "10ms"}}
    workspace.apply(workspace.write(expected, promise="dedupes", policy=policy))
    assert judge("planted", 1, gateway, workspace, expected).doubled


def test_a_transfer_that_is_told_and_did_not_happen_is_lost_and_misreported(open_workspace: Open):
    gateway, workspace = open_workspace()
    expected = names(5)
    assert workspace.apply(workspace.write(expected)).code == 0
    assert judge("none", 0, gateway, workspace, expected).is_clean
    ledger = Path(gateway.settings.ledger)
    kept = [
        line
        for line in ledger.read_text("utf-8").splitlines(keepends=True)
        if json.loads(line).get("interaction_id") != expected[2]
    ]
    ledger.write_text("".join(kept), "utf-8")
    tally = judge("planted", 1, gateway, workspace, expected)
    assert (tally.lost, tally.misreported) == ((expected[2],), (expected[2],))
    assert not tally.doubled
