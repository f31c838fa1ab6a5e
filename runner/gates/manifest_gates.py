"""Asks the gates of a manifest: implements `ports.gates.Gates`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

from runner.core.gates import CommandGate, Gate, GateAnswer, QueueGate, UrlGate, Verdict
from runner.core.urls import is_loopback
from runner.gates.command_gate import ask_command
from runner.gates.queue_gate import ask_queue
from runner.gates.url_gate import Locate, ask_url
from runner.ports import CapacityObserver


class ManifestGates:
    """The gates of one run, by name. `folder` is the manifest's.

    `changed` returns the files of commands that are not those that were approved. Under the simulator (`is_simulated`) only loopback addresses are asked; the others pass.
    """

    def __init__(
        self,
        gates: Mapping[str, Gate],
        folder: Path,
        locate: Locate,
        *,
        is_simulated: bool,
        observer: CapacityObserver | None = None,
        changed: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self._gates = gates
        self._folder = folder
        self._locate = locate
        self._is_simulated = is_simulated
        self._observer = observer
        self._changed = changed
        self._client: httpx.AsyncClient | None = None

    async def ask(self, name: str) -> GateAnswer:
        """Return a gate's verdict."""
        gate = self._gates[name]
        if isinstance(gate, CommandGate):
            if changed := self._changed():
                why = f"{', '.join(changed)}: changed since the plan that was approved"
                return GateAnswer(Verdict.FAIL, why)
            return await ask_command(gate, self._folder)
        if isinstance(gate, UrlGate):
            return await self._ask_url(gate)
        if isinstance(gate, QueueGate) and self._observer is not None:
            return await ask_queue(gate, self._observer)
        return GateAnswer(Verdict.INCONCLUSIVE, "the driver cannot observe it")

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _ask_url(self, gate: UrlGate) -> GateAnswer:
        if self._is_simulated and not is_loopback(httpx.URL(gate.url).host):
            return GateAnswer(
                Verdict.PASS, "not asked: under the simulator only loopback addresses are called"
            )
        if self._client is None:
            self._client = httpx.AsyncClient(
                trust_env=False, follow_redirects=False, timeout=httpx.Timeout(None)
            )
        return await ask_url(gate, self._client, self._locate)
