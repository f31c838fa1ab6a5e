"""The gateway's mind without any I/O: what each frame leads to, by the table of faults."""

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import UsageError
from runner.core.manifest import GatewayConstraints, SimulatorOptions
from runner.simulator.faults import FAULTS, Answer, Close, Cut, Decisions, Effect, Seen
from runner.simulator.model import ORIGIN_URI, Conduct, GatewayModel
from runner.simulator.tokens import SCOPES, Tokens

NOW = 1796158800.2
OPUS = {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}}
PCMU = {"audio": {"codec": "pcmu", "bandwidth_kbps": 64, "bit_depth": 8}}
CONSTRAINTS = GatewayConstraints("edge-ams", 2048, ("opus", "pcmu", "vp8"), 30)


@dataclass
class Shell:
    """Performs decisions at once on a clock of its own, and keeps what came of them."""

    model: GatewayModel
    now: float = NOW
    moves: Counter[str] = field(default_factory=Counter)
    answers: list[dict[str, Any]] = field(default_factory=list)
    others: list[object] = field(default_factory=list)
    longest_s: float = 0.0

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        status, body = self.model.tokens.answer(
            "Basic YWRhOmxvdmVsYWNl", "grant_type=client_credentials", self.now
        )
        assert status == 200
        self.token = body["access_token"]

    def send(self, text: str) -> list[str]:
        """Send a frame; return the statuses answered to it, once all has been performed."""
        before = len(self.answers)
        self.perform(self.model.receive(text, token=self.token, now=self.now), 0.0)
        return [answer["status"] for answer in self.answers[before:]]

    def perform(self, decisions: Decisions, waited_s: float) -> None:
        for delay_s, action in decisions:
            after_s = waited_s + delay_s
            self.longest_s = max(self.longest_s, after_s)
            if isinstance(action, Effect):
                done, following = self.model.carry_out(action, self.now + after_s)
                self.moves[action.interaction_id] += done
                self.perform(following, after_s)
            elif isinstance(action, Answer):
                self.answers.append(json.loads(action.text))
            elif not isinstance(action, Seen):
                self.others.append(action)


def shell(conduct: Conduct | None = None, **options: Any) -> Shell:
    options = {"latency_s": 0.0, "seed": 7} | options
    tokens = Tokens("ada", "lovelace", Random(1))
    return Shell(
        GatewayModel(CONSTRAINTS, SimulatorOptions(**options), tokens, conduct or Conduct())
    )


def transfer(n: int = 1, interaction_id: str | None = None, **changes: Any) -> str:
    body = {
        "type": "interaction.transfer",
        "id": f"message-{n}",
        "interaction_id": interaction_id or f"interaction-{n}",
        "destination_uri": "genesys://queue/billing-new",
        "media_matrix": OPUS,
        "timestamp": "2026-12-01T21:00:00.123456Z",
        "triggers": {"codec_negotiation": True, "format_verification": True},
    }
    return json.dumps(body | changes)


def test_a_transfer_is_carried_out_and_answered_with_its_media() -> None:
    gateway = shell()

    assert gateway.send(transfer()) == ["codec_negotiated"]
    assert gateway.answers == [
        {"id": "message-1", "status": "codec_negotiated", "media_matrix": OPUS}
    ]
    assert gateway.moves == {"interaction-1": 1}


def test_without_negotiation_a_transfer_is_only_initiated() -> None:
    gateway = shell()
    triggers = {"codec_negotiation": False, "format_verification": True}

    gateway.send(transfer(triggers=triggers))

    assert gateway.answers == [{"id": "message-1", "status": "transfer_initiated"}]


def test_the_frame_is_noted_before_anything_else() -> None:
    gateway = shell()
    decisions = gateway.model.receive(transfer(), token=gateway.token, now=NOW)

    assert decisions[0] == (0.0, Seen("message-1", "interaction-1"))


def test_an_answer_hangs_on_its_effect() -> None:
    """No shell can let a positive answer overtake the effect."""
    gateway = shell(latency_s=0.02)
    _, (delay_s, effect) = gateway.model.receive(transfer(), token=gateway.token, now=NOW)

    assert isinstance(effect, Effect)
    assert 0.018 <= delay_s <= 0.022
    assert effect.then == (
        (0.0, Answer('{"id":"message-1","status":"codec_negotiated","media_matrix":' + OPUS_TEXT)),
    )


