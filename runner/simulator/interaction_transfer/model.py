"""The gateway as a pure model: decides what follows from each frame; a shell performs it.

No I/O and no clock: `now` is seconds since the epoch, chance is seeded. One shell is the server on
loopback; another may be a simulation with a virtual clock.
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from runner.core.frozen import frozen
from runner.core.manifest.model import GatewayConstraints, SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.faults import (
    REFUSALS,
    REPLY_FAULTS,
    Answer,
    Chance,
    Close,
    Cut,
    Decisions,
    Effect,
    Seen,
    Verdict,
    rate_limited,
)
from runner.simulator.interaction_transfer.frames import (
    Malformed,
    Transfer,
    find_unsuitable,
    is_destination,
    read_transfer,
)
from runner.simulator.tokens import Grant, Tokens
from runner.simulator.worked_queue import WorkedQueue

QUEUES = "genesys://queue/"
ORIGIN_URI = "genesys://queue/origin"
"""The place of every interaction before its first move."""

_UNTOUCHED: tuple[str, str | None] = (ORIGIN_URI, None)
_REMEMBERED = 100_000  # ids whose repeats are recognised without `dedupes`
_EXPIRED = Verdict("transfer_rejected", "the message has expired")


@frozen
class _Place:
    """The place of a moved interaction, its message, and what look-ups show until `since`."""

    destination_uri: str
    message_id: str
    since: float
    before: tuple[str, str | None]


@dataclass(slots=True)
class GatewayModel:
    """A gateway: tokens, interactions, and the ids of its messages."""

    constraints: GatewayConstraints
    options: SimulatorOptions
    tokens: Tokens
    behaviour: GatewayBehaviour = field(default_factory=GatewayBehaviour)
    chance: Chance = field(init=False)
    _places: dict[str, _Place] = field(default_factory=dict)
    _deliveries: dict[str, int] = field(default_factory=dict)  # message id -> how many came
    _verdicts: dict[str, Verdict] = field(default_factory=dict)  # by message id, under `dedupes`
    _carried: set[str] = field(default_factory=set)  # message ids, under `dedupes`
    _first_codecs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _queues: dict[str, WorkedQueue] = field(default_factory=dict)  # those of `agents`, by URI
    _recent: deque[float] = field(default_factory=deque)  # frames let through in the last second
    _stalled_until: float = 0.0

    def __post_init__(self) -> None:
        self.chance = Chance(self.options.seed, self.options.faults)

    def receive(self, frame: str, *, token: str, now: float) -> Decisions:
        """Return the decisions on a text frame, on a session opened with `token`."""
        message = read_transfer(frame)
        if isinstance(message, Malformed):
            text = Verdict("format_invalid", message.reason).to_text(message.message_id)
            return ((self._delay_s(text, now), Answer(text)),)
        seen = (0.0, Seen(message.message_id, message.interaction_id))
        return (seen, *self._decide(message, token, now))

    def carry_out(self, effect: Effect, now: float) -> tuple[bool, Decisions]:
        """Carry `effect` out; return whether it happened now, and the decisions that follow.

        A repeat under `dedupes` is not carried out again, and a late one not at all.
        """
        if effect.message_id in self._carried:
            return False, effect.then
        if effect.expires_at is not None and now > effect.expires_at:
            if self.behaviour.dedupes:
                self._verdicts[effect.message_id] = _EXPIRED
            return False, effect.otherwise
        self.restore(effect.message_id, effect.interaction_id, effect.destination_uri, now)
        return True, effect.then

    def restore(
        self, message_id: str, interaction_id: str, destination_uri: str, now: float
    ) -> None:
        """Restore a move of a ledger, as done at `now`."""
        before = self._shown(interaction_id, now)
        place = self._places.get(interaction_id)
        left = ORIGIN_URI if place is None else place.destination_uri
        self._move(interaction_id, left, destination_uri, now)
        since = now + self.behaviour.visible_s
        destination_uri = sys.intern(destination_uri)  # few destinations, many interactions
        self._places[interaction_id] = _Place(destination_uri, message_id, since, before)
        if self.behaviour.dedupes:
            self._carried.add(message_id)
            self._verdicts.setdefault(message_id, Verdict("transfer_initiated", carried_out=True))

    def waiting_in(self, queue_uri: str, now: float) -> int | None:
        """Return how many wait in a queue with agents; None: it has none.

        The protocol tells no client.
        """
        queue = self._queue(queue_uri, now)
        if queue is None:
            return None
        queue.advance(now)
        return queue.waiting

    def view(self, interaction_id: str, now: float) -> dict[str, Any] | None:
        """Return the body of a look-up (protocol.md, "REST"); None: the interaction does not exist."""
        if self._is_missing(interaction_id):
            return None
        destination_uri, last_transfer_id = self._shown(interaction_id, now)
        shown: dict[str, Any] = {
            "id": interaction_id,
            "state": "completed" if self._is_ended(interaction_id) else "queued",
            "destination_uri": destination_uri,
        }
        return shown | ({"last_transfer_id": last_transfer_id} if last_transfer_id else {})

    def stall(self, until: float) -> None:
        """Process no frame before `until`; frames that come meanwhile wait."""
        self._stalled_until = until

    def _move(self, interaction_id: str, before: str, after: str, now: float) -> None:
        if (left := self._queue(before, now)) is not None:
            left.leave(interaction_id, now)
        if (joined := self._queue(after, now)) is not None:
            joined.arrive(interaction_id, "interaction", now)

    def _queue(self, uri: str, now: float) -> WorkedQueue | None:
        name = uri.rpartition("/")[2]
        if not uri.startswith(QUEUES) or name not in self.options.agents:
            return None
        if uri not in self._queues:
            self._queues[uri] = WorkedQueue(self.options.agents[name], self._handle_s, now)
        return self._queues[uri]

    def _handle_s(self, interaction_id: str) -> float:
        return self.options.handle_time_s * (0.5 + self.chance.draw("handle", interaction_id))

    def _decide(self, message: Transfer, token: str, now: float) -> Decisions:
        subject = self._subject(message.message_id)
        if self.chance.strikes("token_expiry", subject):
            self.tokens.revoke(token)
        grant = self.tokens.find(token, now)
        if grant is None:
            return ((0.0, Close(4401, "token expired or revoked")),)
        if self.chance.strikes("cut_before", subject):
            return ((0.0, Cut()),)
        verdict = self._judge(message, subject, grant, now)
        return self._plan(message, subject, verdict, now)

    def _subject(self, message_id: str) -> str:
        """Return the name of a delivery for the faults, so that a repeat can have another fate."""
        count = self._deliveries.pop(message_id, 0)
        self._deliveries[message_id] = count + 1
        if not self.behaviour.dedupes and len(self._deliveries) > _REMEMBERED:
            del self._deliveries[next(iter(self._deliveries))]
        return f"{message_id}#{count}" if count else message_id

    def _judge(self, message: Transfer, subject: str, grant: Grant, now: float) -> Verdict:
        if (limited := self._limit(subject, now)) is not None:
            return limited
        if not self.behaviour.dedupes:
            return self._judge_first(message, subject, grant)
        verdict = self._verdicts.get(message.message_id)
        if verdict is None:
            verdict = self._judge_first(message, subject, grant)
            self._verdicts[message.message_id] = verdict
        return verdict

    def _limit(self, subject: str, now: float) -> Verdict | None:
        if self.chance.strikes("rate_limited", subject):
            return rate_limited(self.chance, subject)
        if self.behaviour.rate_per_s is None:
            return None
        recent = self._recent
        while recent and not now - 1 < recent[0] <= now:  # also after a clock stepped back
            recent.popleft()
        if len(recent) >= self.behaviour.rate_per_s + self.behaviour.burst:
            wait_s = round(recent[0] + 1 - now, 3)
            return Verdict("rate_limited", "too many transfers", retry_after_s=wait_s)
        recent.append(now)
        return None

    def _judge_first(self, message: Transfer, subject: str, grant: Grant) -> Verdict:
        return (
            self._refuse_interaction(message.interaction_id, grant)
            or self._refuse_wishes(message)
            or self._refuse_by_chance(subject)
            or _accept(message)
        )

    def _refuse_interaction(self, interaction_id: str, grant: Grant) -> Verdict | None:
        if "interaction:transfer" not in grant.scopes:
            return Verdict("not_authorized", "the token lacks the scope interaction:transfer")
        if self._is_missing(interaction_id):
            return Verdict("interaction_not_found", "there is no such interaction")
        if self._is_ended(interaction_id):
            return Verdict("interaction_terminated", "the interaction has ended")
        return None

    def _refuse_wishes(self, message: Transfer) -> Verdict | None:
        if not is_destination(message.destination_uri):
            return Verdict(
                "destination_invalid", "the destination is not an address of this gateway"
            )
        if unsuitable := find_unsuitable(message.media, self.constraints):
            return Verdict(*unsuitable)
        if not self.chance.strikes("codec_unsupported", message.interaction_id):
            return None
        # The first request of a struck interaction stays refused, so that a fallback succeeds.
        if message.codecs != self._first_codecs.setdefault(message.interaction_id, message.codecs):
            return None
        return Verdict("codec_unsupported", f"{message.codecs[0]} has no free transcoder")

    def _refuse_by_chance(self, subject: str) -> Verdict | None:
        for fault, refuse in REFUSALS.items():
            if self.chance.strikes(fault, subject):
                return refuse(self.chance, subject)
        return None

    def _plan(self, message: Transfer, subject: str, verdict: Verdict, now: float) -> Decisions:
        delay_s = self._delay_s(subject, now)
        answers = self._deliver(verdict.to_text(message.message_id), subject)
        if not verdict.carried_out:
            return tuple((delay_s + more_s, action) for more_s, action in answers)
        expires_s = self.behaviour.expires_s
        effect = Effect(
            message.message_id,
            message.interaction_id,
            message.destination_uri,
            None if expires_s is None else message.built_at + expires_s,
            then=answers,
            otherwise=self._deliver(_EXPIRED.to_text(message.message_id), subject)
            if expires_s is not None
            else (),
        )
        return ((delay_s, effect),)

    def _deliver(self, text: str, subject: str) -> Decisions:
        decisions: Decisions = ((0.0, Answer(text)),)
        for fault, apply in REPLY_FAULTS.items():
            if self.chance.strikes(fault, subject):
                drawn = self.chance.draw(f"{fault} how", subject)
                decisions = apply(decisions, self.options.latency_s, drawn)
        return decisions

    def _delay_s(self, subject: str, now: float) -> float:
        """Return the latency, ±10 %, after the end of a stall."""
        latency_s = self.options.latency_s
        if latency_s:
            latency_s *= 0.9 + 0.2 * self.chance.draw("latency", subject)
        return max(0.0, self._stalled_until - now) + latency_s

    def _shown(self, interaction_id: str, now: float) -> tuple[str, str | None]:
        place = self._places.get(interaction_id)
        if place is None:
            return _UNTOUCHED
        return (place.destination_uri, place.message_id) if now >= place.since else place.before

    def _is_ended(self, interaction_id: str) -> bool:
        share = self.options.ended_share
        return share > 0 and self.chance.draw("ended", interaction_id) < share

    @staticmethod
    def _is_missing(interaction_id: str) -> bool:
        return interaction_id.startswith("missing-")


def _accept(message: Transfer) -> Verdict:
    if message.negotiates:
        return Verdict("codec_negotiated", media=message.media, carried_out=True)
    return Verdict("transfer_initiated", carried_out=True)
