"""Asks the gateway for the figures of a gate's queue."""

from __future__ import annotations

import asyncio

from runner.core.errors import GatewayError
from runner.core.gates import GateAnswer, QueueGate, Verdict, judge
from runner.core.pacing.destinations import number_of
from runner.ports import CapacityObserver


async def ask_queue(gate: QueueGate, observer: CapacityObserver) -> GateAnswer:
    """Return the verdict on a queue's figures within the gate's time-out.

    `gate.queue` is the queue's destination URI.
    """
    try:
        async with asyncio.timeout(gate.timeout_s):
            figures = (await observer.figures_of(gate.queue)).figures or {}
    except TimeoutError:
        return GateAnswer(Verdict.INCONCLUSIVE, f"no figures within {gate.timeout_s:g} s")
    except GatewayError as error:
        return GateAnswer(Verdict.INCONCLUSIVE, error.what)
    return judge({name: number_of(figures, name) for name in gate.bounds}, gate.bounds)
