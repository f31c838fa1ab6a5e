"""What a plan says of its target queues: when they would have taken the batch."""

from __future__ import annotations

from collections.abc import Mapping

from runner.core.manifest.model import Manifest
from runner.core.pacing.what_if import ASSUMED_HANDLE_S, what_if
from runner.ports import CapacityObserver, Gateway

MOST_ASKED = 20
"""Destinations that a plan asks the figures of."""


def handle_s_of(manifest: Manifest) -> tuple[float, bool]:
    """Return how long an agent serves an interaction, and whether that is assumed."""
    simulator = manifest.environment.simulator
    return (ASSUMED_HANDLE_S, True) if simulator is None else (simulator.handle_time_s, False)


async def foresee_capacity(
    manifest: Manifest, gateway: Gateway, sends: Mapping[str, int]
) -> list[str]:
    """Return in words when each observed destination would have taken its `sends`.

    Raises `GatewayError` if its figures may not be seen.
    """
    if not isinstance(gateway, CapacityObserver):
        return []
    handle_s, is_assumed = handle_s_of(manifest)
    found = []
    for uri in manifest.destinations.observed(sends)[:MOST_ASKED]:
        limits = manifest.destinations.limits_of(uri)
        assert limits is not None  # noqa: S101 - what is observed has limits
        figures = (await gateway.figures_of(uri)).figures or {}
        if not limits.bounds:
            continue
        rate = manifest.environment.limits.rate_per_s
        foreseen = what_if(limits, figures, sends=sends[uri], rate_per_s=rate, handle_s=handle_s)
        name = limits.written or uri
        if foreseen is None:
            found.append(f"{name}: its figures are not known; its transfers would wait")
        else:
            found.append(foreseen.text(name, is_assumed=is_assumed))
    return found