OPUS_TEXT = '{"audio":{"codec":"opus","bandwidth_kbps":64,"bit_depth":16}}}'


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("{", "format_invalid"),
        (transfer(interaction_id="missing-1"), "interaction_not_found"),
        (transfer(destination_uri="genesys://skill/x"), "destination_invalid"),
        (transfer(media_matrix={"audio": OPUS["audio"] | {"codec": "g729"}}), "codec_unsupported"),
        (
            transfer(media_matrix={"audio": OPUS["audio"] | {"bandwidth_kbps": 4096}}),
            "bandwidth_exceeded",
        ),
        (transfer(timestamp="now"), "format_invalid"),
    ],
)
def test_what_cannot_be_done_is_refused_with_a_reason_and_no_effect(text: str, status: str) -> None:
    gateway = shell()

    assert gateway.send(text) == [status]
    assert gateway.answers[0]["reason"]
    assert not gateway.moves.total()


def test_a_token_without_the_scope_may_not_transfer() -> None:
    tokens = Tokens("ada", "lovelace", Random(1), grantable=frozenset(SCOPES[1:]))
    gateway = Shell(GatewayModel(CONSTRAINTS, SimulatorOptions(), tokens))

    assert gateway.send(transfer()) == ["not_authorized"]


def test_an_expired_token_closes_the_session() -> None:
    gateway = shell()
    gateway.now += 3600

    gateway.send(transfer())

    assert gateway.others == [Close(4401, "token expired or revoked")]
    assert not gateway.moves


# Interactions


def test_an_untouched_interaction_waits_at_the_origin() -> None:
    assert shell().model.view("i1", NOW) == {
        "id": "i1",
        "state": "queued",
        "destination_uri": ORIGIN_URI,
    }


def test_a_moved_interaction_shows_by_whom_and_where_to() -> None:
    gateway = shell()
    gateway.send(transfer())

    assert gateway.model.view("interaction-1", NOW) == {
        "id": "interaction-1",
        "state": "queued",
        "destination_uri": "genesys://queue/billing-new",
        "last_transfer_id": "message-1",
    }


def test_look_ups_lag_behind_effects_when_told_to() -> None:
    gateway = shell(Conduct(visible_s=2.0))
    gateway.send(transfer(1, "i1"))
    gateway.now += 3
    gateway.send(transfer(2, "i1"))

    shown = [gateway.model.view("i1", NOW + after_s) for after_s in (4.9, 5.1)]

    assert [view and view["last_transfer_id"] for view in shown] == ["message-1", "message-2"]


def test_missing_interactions_are_not_found() -> None:
    assert shell().model.view("missing-1", NOW) is None


def test_the_ended_share_is_stable_and_about_as_large_as_asked() -> None:
    ids = [f"i{n}" for n in range(2000)]
    first, second = shell(ended_share=0.2), shell(ended_share=0.2)

    ended = [i for i in ids if first.model.view(i, NOW)["state"] == "completed"]

    assert ended == [i for i in ids if second.model.view(i, NOW)["state"] == "completed"]
    assert 320 < len(ended) < 480
    assert first.send(transfer(interaction_id=ended[0])) == ["interaction_terminated"]


# Faults


def test_every_fault_in_the_table_changes_something() -> None:
    for fault in FAULTS:
        gateway = shell(faults={fault: 1.0})
        statuses = gateway.send(transfer())
        plain = statuses == ["codec_negotiated"] and gateway.longest_s == 0
        assert not plain, fault


def test_rate_limited_says_when_to_come_again_and_moves_nothing() -> None:
    gateway = shell(faults={"rate_limited": 1.0})

    assert gateway.send(transfer()) == ["rate_limited"]
    assert 0.05 <= gateway.answers[0]["retry_after"] <= 0.2
    assert not gateway.moves


