"""One interaction, a gateway that keeps its promise and nothing more, and the core's decisions.

The model is small: what the gateway was handed, and what it did with it. Every decision about the
transfer is the core's: the plan, the table, the evidence, the fence.
"""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from runner.core.transfer.doubt_evidence import (
    Baseline,
    Dedupes,
    Evidence,
    Expires,
    Promise,
    SendClocks,
    fence_is_over,
    repeatable_for_s,
    weigh,
)
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.plan_decision import SENDS, Action, Claim, decide
from runner.core.transfer.states import FINAL, HELD, Event, State, classify, step

HERE, BEFORE = "genesys://queue/here", "genesys://queue/before"
EXPIRES_S, VISIBLE_S, KEPT_S = 30.0, 2.0, 600.0
POSITIVE = ("transfer_initiated", "codec_negotiated")
NEGATIVE = ("rate_limited", "codec_unsupported", "transfer_rejected", "interaction_not_found")
FIRST_DAY = 1_000_000.0


@dataclass
class Message:
    """What the gateway was handed: when it acts upon it (None: never), and whether it did."""

    message_id: str
    at: float
    acts_at: float | None
    acted: bool = False


class OneInteraction(RuleBasedStateMachine):
    """Runs come and go, messages are late, answers are lost; nobody else moves the interaction."""

    promise: Promise = None

    @initialize(tells_ids=st.booleans())
    def begin(self, *, tells_ids: bool) -> None:
        self.tells_ids = tells_ids
        self.now = FIRST_DAY
        self.born = FIRST_DAY  # when this process began
        self.messages: list[Message] = []
        self.effects: list[tuple[float, str]] = []
        self.claims: list[Claim] = []
        self.state = State.FAILED  # as if nothing had begun
        self.intent: str | None = None
        self.left = False
        self.repeating = False
        self.message_ids: set[str] = set()
        self.hand_over = SendClocks(0.0, None, None, None)
        self.baseline: Baseline | None = None

    # What the gateway does by itself.

    @rule(seconds=st.sampled_from([3.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for message in self.messages:
            if message.acts_at is not None and not message.acted and message.acts_at <= self.now:
                message.acted = True
                self.effects.append((message.acts_at, message.message_id))

    # What runs do.

    @precondition(lambda self: self.state is State.READY or self.state in FINAL)
    @rule(fate=st.sampled_from(["at once", "late", "late", "never", "not written"]))
    def deliver(self, fate: str) -> None:
        """Plan anew, unless this is a retry; make the intent durable; the frame may leave."""
        if self.state in FINAL and not self._is_to_be_sent():
            return
        self.baseline = Baseline.of(self._look())
        self._enter(Event.INTENT)
        self.intent = f"id-{len(self.message_ids)}"
        self.message_ids.add(self.intent)
        self.hand_over = SendClocks(self.now, "boot", self.now, self.now)
        self.left, self.repeating = fate != "not written", False
        if self.left:
            late_s = {"at once": 0.0, "late": EXPIRES_S - 1.0, "never": None}[fate]
            acts_at = None if late_s is None else self.now + late_s
            self.messages.append(Message(self.intent, self.now, acts_at))
            self.time_passes(0.0)

    @precondition(lambda self: self.state in {State.SENDING, State.RESENDING} and not self.left)
    @rule()
    def withdraw(self) -> None:
        """Give up what was certainly not written."""
        self._enter(Event.WITHDRAWN)

    @precondition(lambda self: self.state in {State.SENDING, State.RESENDING} and self.left)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        """Hear the truth about what was done; a repeat is answered as the first was."""
        if self.repeating and data.draw(st.booleans(), label="the repeat came too fast"):
            self._enter(Event.LIMITED)
            return
        message = next(m for m in self.messages if m.message_id == self.intent)
        if message.acts_at is None:
            told: tuple[str, ...] = NEGATIVE[1:] if self.repeating else NEGATIVE
        elif message.acted:
            told = POSITIVE
        else:
            return  # it has not decided yet
        status = data.draw(st.sampled_from(told))
        self._enter(classify(status, None))

    @precondition(lambda self: self.state in {State.SENDING, State.RESENDING})
    @rule()
    def hear_nothing(self) -> None:
        """Lose the answer, or have it come too late."""
        self._enter(Event.LOST)

    @precondition(lambda self: self.state not in FINAL)
    @rule()
    def die(self) -> None:
        """Be killed; the next process finds what was in flight, and puts it in doubt."""
        self.born = self.now
        if self.state in {State.SENDING, State.RESENDING}:
            self._enter(Event.LOST)
        elif self.state is State.READY:
            self._claim(State.FAILED)

    @precondition(lambda self: self.state is State.UNKNOWN)
    @rule(after_s=st.sampled_from([0.0, 3.0, 20.0, 40.0]))
    def look(self, after_s: float) -> None:
        """Believe what the evidence proves, and clear only behind the fence."""
        self.time_passes(after_s)
        seen = self._look()
        evidence, _ = weigh(
            seen,
            baseline=self.baseline,
            destination_uri=HERE,
            message_ids=frozenset(self.message_ids),
        )
        if evidence is Evidence.CARRIED_OUT:
            self._enter(Event.SEEN)
        elif evidence is Evidence.UNTOUCHED and isinstance(self.promise, Expires):
            passed_s = self.now - max(self.born, self.hand_over.timestamp_s)
            if fence_is_over(
                self.promise, self.hand_over, gateway_date_s=self.now, passed_s=passed_s
            ):
                self._enter(Event.CLEARED)

    @precondition(lambda self: self.state is State.UNKNOWN and isinstance(self.promise, Dedupes))
    @rule(leaves=st.booleans(), after_s=st.sampled_from([0.0, 300.0, 700.0]))
    def repeat(self, *, leaves: bool, after_s: float) -> None:
        """Send the same id again while the gateway surely knows it."""
        self.time_passes(after_s)
        assert isinstance(self.promise, Dedupes)
        left_s = repeatable_for_s(
            self.promise, self.hand_over, boot="boot", uptime_s=self.now, gateway_date_s=self.now
        )
        if left_s < 0:
            return
        self._enter(Event.REPEATED)
        self.repeating, self.left = True, leaves
        first = next((m for m in self.messages if m.message_id == self.intent), None)
        if leaves and (first is None or first.at + KEPT_S < self.now):
            self.messages.append(Message(str(self.intent), self.now, self.now))
            self.time_passes(0.0)

    @precondition(lambda self: self.state is State.UNKNOWN)
    @rule()
    def resolve(self) -> None:
        """Let a person say what became of it, once nothing can come of it any more."""
        if any(m.acts_at is not None and not m.acted for m in self.messages):
            return
        self._enter(Event.VOUCHED if self.effects else Event.DISOWNED)

    # What must hold, always.

    @invariant()
    def nobody_is_moved_twice(self) -> None:
        assert len(getattr(self, "effects", ())) <= 1

    @invariant()
    def success_was_seen(self) -> None:
        if getattr(self, "state", None) is State.TRANSFERRED:
            assert self.effects

    @invariant()
    def what_is_told_as_not_done_never_will_be(self) -> None:
        if getattr(self, "state", State.SENDING) in (FINAL - {State.TRANSFERRED}) | {State.READY}:
            assert not self.effects
            assert all(m.acts_at is None or m.acted for m in self.messages)

    @invariant()
    def a_doubt_holds_the_interaction(self) -> None:
        if getattr(self, "state", None) in HELD:
            assert decide(self.claims, HERE, again=True).action is Action.IN_DOUBT

    def _is_to_be_sent(self) -> bool:
        verdict = decide(self.claims, HERE, again=False)
        carried = any(claim.state is State.TRANSFERRED for claim in self.claims)
        assert verdict.action is (Action.UNCHANGED if carried else Action.SEND)
        if verdict.action in SENDS:
            self._claim(State.READY, new=True)
        return verdict.action in SENDS

    def _enter(self, event: Event) -> None:
        self._claim(step(self.state, event))

    def _claim(self, state: State, *, new: bool = False) -> None:
        self.state = state
        n = len(self.claims) + 1 if new else len(self.claims)
        del self.claims[n - 1 :]
        self.claims.append(Claim(n, 1, f"run-{n}", "batch", "key", HERE, state))

    def _look(self) -> Interaction:
        """Return what REST shows: an effect `VISIBLE_S` after it at the latest."""
        shown = [message_id for at, message_id in self.effects if at + VISIBLE_S <= self.now]
        return Interaction(
            "interaction",
            found=True,
            state="connected",
            destination_uri=HERE if shown else BEFORE,
            last_transfer_id=shown[-1] if shown and self.tells_ids else None,
            date_s=self.now,
        )


class Expiring(OneInteraction):
    promise = Expires(EXPIRES_S, VISIBLE_S)


class Deduping(OneInteraction):
    promise = Dedupes(KEPT_S)


TestNothingPromised = OneInteraction.TestCase
TestExpiring = Expiring.TestCase
TestDeduping = Deduping.TestCase
for machine in (TestNothingPromised, TestExpiring, TestDeduping):
    machine.settings = settings(max_examples=200, stateful_step_count=20, deadline=None)
del machine
