"""The gateway's own rate, and what it promises: to dedupe, to let expire."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.transfer.doubt_evidence import Dedupes, Expires, Promise
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.faults import FAULTS, Decisions
from tests.simulator.shell import NOW, shell, transfer


def test_frames_over_the_own_rate_are_answered_rate_limited() -> None:
    gateway = shell(GatewayBehaviour(rate_per_s=5, burst=2))

    first = [gateway.send(transfer(n))[0] for n in range(10)]
    wait_s = gateway.answers[-1]["retry_after"]
    gateway.now += wait_s + 0.001
    later = [gateway.send(transfer(n))[0] for n in range(10, 20)]

    assert Counter(first) == {"codec_negotiated": 7, "rate_limited": 3}
    assert wait_s == 1.0
    assert Counter(later) == {"codec_negotiated": 7, "rate_limited": 3}


@pytest.mark.parametrize(
    ("promise", "behaviour"),
    [
        (None, GatewayBehaviour()),
        (Dedupes(3600.0), GatewayBehaviour(dedupes=True)),
        (Expires(30.0, 0.5), GatewayBehaviour(expires_s=30.0, visible_s=0.5)),
    ],
)
def test_exactly_what_is_promised_is_kept(promise: Promise, behaviour: GatewayBehaviour) -> None:
    assert GatewayBehaviour.keeping(promise) == behaviour
    assert GatewayBehaviour.keeping(promise, rate_per_s=5.0) == replace(behaviour, rate_per_s=5.0)


def test_a_clock_stepped_back_does_not_shut_the_rate_gate() -> None:
    gateway = shell(GatewayBehaviour(rate_per_s=1, burst=1))
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
    gateway = shell(GatewayBehaviour(dedupes=True))

    assert gateway.send(transfer()) == gateway.send(transfer()) == ["codec_negotiated"]
    assert gateway.answers[0] == gateway.answers[1]
    assert gateway.moves == {"interaction-1": 1}


def test_with_dedupes_a_refusal_is_repeated_too() -> None:
    gateway = shell(GatewayBehaviour(dedupes=True), faults={"rejected": 1.0})

    gateway.send(transfer())
    gateway.send(transfer())

    assert gateway.answers[0] == gateway.answers[1]


def test_with_dedupes_an_id_in_the_works_moves_once() -> None:
    """A repeat that arrives before the first one's effect does not make a second one."""
    gateway = shell(GatewayBehaviour(dedupes=True), latency_s=0.5)
    first = gateway.model.receive(transfer(), token=gateway.token, now=NOW)
    again = gateway.model.receive(transfer(), token=gateway.token, now=NOW)

    gateway.perform(again, 0.0)
    gateway.perform(first, 0.0)

    assert gateway.moves == {"interaction-1": 1}
    assert len(gateway.answers) == 2


def test_rate_limited_for_a_repeat_says_nothing_about_the_first() -> None:
    gateway = shell(GatewayBehaviour(dedupes=True, rate_per_s=1, burst=0))
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
    gateway = shell(GatewayBehaviour(dedupes=True), faults={fault: 0.5})
    for n in range(30):
        for _ in range(60):
            gateway.renew()
            if gateway.send(transfer(n)):
                break
        else:
            pytest.fail(f"message-{n} was never answered")

    assert set(gateway.moves.values()) == {1}


def test_restored_moves_are_deduped_too() -> None:
    gateway = shell(GatewayBehaviour(dedupes=True))
    gateway.model.restore("message-1", "interaction-1", "genesys://queue/billing-new", NOW - 60)

    assert gateway.send(transfer()) == ["transfer_initiated"]
    assert not gateway.moves.total()


def test_a_message_past_its_expiry_is_not_acted_upon(sent_at: float) -> None:
    gateway = shell(GatewayBehaviour(expires_s=30.0))
    gateway.now = sent_at + 29.9
    in_time = gateway.send(transfer(1))
    gateway.now = sent_at + 30.1
    late = gateway.send(transfer(2))

    assert (in_time, late) == (["codec_negotiated"], ["transfer_rejected"])
    assert +gateway.moves == {"interaction-1": 1}


def test_expiry_counts_when_the_effect_is_due_not_when_the_frame_came(sent_at: float) -> None:
    gateway = shell(GatewayBehaviour(expires_s=1.0))
    gateway.now = sent_at
    gateway.model.stall(sent_at + 8)

    assert gateway.send(transfer()) == ["transfer_rejected"]
    assert not gateway.moves.total()


def test_expired_once_is_expired_for_every_repeat(sent_at: float) -> None:
    gateway = shell(GatewayBehaviour(expires_s=1.0, dedupes=True))
    gateway.now = sent_at + 5

    assert gateway.send(transfer()) == gateway.send(transfer()) == ["transfer_rejected"]


def test_carried_out_in_time_stays_so_for_a_repeat_past_the_expiry(sent_at: float) -> None:
    gateway = shell(GatewayBehaviour(expires_s=1.0, dedupes=True))
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
        GatewayBehaviour(dedupes=True, expires_s=30.0),
        seed=seed,
        faults=dict.fromkeys(FAULTS, share),
    )
    decided: list[Decisions] = []
    for n, after_s in deliveries:
        gateway.now = NOW + after_s
        gateway.renew()
        decided.append(gateway.model.receive(transfer(n), token=gateway.token, now=gateway.now))
    for decisions in reversed(decided):
        gateway.perform(decisions, 0.0)

    assert all(moves <= 1 for moves in gateway.moves.values())
