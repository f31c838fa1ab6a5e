"""The manifest as frozen values, once it has been loaded, checked and resolved.

Names follow manifest.md. Durations are floats in seconds (`_s`), rates are per second.
Of `environments` only the chosen one is here; secrets are wrapped in `Secret`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.quantity import Amount
from runner.core.manifest.source_excerpt import Excerpt
from runner.core.manifest.window import Window
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.evidence import Promise
from runner.core.transfer.lookup_verdict import FoundAt


class Secret:
    """A text that never shows itself: not in `repr`, `str`, formats, logs or tracebacks."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plain text; call it only where the text is put on the wire."""
        return self._text

    def digest(self) -> str:
        """Return the SHA-256 of the text, in hexadecimal: it names the secret without showing it."""
        return hashlib.sha256(self._text.encode(errors="surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not serialised")


class Driver(StrEnum):
    """Which gateway adapter carries the transfers out."""

    INTERACTION_WEBSOCKET = "interaction-websocket"
    GENESYS_CLOUD = "genesys-cloud"
    SIMULATOR = "simulator"


class Platform(StrEnum):
    """Which language a gateway speaks, the embedded one included."""

    INTERACTION_TRANSFER = "interaction-transfer"
    GENESYS_CLOUD = "genesys-cloud"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the gateway is reached; all absolute URLs.

    `websocket_url` is None where the gateway tells it itself (`genesys-cloud`).
    """

    token_url: str
    api_url: str
    websocket_url: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What the runner keeps to; `None` is unlimited (protocol.md, "The shared rate")."""

    rate_per_s: float | None = None
    burst: int = 1
    in_flight: int = 64
    http_rate_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class SimulatorOptions:
    """How the embedded gateway behaves: `faults` are shares (0 to 1) by fault name.

    `waiting` (how many wait, by the queue's name), `served` (how many agents are serving), `queues`,
    `users` (further names), `former_users` (deleted or inactive ones) and `http_rate_per_s` (requests a token may make; None: as the platform has it) are of the platform
    `genesys-cloud` alone.
    """

    latency_s: float = 0.02
    seed: int = 0
    faults: Mapping[str, float] = field(default_factory=dict)
    ended_share: float = 0.0
    platform: Platform = Platform.INTERACTION_TRANSFER
    waiting: Mapping[str, int] = field(default_factory=dict)
    queues: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    served: Mapping[str, int] = field(default_factory=dict)
    former_users: tuple[str, ...] = ()
    http_rate_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """The chosen environment. `endpoints` and credentials are None under the simulator."""

    name: str
    driver: Driver
    gateway: str
    limits: Limits = field(default_factory=Limits)
    scopes: tuple[str, ...] = ("interaction:transfer", "websocket:use", "interaction:view")
    endpoints: Endpoints | None = None
    client_id: Secret | None = None
    client_secret: Secret | None = None
    ca_file: str | None = None  # absolute path
    simulator: SimulatorOptions | None = None

    @property
    def platform(self) -> Platform:
        """The language that is spoken with the gateway."""
        if self.simulator is not None:
            return self.simulator.platform
        genesys = self.driver is Driver.GENESYS_CLOUD
        return Platform.GENESYS_CLOUD if genesys else Platform.INTERACTION_TRANSFER

    def requests_each(self, *, preflight: bool) -> int:
        """Return how many HTTP requests a transfer takes: its look-up, and where that is one, itself."""
        return 2 if self.platform is Platform.GENESYS_CLOUD else int(preflight)


@dataclass(frozen=True, slots=True)
class GatewayConstraints:
    """What a gateway can carry (manifest.md, `gateways`)."""

    name: str
    max_bandwidth_kbps: float
    supported_codecs: tuple[str, ...]
    max_fps: float
    max_resolution: str | None = None
    total_bandwidth_kbps: float | None = None  # of all transfers in flight together
    promise: Promise = None  # of its deliveries (`delivery`)
    carried_out: frozenset[str] = frozenset()  # further statuses of its replies
    not_carried_out: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Callback:
    """An HTTP address that is told of final outcomes."""

    name: str
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    secret: Secret | None = None
    on: frozenset[str] = frozenset({"transferred", "rejected", "failed", "skipped", "in_doubt"})
    allow_private: bool = False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`attempts` counts deliveries per media matrix, the first included."""

    attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Policy:
    """How a batch is carried out (manifest.md, `policy`)."""

    preflight: bool = True
    negotiation_timeout_s: float = 10.0
    outcome_timeout_s: float = 60.0  # `genesys-cloud`: while the destination is being rung
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    circuit_breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    waves: tuple[Amount, ...] = ()  # cumulative; none: all at once
    max_failures: Amount | None = None  # the run stops when failures exceed it; None: never
    window: Window | None = None  # outside of which nothing is sent; None: at any time


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything but the transfers, which are streamed (`TransferRow`)."""

    path: str  # as the user gave it
    sha256: str  # of the manifest file's bytes
    name: str  # the batch's name
    environment: Environment
    gateway: GatewayConstraints
    callbacks: Mapping[str, Callback]
    policy: Policy
    labels: Mapping[str, str] = field(default_factory=dict)
    excerpt: Excerpt | None = None  # its first lines, for the report

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that the manifest refers to, resolved; client ids are none."""
        callbacks = (callback.secret for callback in self.callbacks.values())
        return tuple(each for each in (self.environment.client_secret, *callbacks) if each)


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One transfer of the manifest, with defaults applied and names resolved."""

    key: str
    interaction_id: str
    destination_uri: str
    media: tuple[MediaMatrix, ...]  # the requested matrix, then the fallbacks in order
    callbacks: tuple[str, ...]  # names in `Manifest.callbacks`
    source: str  # "file:line", the file relative to the manifest's folder
    found_at: FoundAt | None = None  # where a selection found it


@dataclass(frozen=True, slots=True)
class QueueSelection:
    """What waits in a queue when the gateway is asked (genesys-cloud.md, "Selecting from a queue").

    `queue` is an id or a name. `is_connected`: not what waits, but what its agents are serving. The
    other fields are those of the rows that it leads to.
    """

    queue: str
    media_types: frozenset[str]
    older_than_s: float | None
    limit: int | None
    destination_uri: str
    media: tuple[MediaMatrix, ...]
    callbacks: tuple[str, ...]
    source: str  # "file:line"
    is_connected: bool = False


@dataclass(frozen=True, slots=True)
class Repeat:
    """Two rows that share a key or an interaction (R005), by their numbers from 0 as added."""

    kind: str  # "key" | "interaction"
    value: str
    first: int
    second: int
