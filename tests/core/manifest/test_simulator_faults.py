"""The faults of the embedded gateway's platforms."""

from __future__ import annotations

from runner.core.manifest.simulator_faults import FAULTS, OPTIONS


def test_platforms_share_the_faults_of_any_network():
    everywhere = frozenset.intersection(*FAULTS.values())
    assert everywhere >= {"rate_limited", "rejected", "slow", "muted", "cut", "token_expiry"}


def test_options_belong_to_platforms_that_have_faults():
    assert OPTIONS.keys() <= FAULTS.keys()
