"""The shared rate, judged by when the frames really arrived."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import pytest

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import Step
from tests.foreign.tap import Tap

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the tap needs kernel time stamps")

STAMP_S = 0.002  # between the program's reading of its clock and the kernel's stamp


def most_in_any_second(
    arrivals: Sequence[tuple[float, float]], window_s: float = 1.0 - STAMP_S
) -> int:
    """Return how many arrivals the fullest sliding window holds for certain."""
    first = most = 0
    for last, (_, latest) in enumerate(arrivals):
        while first < last and latest - arrivals[first][0] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_the_window_is_counted_as_documented():
    exact = [(at, at) for at in (0.0, 0.5, 0.9, 1.1, 1.2)]
    assert most_in_any_second(exact, 1.0) == 4
    assert most_in_any_second([(0.1, 0.1), (0.1, 0.9), (0.9, 0.9), (1.15, 1.15)], 1.0) == 3


def test_fifty_a_second_is_a_promise_and_is_used(gateway: Gateway, harness: Harness):
    """No sliding second holds more than rate + burst arrivals.

    How much of the rate is used is the machine's too: tests/engine shows it in virtual time.
    """
    with Tap(gateway.websocket_url) as tap:
        content = manifest(
            gateway, [transfer() for _ in range(250)], limits={"rate": "50/s", "burst": 1}
        )
        content["environments"]["foreign"]["endpoints"]["websocket_url"] = tap.url
        applied = harness.apply(content)
    assert applied.code == 0, applied.ended.err
    assert len(tap.arrivals) == 250
    assert most_in_any_second(tap.arrivals) <= 51
    achieved = 249 / (tap.arrivals[-1][1] - tap.arrivals[0][1])
    assert achieved <= 50.5
    result = applied.report.summary["rate"]
    assert result["limit_per_s"] == 50
    assert result["peak_in_any_second"] <= 51
    assert result["achieved_per_s"] == pytest.approx(achieved, rel=0.1)


def test_a_rate_limit_answer_slows_everyone(gateway: Gateway, harness: Harness):
    """Retries count against the same rate; the report's curve shows the cut and the climb."""
    transfers = [transfer() for _ in range(60)]
    gateway.scripts[transfers[20]["interaction_id"]] = [Step("rate_limited"), Step()]
    applied = harness.apply(manifest(gateway, transfers, limits={"rate": "40/s"}))
    assert applied.code == 0, applied.ended.err
    arrivals = [frame.at for frame in gateway.frames]
    assert len(arrivals) == 61
    pace = [point["rate_per_s"] for point in applied.report.json["timeline"]["points"]]
    assert max(pace) <= 40
    assert 20 <= min(pace) < 40
    assert applied.report.summary["rate"]["throttled"] == 1


def test_the_option_only_ever_lowers_the_rate(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer() for _ in range(3)], limits={"rate": "20/s"})
    assert harness.apply(content, "--rate", "900/s").report.summary["rate"]["limit_per_s"] == 20
    lowered = harness.apply(content, "--rate", "7/s", "--again")
    assert lowered.report.summary["rate"]["limit_per_s"] == 7
