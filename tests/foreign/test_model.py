"""The model of a gateway keeps its promises and its ledger, without a clock of its own."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from tests.foreign.model import (
    CLIENT_ID,
    CLIENT_SECRET,
    Action,
    Close,
    Cut,
    GatewayModel,
    Pause,
    Send,
)
from tests.foreign.script import CUT_BUT_MOVED, LIMITED, MUTE_BUT_MOVED, Step
from tests.foreign.wire import Request

FRAME = (
    '{"type": "interaction.transfer", "id": "0e0f9c1c-6f0e-4b7e-9a51-3a5d3b9e2b11",'
    ' "interaction_id": "i-1", "destination_uri": "genesys://queue/billing-new",'
    ' "media_matrix": {"audio": {"codec": "opus", "bandwidth_kbps": 64, "bit_depth": 16}},'
    ' "timestamp": "2026-12-01T21:00:00.000000Z",'
    ' "triggers": {"codec_negotiation": true, "format_verification": true}}'
)  # protocol.md, "Request"
WALL = 1_796_158_800.0  # the frame's timestamp
ID = json.loads(FRAME)["id"]


class Played:
    """A model, and what it noted."""

    def __init__(self, *steps: Step, **promised: Any) -> None:
        self.notes: list[str] = []
        self.model = GatewayModel(note=self._note, **promised)
        self.model.scripts["i-1"] = list(steps)

    def _note(self, event: str, _: Mapping[str, Any]) -> None:
        self.notes.append(event)

    def take(self, now: float, *, session: int = 1) -> list[Action]:
        self.model.frame(session, FRAME, now=now, wall=WALL + now)
        return self.model.due(now)

    def shown(self) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self.token()}"}
        answer = self.model.request(Request("GET", "/api/v2/interactions/i-1", headers, b""))
        return dict(answer.body)

    def token(self) -> str:
        basic = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        body = b"grant_type=client_credentials"
        headers = {"authorization": f"Basic {basic}"}
        answer = self.model.request(Request("POST", "/oauth/token", headers, body))
        return str(answer.body["access_token"])


def said(status: str, session: int = 1) -> Send:
    return Send(session, json.dumps({"id": ID, "status": status}))


def test_a_frame_is_carried_out_answered_and_shown():
    played = Played()
    assert played.take(0) == [said("codec_negotiated")]
    assert [move.message_id for move in played.model.moves("i-1")] == [ID]
    assert played.shown() == {
        "id": "i-1",
        "state": "active",
        "destination_uri": "genesys://queue/billing-new",
        "last_transfer_id": ID,
    }
    assert played.notes == ["arrived", "moved", "asked"]


def test_effect_sight_and_reply_have_their_own_times():
    played = Played(Step(act_s=1, visible_s=5, delay_s=2))
    assert played.take(0) == []
    assert played.model.next_at == 1
    assert played.model.due(1) == []
    assert len(played.model.effects) == 1
    assert "last_transfer_id" not in played.shown()
    assert played.model.due(3) == [said("codec_negotiated")]
    assert played.model.due(6) == []
    assert played.shown()["last_transfer_id"] == ID
    assert played.model.next_at is None


def test_steps_are_taken_in_turn_and_the_last_repeats():
    played = Played(
        LIMITED, MUTE_BUT_MOVED, CUT_BUT_MOVED, Step(close_code=1013, close_reason="no")
    )
    assert played.take(0) == [Send(1, json.dumps(LIMITED.reply(ID)))]
    assert played.take(1) == []
    assert played.take(2) == [Cut(1)]
    assert played.take(3) == [Close(1, 1013, "no")]
    assert played.take(4, session=2) == [Close(2, 1013, "no")]
    assert len(played.model.moves("i-1")) == 2 + 2  # a close says nothing of the effect


def test_a_reply_waits_for_its_gate_and_the_effect_does_not():
    played = Played(Step(until="go", copies=2))
    assert played.take(0) == []
    assert len(played.model.effects) == 1
    played.model.open_gate("go", now=7)
    assert played.model.due(7) == [said("codec_negotiated")] * 2
    assert played.take(8) == [said("codec_negotiated")] * 2  # it stays open


def test_a_gateway_that_dedupes_acts_once_and_answers_each_time():
    played = Played(Step(act_s=2), Step(), dedupes=True)
    assert played.take(0) == []
    assert played.take(1, session=2) == []  # the first is not acted upon yet
    assert played.model.due(2) == [said("codec_negotiated"), said("codec_negotiated", 2)]
    assert len(played.model.effects) == 1
    assert played.notes == ["arrived", "arrived", "repeated", "moved"]


def test_without_a_promise_a_repeat_moves_again():
    played = Played()
    played.take(0)
    played.take(1)
    assert len(played.model.moves("i-1")) == 2


def test_what_expired_is_never_acted_upon_nor_answered():
    played = Played(Step(act_s=1), Step(act_s=1.5), expires_s=2)
    played.take(0.9)
    played.take(0.9)
    assert played.model.due(9) == [said("codec_negotiated")]
    assert played.notes == ["arrived", "arrived", "moved", "expired"]


def test_a_stall_pauses_the_session_and_what_it_holds():
    played = Played(Step(stall_s=10))
    assert played.take(0) == [Pause(1, 10)]
    assert played.model.effects == []
    assert played.model.due(10) == [said("codec_negotiated")]


def test_a_session_is_refused_without_a_token_and_after_its_revocation():
    played = Played()
    handshake = Request("GET", "/", {"authorization": f"Bearer {played.token()}"}, b"")
    assert played.model.admit(handshake) is None
    played.model.revoke_tokens()
    refusal = played.model.admit(handshake)
    assert refusal is not None
    assert refusal.status == 401
