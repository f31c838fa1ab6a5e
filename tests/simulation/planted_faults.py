"""Faults planted on purpose: each replaces one part of a run, and must turn the judge red."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta, timezone
from itertools import count
from typing import Any

from runner.core.errors import LookUpFailed, LookUpUnanswered
from runner.core.frozen import frozen
from runner.core.manifest.destinations import NO_LIMITS
from runner.core.manifest.model import Policy
from runner.core.manifest.recurring_window import NO_WINDOWS, Windows
from runner.core.pacing.destinations import WAITING
from runner.core.pacing.pace_left import FULL_PACE
from runner.core.transfer.doubt_evidence import Dedupes, Expires, Promise
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Message, Reply, Request
from runner.core.transfer.states import Event
from runner.engine.active_transfer import ActiveTransfer
from runner.engine.admission import Admission, Slot
from runner.engine.destinations import Destinations
from runner.engine.failure_seats import FailureSeats
from runner.engine.run import BatchRun
from runner.engine.run_spec import RunSpec
from runner.engine.stop import StopSignal
from runner.gateways.websocket.transport import Dial, Transport
from runner.journal.sqlite.store import Store
from runner.ports import Entry, Gateway, GatewayListener, Note, Observed
from tests.simulation.capacity import without_figures
from tests.simulation.delivery_faults import DeliveryFaults
from tests.simulation.journal import SimulatedJournal
from tests.simulation.life import Life
from tests.simulation.process import Parts, Plan
from tests.simulation.recurring_windows import CHANGES
from tests.simulation.simulation import SimulatedClock


class ForgetfulStore(Store):
    """Takes what an earlier run left in doubt for never sent."""

    def recover(self, *, at: float) -> int:
        """Forget every transfer that is held."""
        held = "SELECT id FROM transfers WHERE state IN ('sending', 'unknown', 'resending')"
        self._connection.execute(f"DELETE FROM deliveries WHERE transfer IN ({held})")
        self._connection.execute(f"DELETE FROM transfers WHERE id IN ({held})")
        return super().recover(at=at)


@frozen
class WithoutFence(Expires):
    """Asks, and waits for nothing."""

    @property
    def fence_s(self) -> float:
        """Return no time at all."""
        return 0.0


def _without_fence(promise: Promise) -> Promise:
    return WithoutFence(1.0, 0.0) if promise is None or isinstance(promise, Expires) else promise


def _dedupes_in_hope(promise: Promise) -> Promise:
    return Dedupes(86_400.0) if promise is None else promise


class HastyJournal(SimulatedJournal):
    """Says that an intent is durable before it is."""

    def record(self, *entries: Entry | Note) -> Awaitable[None]:
        """Make entries durable some time."""
        durable = super().record(*entries)
        if not any(isinstance(entry, Entry) and entry.event is Event.INTENT for entry in entries):
            return durable
        at_once: asyncio.Future[None] = self.life.simulation.loop.create_future()
        at_once.set_result(None)
        return at_once


def _id_from_the_clock(_life: Life, clock: SimulatedClock) -> Callable[[], str]:
    return lambda: str(uuid.UUID(int=int(clock.wall() * 1000), version=4))


def _ids_from_a_sequence(_life: Life, _clock: SimulatedClock) -> Callable[[], str]:
    """Return ids that are counted anew by each process, as by one that takes a batch over."""
    numbers = count(1)
    return lambda: str(uuid.UUID(int=next(numbers), version=4))


@dataclass
class ReusingGateway:
    """Gives the retry of what was too fast the id that it bore before."""

    inner: Gateway
    ours: dict[str, str] = field(default_factory=dict)  # what the runner calls it, by id sent
    sent_as: dict[str, str] = field(default_factory=dict)  # the id, by interaction
    too_fast: set[str] = field(default_factory=set)  # ids sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def open(self, listener: GatewayListener) -> None:
        """Open, and read replies before the engine does."""
        await self.inner.open(Renaming(listener, self))

    async def submit(self, request: Request) -> None:
        """Send under the old id what was too fast before."""
        message = json.loads(request.text)
        before = self.sent_as.get(message["interaction_id"])
        sent = before if before in self.too_fast and before is not None else message["id"]
        self.sent_as[message["interaction_id"]] = sent
        self.ours[sent] = message["id"]
        text = request.text.replace(message["id"], sent)
        await self.inner.submit(request._replace(message_id=sent, message=Message(text)))


@dataclass
class Renaming:
    """Hands replies on under the ids that the engine knows."""

    inner: GatewayListener
    gateway: ReusingGateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def replied(self, reply: Reply) -> None:
        """Rename and hand on."""
        if reply.status == "rate_limited":
            self.gateway.too_fast.add(reply.message_id)
        ours = self.gateway.ours.get(reply.message_id, reply.message_id)
        self.inner.replied(reply._replace(message_id=ours))


@dataclass
class SharedWire:
    """A socket that a second task reads too: every other frame is its, and not its own."""

    inner: Transport
    frames: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def receive(self) -> str | bytes:
        """Return what the other reader leaves."""
        while True:
            frame = await self.inner.receive()
            self.frames += 1
            if self.frames % 2:
                return frame


def _second_reader(dial: Dial) -> Dial:
    async def dial_twice(url: str, headers: Mapping[str, str]) -> Transport:
        return SharedWire(await dial(url, headers))

    return dial_twice


class UnseatedBatch(BatchRun):
    """Counts failures, and lets everything be under way nevertheless."""

    def _seats(self) -> FailureSeats:
        return FailureSeats(None, self.stop_signal)


class RestlessAdmission(Admission):
    """Heeds no pause."""

    def hold(self, holder: str, words: str) -> None:
        """Hold nothing."""


class RestlessBatch(BatchRun):
    """Sends through every pause."""

    def __init__(self, *arguments: Any, **parts: Any) -> None:
        super().__init__(*arguments, **parts)
        self._admission.__class__ = RestlessAdmission


def _in_the_manifests_order(plan: Plan) -> Plan:
    return [
        (replace(row, failed_as=None), replace(verdict, failed_as=None)) for row, verdict in plan
    ]


def _without_codes(plan: Plan) -> Plan:
    return [
        (row, verdict)
        if verdict.failed_as is None
        else (replace(row, failed_as=""), replace(verdict, failed_as=""))
        for row, verdict in plan
    ]


@dataclass
class ImpatientGateway:
    """Takes an outage for the interaction's own failure."""

    inner: Gateway

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def look_up(self, interaction_id: str) -> Interaction:
        """Look up, and blame the interaction."""
        try:
            return await self.inner.look_up(interaction_id)
        except LookUpUnanswered as error:
            raise LookUpFailed(
                environment=error.environment, url=error.url, what=error.what, check=error.check
            ) from error


