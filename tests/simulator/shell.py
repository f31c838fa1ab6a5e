"""A shell for the gateway's model, without network or waiting."""

import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from runner.core.manifest.model import GatewayConstraints, SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.faults import Answer, Decisions, Effect, Seen
from runner.simulator.interaction_transfer.model import GatewayModel
from runner.simulator.tokens import Tokens

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


def shell(behaviour: GatewayBehaviour | None = None, **options: Any) -> Shell:
    options = {"latency_s": 0.0, "seed": 7} | options
    tokens = Tokens("ada", "lovelace", Random(1))
    return Shell(
        GatewayModel(
            CONSTRAINTS, SimulatorOptions(**options), tokens, behaviour or GatewayBehaviour()
        )
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
