"""What every transfer of a run is carried with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import Policy
from runner.core.transfer.evidence import VISIBLE_S, Expires, Promise
from runner.core.transfer.message import Compose, Reply
from runner.core.transfer.states import Event, classify, classify_repeat
from runner.engine.admission import Admission
from runner.engine.metrics import RunMetrics
from runner.engine.pending_replies import PendingReplies
from runner.engine.recorder import Recorder
from runner.engine.seats import Seats
from runner.engine.stop import StopSignal
from runner.ports import Clock, Gateway, Journal, Observer


@dataclass(frozen=True, slots=True)
class Rules:
    """How transfers are carried, and what the gateway said of itself in the manifest."""

    policy: Policy
    promise: Promise = None
    carried_out: frozenset[str] = frozenset()
    not_carried_out: frozenset[str] = frozenset()
    needs_look_up: bool = False  # a delivery names what a look-up saw of the interaction

    def classify(self, reply: Reply, *, repeat: bool = False) -> Event:
        """Return what a reply means, the gateway's own statuses included.

        `repeat`: it answers a message that was sent again under its id.
        """
        if reply.unsent:
            return Event.WITHDRAWN
        event = classify(
            reply.status,
            reply.code,
            carried_out=self.carried_out,
            not_carried_out=self.not_carried_out,
        )
        return classify_repeat(event, reply.status, reply.code) if repeat else event

    @property
    def visible_s(self) -> float:
        """After how many seconds an effect shows in look-ups at the latest."""
        return self.promise.visible_s if isinstance(self.promise, Expires) else VISIBLE_S

    @property
    def looks_first(self) -> bool:
        """Whether every interaction is looked up before its first delivery."""
        return self.needs_look_up or self.policy.preflight or isinstance(self.promise, Expires)


@dataclass(frozen=True, slots=True)
class Randomness:
    """Where a run's randomness comes from."""

    jitter: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], str]  # random UUIDs, version 4


@dataclass(frozen=True, slots=True)
class RunContext:
    """The adapters and the tools that transfers share."""

    gateway: Gateway
    journal: Journal
    clock: Clock
    admission: Admission
    pending_replies: PendingReplies
    metrics: RunMetrics
    stop_signal: StopSignal
    recorder: Recorder
    seats: Seats
    observer: Observer
    rules: Rules
    randomness: Randomness
    find_fault: Callable[[str, MediaMatrix], str | None]  # format verification of a message
    compose: Compose