class BoundlessBatch(BatchRun):
    """Sends to every destination as fast as the gateway lets it."""

    def __init__(self, spec: RunSpec, **parts: Any) -> None:
        super().__init__(replace(spec, destinations=NO_LIMITS), **parts)


class UnobservantBatch(BatchRun):
    """Looks at no figures of destinations."""

    def __init__(self, spec: RunSpec, **parts: Any) -> None:
        super().__init__(replace(spec, destinations=without_figures(spec.destinations)), **parts)


class HastyDestinations(Destinations):
    """Looks at a destination's figures when a transfer has its turn, and not again."""

    def is_open(self, transfer: ActiveTransfer) -> bool:  # noqa: ARG002 - the real one's
        """Return True."""
        return True


class ForgetfulDestinations(Destinations):
    """Takes each figure for one that includes whatever was sent before it came."""

    def observed(self, observed: Observed) -> None:
        """Let figures be of now."""
        super().observed(replace(observed, at=self._clock.now()))


class HopefulDestinations(Destinations):
    """Takes a queue of which nothing is known for one in which nobody waits."""

    def observed(self, observed: Observed) -> None:
        """Put 0 in the place of what is missing."""
        figures = dict(observed.figures or {})
        if not isinstance(figures.get(WAITING), float):
            figures[WAITING] = 0.0
        super().observed(replace(observed, figures=figures))


class RememberingDestinations(Destinations):
    """Counts as waiting whatever was ever sent."""

    def observed(self, observed: Observed) -> None:
        """Forget nothing."""
        sent = {key: one.pace.moved_at for key, one in self._known.items()}
        super().observed(observed)
        for key, one in self._known.items():
            one.pace = replace(one.pace, moved_at=sent.get(key, ()))


class FirstDestinations(Destinations):
    """Takes every run for the first one."""

    def _of(self, uri: str) -> Any:
        self._began = -math.inf
        return super()._of(uri)


