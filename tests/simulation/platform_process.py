"""One run of the runner against the platform: the driver `genesys-cloud` on a simulated network."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from runner.app.name_resolution import DirectoryAnswers, resolve_names
from runner.core.pacing.pace_left import PaceLeft
from runner.core.transfer.message import Compose, Request
from runner.engine.run_spec import RunSpec
from runner.gateways.genesys_cloud.directory import GenesysDirectory
from runner.gateways.genesys_cloud.driver import GenesysCloud
from runner.gateways.genesys_cloud.protocol.command import build_command, find_command_fault
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.journal.sqlite.reader import Reader
from runner.staging.rows import Staging
from tests.simulation.life import Life
from tests.simulation.platform_delivery_faults import PlatformDeliveryFaults
from tests.simulation.platform_network import ChannelDialling, HttpSide, Spot
from tests.simulation.platform_rest import PlatformMind
from tests.simulation.process import Orders, Parts, Process
from tests.simulation.simulation import RUN, SimulatedClock

Transport = Callable[[httpx.AsyncBaseTransport], httpx.AsyncBaseTransport]


@dataclass(frozen=True, slots=True)
class PlatformParts(Parts):
    """What a run against the platform is put together from; planted faults replace one."""

    delivery_faults: Callable[..., PlatformDeliveryFaults] = PlatformDeliveryFaults.drawn
    transport: Transport = lambda transport: transport
    compose: Compose = build_command
    found: Callable[[DirectoryAnswers], DirectoryAnswers] = lambda found: (
        found
    )  # what a selection brought


class NotedGateway(GenesysCloud):
    """The driver; which message asks for which conversation is noted as it is submitted."""

    spot: Spot

    async def submit(self, request: Request) -> None:
        """Note, and hand over."""
        message = json.loads(request.text)
        self.spot.submitted[message["interaction_id"]] = message["id"]
        await super().submit(request)


class PlatformProcess(Process):
    """One process that applies a batch to the platform."""

    def __init__(
        self,
        life: Life,
        mind: PlatformMind,
        orders: Orders,
        parts: PlatformParts,
        clock: SimulatedClock,
    ) -> None:
        super().__init__(life, mind, orders, parts, clock=clock)  # type: ignore[arg-type]
        self._mind = mind
        self._parts: PlatformParts = parts

    async def select(self, staging: Staging) -> DirectoryAnswers:
        """Ask for what a staging leaves open, as `wiring.asking` does. Raises as `find`."""
        RUN.set(self.life.number)
        orders = self._orders
        rest = GenesysRest(
            orders.environment,
            orders.policy.retry,
            self.clock,
            self.life.chance.random,
            lambda _wait_s, _why: None,
            transport=self._transport(self._spot(lambda _: False)),
        )
        try:
            found = await resolve_names(staging, GenesysDirectory(rest), now=self.clock.wall())
        finally:
            await rest.close()
            RUN.set(0)
        return self._parts.found(found)

    def _spot(self, is_journalled: Callable[[str], bool]) -> Spot:
        delivery_faults: Any = self.life.delivery_faults
        return Spot(self._mind, self.life, delivery_faults, is_journalled, self.clock.wall)

    def _transport(self, spot: Spot) -> httpx.AsyncBaseTransport:
        return self._parts.transport(HttpSide(spot))

    def _spec_of(self, batch: str, sends: int, pace: PaceLeft) -> RunSpec:
        spec = super()._spec_of(batch, sends, pace)
        policy = spec.rules.policy  # the engine waits as long as the driver may need
        waits_s = max(policy.negotiation_timeout_s, policy.outcome_timeout_s)
        policy = replace(policy, negotiation_timeout_s=waits_s)
        return replace(
            spec,
            rules=replace(spec.rules, needs_look_up=True, outlives_session=True, policy=policy),
            find_fault=find_command_fault,
            compose=self._parts.compose,
        )

    def _adapter(self, reader: Reader) -> GenesysCloud:  # type: ignore[override]
        spot = self._spot(lambda message_id: reader.find(message_id) is not None)
        gateway = NotedGateway(
            self._orders.environment,
            self._parts.policy(self._orders.policy),
            self.clock,
            self.life.chance.random,
            destinations=self._orders.destinations,  # type: ignore[attr-defined]
            dial=self._parts.dial(ChannelDialling(spot)),
            transport=self._transport(spot),
        )
        gateway.spot = spot
        return gateway


@dataclass(frozen=True, slots=True)
class PlatformOrders(Orders):
    """What every run of a seed is to do on the platform."""

    destinations: tuple[str, ...] = ()
