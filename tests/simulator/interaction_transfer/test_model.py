"""The gateway's model without any I/O: the decisions on each frame."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.manifest.model import SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.faults import Answer, Close, Effect, Seen
from runner.simulator.interaction_transfer.model import ORIGIN_URI, GatewayModel
from runner.simulator.tokens import SCOPES, Tokens
from tests.simulator.shell import CONSTRAINTS, NOW, OPUS, Shell, shell, transfer


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
    gateway = shell(GatewayBehaviour(visible_s=2.0))
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

    ended = [i for i in ids if (first.model.view(i, NOW) or {})["state"] == "completed"]

    assert ended == [i for i in ids if (second.model.view(i, NOW) or {})["state"] == "completed"]
    assert 320 < len(ended) < 480
    assert first.send(transfer(interaction_id=ended[0])) == ["interaction_terminated"]


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
