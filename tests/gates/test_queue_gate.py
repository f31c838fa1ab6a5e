"""A gate of a queue is judged by the figures that the run's gateway observes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runner.core.errors import GatewayError
from runner.core.gates import QueueGate, Verdict, parse_bound
from runner.core.pacing.destinations import Figures
from runner.gates.manifest_gates import ManifestGates
from runner.ports import Observed

QUEUE = "genesys://queue/q"


class Observer:
    """Returns figures, fails, or takes too long."""

    def __init__(self, found: Figures | Exception | None) -> None:
        self.found = found

    def observe(self, destinations: Sequence[str], tell: Callable[[Observed], None]) -> None:
        """Do nothing."""

    def ask_again(self) -> None:
        """Do nothing."""

    async def figures_of(self, destination: str) -> Observed:
        """Answer."""
        assert destination == QUEUE
        if self.found is None:
            await asyncio.Event().wait()
        if isinstance(self.found, Exception):
            raise self.found
        return Observed(destination, self.found, 0.0)


def gate() -> QueueGate:
    bounds = {"waiting": parse_bound("< 50"), "estimated_wait": parse_bound("< 10m")}
    return QueueGate(name="q", queue=QUEUE, bounds=bounds, timeout_s=0.01)


@pytest.mark.parametrize(
    ("found", "verdict", "text"),
    [
        ({"waiting": 4.0, "estimated_wait": 30.0}, Verdict.PASS, "waiting is 4 (< 50), estimated_wait is 30 (< 10m)"),
        ({"waiting": 50.0}, Verdict.FAIL, "waiting is 50, not < 50"),
        ({"waiting": 4.0, "estimated_wait": None}, Verdict.INCONCLUSIVE, "no figure for estimated_wait"),
        ({"waiting": -1.0, "estimated_wait": 10**400}, Verdict.INCONCLUSIVE, "no figure for waiting, estimated_wait"),
        (GatewayError(environment="e", url="u", what="no figures of queues: 403", check="add it"), Verdict.INCONCLUSIVE, "no figures of queues: 403"),
        (None, Verdict.INCONCLUSIVE, "no figures within 0.01 s"),
    ],
)  # fmt: skip
async def test_only_a_figure_out_of_its_bound_fails_it(
    found: Figures | Exception | None, verdict: Verdict, text: str
):
    gates = ManifestGates(
        {"q": gate()}, Path(), _nowhere, is_simulated=False, observer=Observer(found)
    )
    answer = await gates.ask("q")
    assert (answer.verdict, answer.text) == (verdict, text)


async def test_without_a_gateway_that_observes_it_is_inconclusive():
    answer = await ManifestGates({"q": gate()}, Path(), _nowhere, is_simulated=False).ask("q")
    assert answer.verdict is Verdict.INCONCLUSIVE


async def _nowhere(_url: object, _private: bool) -> list[str]:  # noqa: FBT001 - as its type has it
    return []