def test_a_retry_under_a_new_id_is_decided_anew() -> None:
    gateway = shell(faults={"rate_limited": 0.5})

    statuses = [gateway.send(transfer(n, "i1"))[0] for n in range(40)]

    assert set(statuses) == {"rate_limited", "codec_negotiated"}


def test_codec_unsupported_lets_another_codec_pass() -> None:
    gateway = shell(faults={"codec_unsupported": 1.0})

    statuses = [
        gateway.send(transfer(1, "i1")),
        gateway.send(transfer(2, "i1")),
        gateway.send(transfer(3, "i1", media_matrix=PCMU)),
    ]

    assert statuses == [["codec_unsupported"], ["codec_unsupported"], ["codec_negotiated"]]
    assert gateway.moves == {"i1": 1}


def test_rejections_have_varied_reasons_and_no_effect() -> None:
    gateway = shell(faults={"rejected": 1.0})

    assert {gateway.send(transfer(n))[0] for n in range(30)} == {"transfer_rejected"}
    assert len({answer["reason"] for answer in gateway.answers}) > 2
    assert not gateway.moves


def test_unlisted_answers_a_status_outside_the_table_without_an_effect() -> None:
    gateway = shell(faults={"unlisted": 1.0})

    assert gateway.send(transfer()) == ["pending"]
    assert not gateway.moves


def test_muted_moves_without_an_answer() -> None:
    gateway = shell(faults={"muted": 1.0})

    assert gateway.send(transfer()) == []
    assert gateway.moves == {"interaction-1": 1}


def test_doubled_moves_once_and_answers_twice() -> None:
    gateway = shell(faults={"doubled": 1.0})

    assert gateway.send(transfer()) == ["codec_negotiated"] * 2
    assert gateway.moves == {"interaction-1": 1}


def test_a_refusal_can_be_doubled_too() -> None:
    gateway = shell(faults={"doubled": 1.0, "rate_limited": 1.0})

    assert gateway.send(transfer()) == ["rate_limited"] * 2
    assert gateway.answers[0] == gateway.answers[1]


def test_slow_answers_twenty_times_as_late_but_acts_in_time() -> None:
    gateway = shell(latency_s=0.1, faults={"slow": 1.0})
    _, (effect_s, effect) = gateway.model.receive(transfer(), token=gateway.token, now=NOW)

    assert isinstance(effect, Effect)
    assert 0.09 <= effect_s <= 0.11
    assert effect.then[0][0] == pytest.approx(1.9)


def test_cut_comes_after_the_effect_and_instead_of_the_answer() -> None:
    gateway = shell(faults={"cut": 1.0})

    assert gateway.send(transfer()) == []
    assert gateway.others == [Cut()]
    assert gateway.moves == {"interaction-1": 1}


def test_cut_before_comes_instead_of_the_effect() -> None:
    gateway = shell(faults={"cut_before": 1.0})

    assert gateway.send(transfer()) == []
    assert gateway.others == [Cut()]
    assert not gateway.moves


def test_token_expiry_closes_the_session_and_revokes_the_token() -> None:
    gateway = shell(faults={"token_expiry": 1.0})

    assert gateway.send(transfer()) == []
    assert gateway.others == [Close(4401, "token expired or revoked")]
    assert gateway.model.tokens.find(gateway.token, NOW) is None
    assert not gateway.moves


