"""Every fault of the table, the chance by which it strikes, and that a seed replays it."""

from typing import Any

import pytest

from runner.core.errors import UsageError
from runner.schemas_lookup import schema
from runner.simulator.faults import FAULTS, Close, Cut, Decisions, Effect
from runner.simulator.genesys_cloud.faults import FAULTS as GENESYS_FAULTS
from tests.simulator.shell import NOW, PCMU, shell, transfer


def test_every_fault_in_the_table_changes_something() -> None:
    for fault in FAULTS:
        gateway = shell(faults={fault: 1.0})
        statuses = gateway.send(transfer())
        plain = statuses == ["codec_negotiated"] and gateway.longest_s == 0
        assert not plain, fault


def test_manifests_know_every_fault_by_its_name() -> None:
    options = schema("manifest.v1")["$defs"]["simulator"]["properties"]

    assert set(options["faults"]["properties"]) == {*FAULTS, *GENESYS_FAULTS}


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
        ({"earthquake": 0.1}, "earthquake is not a fault"),
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


ALL_FAULTS = dict.fromkeys(FAULTS, 0.1)


def test_what_strikes_depends_on_seed_and_ids_not_on_order() -> None:
    options: dict[str, Any] = {
        "faults": {f: 0.1 for f in FAULTS if f != "token_expiry"},
        "latency_s": 0.02,
    }
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
