"""The rules by which a run sends transfers, and its source of randomness."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.frozen import frozen
from runner.core.manifest.model import Policy
from runner.core.pacing.rate import backoff_s
from runner.core.transfer.doubt_evidence import VISIBLE_S, Expires, Promise
from runner.core.transfer.message import Reply
from runner.core.transfer.states import Event, classify_repeat


@frozen
class Rules:
    """The manifest's policy, and what it declares about the gateway."""

    policy: Policy
    promise: Promise = None
    needs_look_up: bool = False  # a delivery contains what a look-up saw
    outlives_session: bool = False  # a delivery is answered though its session has ended

    def classify(self, reply: Reply, *, repeat: bool = False) -> Event:
        """Return what a reply means for its transfer.

        `repeat`: it answers a message that was sent again under its id.
        """
        return classify_repeat(reply.event, reply.status, reply.code) if repeat else reply.event

    def backoff_s(self, failures: int, randomness: Randomness) -> float:
        """Return the seconds to wait after that many failures in a row."""
        return backoff_s(self.policy.retry, max(1, failures), jitter=randomness.jitter())

    @property
    def visible_s(self) -> float:
        """After how many seconds an effect shows in look-ups at the latest."""
        return self.promise.visible_s if isinstance(self.promise, Expires) else VISIBLE_S

    @property
    def looks_first(self) -> bool:
        """Whether every interaction is looked up before its first delivery."""
        return self.needs_look_up or self.policy.preflight or isinstance(self.promise, Expires)


@frozen
class Randomness:
    """The source of a run's random values."""

    jitter: Callable[[], float]  # uniform in [0, 1)
    new_id: Callable[[], str]  # random UUIDs, version 4
