"""What a seed decides before anything happens: promises, limits, policies, rows, people."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from pathlib import Path

from runner.core.manifest.dated_window import Moment, Window
from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import Endpoints, Environment, Limits, Policy, RetryPolicy, Secret
from runner.core.manifest.quantity import EVERYTHING as EVERYONE
from runner.core.manifest.quantity import Amount, Share
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Dedupes, Expires, Promise
from runner.core.transfer.rows import TransferRow
from runner.gateways.interaction_transfer.spec import SPEC as INTERACTION_WEBSOCKET
from runner.staging.rows import Selection
from tests.simulation.gateway_state import GatewayState, Promised
from tests.simulation.process import Orders
from tests.simulation.simulation import Simulation
from tests.simulation.sockets import URL

HERE = "genesys://queue/here"
THERE = "genesys://queue/there"
ELSEWHERE = "sip:somebody@else.example"
HD = MediaMatrix(Audio("opus", 64, 16))
NARROW = MediaMatrix(Audio("pcmu", 64, 8))

EVERYTHING = Selection()


def draw_promised(chance: random.Random) -> Promised:
    """Draw what the gateway promises."""
    tells_ids = chance.random() < 0.8
    match chance.choice(("nothing", "dedupes", "expires")):
        case "dedupes":
            return Promised(dedupes_s=chance.choice((60.0, 900.0, 86_400.0)), tells_ids=tells_ids)
        case "expires":
            expires_s, visible_s = chance.choice((5.0, 30.0)), chance.choice((0.0, 2.0, 10.0))
            return Promised(expires_s=expires_s, visible_s=visible_s, tells_ids=tells_ids)
        case _:
            return Promised(tells_ids=tells_ids)


def _promise(promised: Promised) -> Promise:
    """Return what the manifest declares: exactly what the gateway promises."""
    if promised.dedupes_s is not None:
        return Dedupes(promised.dedupes_s)
    if promised.expires_s is not None:
        return Expires(promised.expires_s, promised.visible_s)
    return None


def draw_orders(
    chance: random.Random, promised: Promised, journal: Path, *, over_sockets: bool
) -> Orders:
    """Draw by which rules every run goes."""
    limits = Limits(
        rate_per_s=chance.choice((None, 1.5, 5.0, 25.0, 200.0)),
        burst=chance.choice((1, 1, 3)),
        in_flight=chance.choice((1, 4, 64)),
        http_rate_per_s=chance.choice((None, None, 5.0)),
    )
    endpoints = Endpoints(
        token_url="https://gateway.example/token",
        api_url="https://gateway.example",
        websocket_url=URL if over_sockets else "wss://gateway.example/ws",
    )
    environment = Environment(
        name="simulated",
        driver=INTERACTION_WEBSOCKET,
        gateway="gateway",
        limits=limits,
        endpoints=endpoints,
        client_id=Secret("client"),
        client_secret=Secret("secret-of-the-simulation"),
    )
    policy = Policy(
        preflight=chance.random() < 0.6,
        negotiation_timeout_s=chance.choice((2.0, 10.0)),
        retry=RetryPolicy(
            chance.choice((1, 2, 4, 4)), base_s=chance.choice((0.1, 1.0)), cap_s=10.0
        ),
        circuit_breaker=BreakerPolicy(
            failures=chance.choice((2, 8)),
            cool_down_s=chance.choice((2.0, 15.0)),
            give_up_s=chance.choice((20.0, 60.0)),
        ),
    )
    return Orders(environment, policy, _promise(promised), journal)


def draw_course(chance: random.Random, policy: Policy, wall_s: float) -> Policy:
    """Draw how far one run may go: waves, failures that are borne, a window around `wall_s`."""
    waves: tuple[Amount, ...] = ()
    if chance.random() < 0.3:
        waves = chance.choice(((1, EVERYONE), (1, Share(0.3), EVERYONE), (2, 4, EVERYONE)))
    max_failures: Amount | None = None
    if chance.random() < 0.3:
        max_failures = chance.choice((0, 1, Share(0.1), Share(0.5)))
    window = _draw_window(chance, wall_s) if chance.random() < 0.3 else None
    return replace(policy, waves=waves, max_failures=max_failures, window=window)


def _draw_window(chance: random.Random, wall_s: float) -> Window:
    opens_s = chance.choice((-1000.0, -1.0, -0.001, 0.5))
    closes_s = 0.6 + chance.choice((1.0, 5.0, 60.0)) * chance.random()
    opens, closes = Moment("opening", wall_s + opens_s), Moment("closing", wall_s + closes_s)
    return Window(chance.choice((None, opens)), closes)


def draw_row(n: int, key: str, interaction_id: str, chance: random.Random, uri: str) -> TransferRow:
    """Draw a row of the manifest."""
    media = (HD, NARROW) if chance.random() < 0.7 else (HD,)
    return TransferRow(key, interaction_id, uri, media, ("crm",), f"batch.yaml:{n}")


def draw_selection(chance: random.Random) -> Selection:
    """Draw what a run is to send."""
    drawn = chance.random()
    if drawn < 0.08:
        return Selection(only=("?1*", "?2"))
    return Selection(limit=chance.randint(1, 5)) if drawn < 0.16 else EVERYTHING


def draw_people(
    chance: random.Random, simulation: Simulation, gateway_state: GatewayState
) -> list[str]:
    """Let there be interactions, a few of which cannot be moved, or are moved by somebody else."""
    names = [f"i{n}" for n in range(chance.choice((1, 3, 6, 10, 16)))]
    for name in names:
        drawn = chance.random()
        if drawn < 0.03:
            gateway_state.ledger.touched.add(name)  # there is no such interaction
        elif drawn < 0.06:
            gateway_state.add(name, state="completed")
        elif drawn < 0.08:
            gateway_state.add(name, uri=HERE)
        else:
            gateway_state.add(name, state=chance.choice(("active", "queued")))
            if drawn > 0.96:
                gateway_state.refuse(name)
    others = chance.random() < 0.2
    for name in names:
        if others and name not in gateway_state.ledger.touched and chance.random() < 0.2:
            ends = chance.random() < 0.5
            state, uri = ("completed", None) if ends else (None, ELSEWHERE)
            simulation.after(
                chance.uniform(0, 30), partial(gateway_state.change, name, state=state, uri=uri)
            )
    return names