def _with_destinations(kind: type[Destinations]) -> type[BatchRun]:
    class Batch(BatchRun):
        def __init__(self, *arguments: Any, **parts: Any) -> None:
            super().__init__(*arguments, **parts)
            self._destinations.__class__ = kind

    return Batch


class UnstoppableAdmission(Admission):
    """Heeds no stop once an intent is durable."""

    async def write(self, slot: Slot, *arguments: Any) -> bool:
        """Write whatever has been ordered meanwhile."""
        self._stop_signal, real = StopSignal(), self._stop_signal
        try:
            return await super().write(slot, *arguments)
        finally:
            self._stop_signal = real


class UnstoppableBatch(BatchRun):
    """Sends what was under way when it was told to stop."""

    def __init__(self, *arguments: Any, **parts: Any) -> None:
        super().__init__(*arguments, **parts)
        self._admission.__class__ = UnstoppableAdmission


class EternalWindows(Windows):
    """Takes windows that are open for such that never close."""

    def unchanged_until(self, at_s: float) -> float:  # noqa: ARG002 - the real one's
        """Return the end of time."""
        return math.inf


def _never_closing(policy: Policy) -> Policy:
    return replace(policy, windows=EternalWindows(policy.windows.rules))


def _without_clock_changes(policy: Policy) -> Policy:
    """Read the clocks of a zone as they were before they changed."""
    rules = [
        replace(rule, zone=timezone(timedelta(seconds=CHANGES[str(rule.zone)].before_s)))
        for rule in policy.windows.rules
    ]
    return replace(policy, windows=Windows(tuple(rules)))


PLANTED: Mapping[str, Parts] = {
    "blind resend": Parts(promise=_dedupes_in_hope),
    "blind resend by the next run": Parts(store=ForgetfulStore),
    "query, then resend": Parts(promise=_without_fence),
    "intent after send": Parts(journal=HastyJournal),
    "id from the clock": Parts(new_id=_id_from_the_clock),
    "ids from a sequence": Parts(new_id=_ids_from_a_sequence),
    "id reused after rate_limited": Parts(
        gateway=ReusingGateway, delivery_faults=DeliveryFaults.stuttering
    ),
    "plan before lock": Parts(plans_early=True),
    "second reader": Parts(dial=_second_reader),
    "window not heeded": Parts(policy=lambda policy: replace(policy, window=None)),
    "recurring windows not heeded": Parts(
        policy=lambda policy: replace(policy, windows=NO_WINDOWS)
    ),
    "windows that never close": Parts(policy=_never_closing),
    "clocks that never change": Parts(policy=_without_clock_changes),
    "everything in one wave": Parts(policy=lambda policy: replace(policy, waves=())),
    "failures not counted": Parts(policy=lambda policy: replace(policy, max_failures=None)),
    "no seats": Parts(batch=UnseatedBatch, delivery_faults=DeliveryFaults.refusing),
    "rates of destinations not kept": Parts(batch=BoundlessBatch),
    "pauses not heeded": Parts(batch=RestlessBatch),
    "stops not heeded": Parts(batch=UnstoppableBatch),
    "figures not looked at": Parts(batch=UnobservantBatch),
    "own sends are forgotten": Parts(batch=_with_destinations(ForgetfulDestinations)),
    "own sends are never forgotten": Parts(batch=_with_destinations(RememberingDestinations)),
    "an earlier run's sends are forgotten": Parts(batch=_with_destinations(FirstDestinations)),
    "a missing figure reads as zero": Parts(batch=_with_destinations(HopefulDestinations)),
    "figures not looked at again": Parts(batch=_with_destinations(HastyDestinations)),
    "forgets what an earlier run was asked": Parts(
        pace=lambda _left: FULL_PACE, delivery_faults=DeliveryFaults.stuttering
    ),
    "failed rows in their old place": Parts(plan=_in_the_manifests_order),
    "known failures counted anew": Parts(
        plan=_without_codes, delivery_faults=DeliveryFaults.refusing
    ),
    "outages fail transfers": Parts(
        gateway=ImpatientGateway, delivery_faults=DeliveryFaults.down_at_times
    ),
}

UNDO_PLANTED: Mapping[str, Parts] = {
    "undos not remembered": Parts(reverts=lambda _run_id: None),
    "expected places not looked at": Parts(
        return_row=lambda row: replace(row, expected_destination_uri=None)
    ),
    "undo of what is in doubt": Parts(store=ForgetfulStore),
}
"""As `PLANTED`, in worlds in which a run is undone."""