def test_after_token_expiry_a_renewed_token_goes_on() -> None:
    gateway = shell(faults={"token_expiry": 0.3})
    closed = 0
    for n in range(40):
        if not gateway.send(transfer(n)):
            closed += 1
            gateway.renew()

    assert closed == len(gateway.others) > 0
    assert gateway.moves.total() == 40 - closed


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ({"earthquake": 0.1}, "earthquake is no fault"),
        ({"muted": 1.5}, "the share of muted is 1.5"),
    ],
)
def test_an_impossible_fault_is_refused(faults: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        shell(faults=faults)


def test_shares_are_kept_and_faults_are_independent() -> None:
    gateway = shell(faults={"muted": 0.1, "rejected": 0.2})
    chance = gateway.model.chance
    ids = [f"message-{n}" for n in range(5000)]
    muted = {i for i in ids if chance.strikes("muted", i)}
    rejected = {i for i in ids if chance.strikes("rejected", i)}

    assert 400 < len(muted) < 600
    assert 850 < len(rejected) < 1150
    assert 60 < len(muted & rejected) < 140


# Determinism

ALL_FAULTS = dict.fromkeys(FAULTS, 0.1)


def test_what_strikes_depends_on_seed_and_ids_not_on_order() -> None:
    options = {"faults": {f: 0.1 for f in FAULTS if f != "token_expiry"}, "latency_s": 0.02}
    forward, backward, other = shell(**options), shell(**options), shell(**options | {"seed": 8})

    there = {n: forward.send(transfer(n)) for n in range(300)}
    back = {n: backward.send(transfer(n)) for n in reversed(range(300))}
    elsewhere = {n: other.send(transfer(n)) for n in range(300)}

    assert there == back
    assert there != elsewhere


def test_a_seed_replays_a_run_to_the_letter() -> None:
    def run() -> list[Decisions]:
        gateway = shell(faults=ALL_FAULTS, latency_s=0.02)
        decided = []
        for n in range(300):
            decided.append(gateway.model.receive(transfer(n), token=gateway.token, now=NOW))
            if gateway.model.tokens.find(gateway.token, NOW) is None:
                gateway.renew()
        return decided

    assert run() == run()


# Limits and promises


def test_frames_over_the_own_rate_are_answered_rate_limited() -> None:
    gateway = shell(Conduct(rate_per_s=5, burst=2))

    first = [gateway.send(transfer(n))[0] for n in range(10)]
    wait_s = gateway.answers[-1]["retry_after"]
    gateway.now += wait_s + 0.001
    later = [gateway.send(transfer(n))[0] for n in range(10, 20)]

    assert Counter(first) == {"codec_negotiated": 7, "rate_limited": 3}
    assert wait_s == 1.0
    assert Counter(later) == {"codec_negotiated": 7, "rate_limited": 3}


def test_a_clock_stepped_back_does_not_shut_the_rate_gate() -> None:
    gateway = shell(Conduct(rate_per_s=1, burst=1))
    for n in range(3):
        gateway.send(transfer(n))
    gateway.now -= 3000

    assert gateway.send(transfer(4)) == ["codec_negotiated"]


def test_without_a_promise_a_repeated_id_is_carried_out_again() -> None:
    """The judge must see what a blind resend does."""
    gateway = shell()

    gateway.send(transfer())
    gateway.send(transfer())

    assert gateway.moves == {"interaction-1": 2}


def test_with_dedupes_a_repeated_id_moves_once_and_is_answered_as_the_first() -> None:
    gateway = shell(Conduct(dedupes=True))

    assert gateway.send(transfer()) == gateway.send(transfer()) == ["codec_negotiated"]
    assert gateway.answers[0] == gateway.answers[1]
    assert gateway.moves == {"interaction-1": 1}


def test_with_dedupes_a_refusal_is_repeated_too() -> None:
    gateway = shell(Conduct(dedupes=True), faults={"rejected": 1.0})

    gateway.send(transfer())
    gateway.send(transfer())

    assert gateway.answers[0] == gateway.answers[1]


def test_with_dedupes_an_id_in_the_works_moves_once() -> None:
    """A repeat that arrives before the first one's effect does not make a second one."""
    gateway = shell(Conduct(dedupes=True), latency_s=0.5)
    first = gateway.model.receive(transfer(), token=gateway.token, now=NOW)
    again = gateway.model.receive(transfer(), token=gateway.token, now=NOW)

    gateway.perform(again, 0.0)
    gateway.perform(first, 0.0)

    assert gateway.moves == {"interaction-1": 1}
    assert len(gateway.answers) == 2


def test_rate_limited_for_a_repeat_says_nothing_about_the_first() -> None:
    gateway = shell(Conduct(dedupes=True, rate_per_s=1, burst=0))
    statuses = [gateway.send(transfer())[0] for _ in range(2)]
    gateway.now += 2

    assert [*statuses, *gateway.send(transfer())] == [
        "codec_negotiated",
        "rate_limited",
        "codec_negotiated",
    ]
    assert gateway.moves == {"interaction-1": 1}


@pytest.mark.parametrize("fault", ["cut", "cut_before", "muted", "token_expiry"])
def test_a_repeated_id_is_not_doomed_to_the_same_fault(fault: str) -> None:
    gateway = shell(Conduct(dedupes=True), faults={fault: 0.5})
    for n in range(30):
        for _ in range(60):
            gateway.renew()
            if gateway.send(transfer(n)):
                break
        else:
            pytest.fail(f"message-{n} was never answered")

    assert set(gateway.moves.values()) == {1}


def test_restored_moves_are_deduped_too() -> None:
    gateway = shell(Conduct(dedupes=True))
    gateway.model.restore("message-1", "interaction-1", "genesys://queue/billing-new", NOW - 60)

    assert gateway.send(transfer()) == ["transfer_initiated"]
    assert not gateway.moves.total()


def test_a_message_past_its_expiry_is_not_acted_upon(sent_at: float) -> None:
    gateway = shell(Conduct(expires_s=30.0))
    gateway.now = sent_at + 29.9
    in_time = gateway.send(transfer(1))
    gateway.now = sent_at + 30.1
    late = gateway.send(transfer(2))

    assert (in_time, late) == (["codec_negotiated"], ["transfer_rejected"])
    assert +gateway.moves == {"interaction-1": 1}


def test_expiry_counts_when_the_effect_is_due_not_when_the_frame_came(sent_at: float) -> None:
    gateway = shell(Conduct(expires_s=1.0))
    gateway.now = sent_at
    gateway.model.stall(sent_at + 8)

    assert gateway.send(transfer()) == ["transfer_rejected"]
    assert not gateway.moves.total()


def test_expired_once_is_expired_for_every_repeat(sent_at: float) -> None:
    gateway = shell(Conduct(expires_s=1.0, dedupes=True))
    gateway.now = sent_at + 5

    assert gateway.send(transfer()) == gateway.send(transfer()) == ["transfer_rejected"]


def test_carried_out_in_time_stays_so_for_a_repeat_past_the_expiry(sent_at: float) -> None:
    gateway = shell(Conduct(expires_s=1.0, dedupes=True))
    gateway.now = sent_at
    gateway.send(transfer())
    gateway.now = sent_at + 5

    assert gateway.send(transfer()) == ["codec_negotiated"]
    assert gateway.moves == {"interaction-1": 1}


def test_a_stall_holds_frames_back_and_then_lets_them_act() -> None:
    gateway = shell()
    gateway.model.stall(NOW + 8)

    assert gateway.send(transfer()) == ["codec_negotiated"]
    assert gateway.longest_s == 8.0
    assert gateway.moves == {"interaction-1": 1}


# Whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(sorted(json.loads(transfer())))


@given(text=st.text() | JSON.map(json.dumps))
def test_no_frame_breaks_the_gateway(text: str) -> None:
    gateway = shell()

    assert gateway.send(text) == ["format_invalid"]


@given(changes=st.dictionaries(FIELDS, JSON, min_size=1))
def test_a_spoilt_transfer_is_answered_and_moves_at_most_once(changes: dict[str, Any]) -> None:
    gateway = shell()

    assert len(gateway.send(json.dumps(json.loads(transfer()) | changes))) == 1
    assert gateway.moves.total() <= 1


@given(
    seed=st.integers(),
    share=st.floats(0, 1),
    deliveries=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 40)), max_size=30),
)
def test_under_dedupes_no_order_of_repeats_moves_anyone_twice(
    seed: int, share: float, deliveries: list[tuple[int, float]]
) -> None:
    """Frames are decided in one order and performed in another, with every fault in play."""
    gateway = shell(
        Conduct(dedupes=True, expires_s=30.0), seed=seed, faults=dict.fromkeys(FAULTS, share)
    )
    decided: list[Decisions] = []
    for n, after_s in deliveries:
        gateway.now = NOW + after_s
        gateway.renew()
        decided.append(gateway.model.receive(transfer(n), token=gateway.token, now=gateway.now))
    for decisions in reversed(decided):
        gateway.perform(decisions, 0.0)

    assert all(moves <= 1 for moves in gateway.moves.values())
