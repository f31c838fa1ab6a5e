"""The manifest as frozen values: loaded, checked and resolved.

Names follow manifest.md. Durations are in seconds (`_s`), rates are per second. Of `environments`
there is only the chosen one. Secrets are wrapped in `Secret`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import KW_ONLY, field
from typing import Any, NamedTuple

from runner.core.frozen import frozen
from runner.core.gates import Bound, Gate, UrlGate, WaveConditions
from runner.core.manifest.dated_window import Moment, Window
from runner.core.manifest.destinations import NO_LIMITS, DestinationTable
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.quantity import Amount
from runner.core.manifest.recurring_window import NO_WINDOWS, Windows, utc_text
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.pacing.circuit_breaker import BreakerPolicy
from runner.core.transfer.doubt_evidence import Promise
from runner.core.transfer.outcome import Outcome


class Secret:
    """A text that `repr`, `str`, formats, logs and tracebacks never show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the plain text; call this only where the text is sent."""
        return self._text

    def digest(self) -> str:
        """Return the SHA-256 of the text, in hexadecimal, which identifies the secret without showing it."""
        return hashlib.sha256(self._text.encode(errors="surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a secret is not serialised")


def plain(text: str | Secret) -> str:
    """Return the text of a value that may be a secret; call this only where it is sent."""
    return text.reveal() if isinstance(text, Secret) else text


@frozen
class Endpoints:
    """The gateway's addresses, all absolute URLs.

    `token_url` is empty if the driver fetches no token; `websocket_url` is None if the manifest
    does not name one.
    """

    token_url: str
    api_url: str
    websocket_url: str | None = None


class NoEffect(NamedTuple):
    """Why a field of the manifest has no effect with a driver, and the fix."""

    why: str
    help: str


@frozen
class SimulatedPlatform:
    """A platform that the embedded gateway can be (manifest.md, "Simulator")."""

    name: str
    """What `simulator.platform` says."""

    faults: frozenset[str]
    """The faults that `simulator.faults` may name."""

    options: frozenset[str] = frozenset()
    """Options of `simulator` that have an effect with this platform alone."""


@frozen
class DriverTraits:
    """Facts about a driver for checking manifests and making plans.

    `drivers.DriverSpec` adds the factories of its adapters.
    """

    _: KW_ONLY
    name: str
    """The value of `driver` in a manifest."""

    endpoints: tuple[str, ...] = ("api_url",)
    """Fields of `Endpoints` that `region` or `endpoints` must give; `api_url` always."""

    regions: Mapping[str, Endpoints] = field(default_factory=dict)
    """The values of `region`, with their addresses."""

    example_region: str | None = None
    """The region that a fix suggests if there is neither region nor endpoints."""

    needs_credentials: bool = True
    """Whether `credentials` are required."""

    http_rate: str | None = None
    """The default of `limits.http_rate`."""

    scopes: tuple[str, ...] = ()
    """The default of `scopes`."""

    options_schema: Mapping[str, Any] | None = None
    """The JSON schema of `options`; None: the driver has no options."""

    no_effect: Mapping[str, NoEffect] = field(default_factory=dict)
    """Fields of an environment without effect, such as `endpoints.websocket_url`."""

    promises: frozenset[str] = frozenset({"dedupes", "expires"})
    """The promises that `delivery` of its gateway may make."""

    no_dedupes: NoEffect | None = None
    """Why `dedupes` is not among the promises."""

    longest_request_s: float = 0.0
    """The longest time of a request; `expires` must be longer."""

    requests_per_delivery: int = 0
    """HTTP requests of a delivery, without its look-up."""

    needs_lookup: bool = False
    """Whether a delivery needs the result of a look-up, so that every transfer is looked up first."""

    waits_for_outcome: bool = False
    """Whether a reply may take `policy.outcome_timeout` instead of `negotiation_timeout`."""

    can_select: bool = False
    """Whether it can look up ids by name, and the interactions of a queue (`Directory`)."""

    can_observe_capacity: bool = False
    """Whether it can report the capacity of a destination."""

    plan_note: str | None = None
    """A note for every plan."""

    simulated: SimulatedPlatform | None = None
    """What the embedded gateway offers as this driver's peer; None: it cannot be that."""

    def requests_each(self, *, preflight: bool) -> int:
        """Return the number of HTTP requests of a transfer, including its look-up."""
        return int(preflight or self.needs_lookup) + self.requests_per_delivery


@frozen
class Limits:
    """Limits of a run; `None` is unlimited (protocol.md, "The shared rate")."""

    rate_per_s: float | None = None
    burst: int = 1
    in_flight: int = 64
    http_rate_per_s: float | None = None


SIMULATOR = "simulator"
"""The value of `driver` for the embedded gateway."""


@frozen
class SimulatorOptions:
    """The embedded gateway's behaviour: `faults` are shares (0 to 1) by fault name.

    Some fields have an effect only with some platforms (`SimulatedPlatform.options`): `waiting` and
    `served` (interactions that wait, and that agents serve, by queue name), `queues` and `users`
    (further names), `former_users` (deleted or inactive), `presence`, and `http_rate_per_s`
    (requests per token; None: the platform's own rate). `agents` work queues off.
    """

    latency_s: float = 0.02
    seed: int = 0
    faults: Mapping[str, float] = field(default_factory=dict)
    ended_share: float = 0.0
    platform: str = "interaction-transfer"
    waiting: Mapping[str, int] = field(default_factory=dict)
    queues: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    served: Mapping[str, int] = field(default_factory=dict)
    former_users: tuple[str, ...] = ()
    http_rate_per_s: float | None = None
    agents: Mapping[str, int] = field(default_factory=dict)  # on queue, by queue name
    handle_time_s: float = 240.0  # of an interaction, on average
    presence: Mapping[str, str] = field(default_factory=dict)  # of users, by name
    skills: tuple[str, ...] = ()  # that interactions ask for, by chance
    languages: tuple[str, ...] = ()


@frozen
class Environment:
    """The chosen environment. `endpoints` and credentials are None under the simulator.

    `driver` is the one that is used, also with the embedded gateway.
    """

    name: str
    driver: DriverTraits
    gateway: str
    limits: Limits = field(default_factory=Limits)
    scopes: tuple[str, ...] = ("interaction:transfer", "websocket:use", "interaction:view")
    endpoints: Endpoints | None = None
    client_id: Secret | None = None
    client_secret: Secret | None = None
    account: str | None = None  # whose history and rate it is; None: the client's id's
    ca_file: str | None = None  # absolute path
    simulator: SimulatorOptions | None = None  # None: a real gateway
    options: Mapping[str, Any] = field(default_factory=dict)  # the driver's own

    @property
    def is_simulated(self) -> bool:
        """Whether the gateway is the embedded one, so that no customer is moved."""
        return self.simulator is not None

    @property
    def driver_name(self) -> str:
        """The value of `driver` in the manifest."""
        return self.driver.name if self.simulator is None else SIMULATOR

    def requests_each(self, *, preflight: bool) -> int:
        """Return the number of HTTP requests of a transfer, including its look-up."""
        return self.driver.requests_each(preflight=preflight)


@frozen
class GatewayConstraints:
    """The limits and promises of a gateway (manifest.md, `gateways`)."""

    name: str
    max_bandwidth_kbps: float
    supported_codecs: tuple[str, ...]
    max_fps: float
    max_resolution: str | None = None
    total_bandwidth_kbps: float | None = None  # of all transfers in flight together
    promise: Promise = None  # of its deliveries (`delivery`)
    carried_out: frozenset[str] = frozenset()  # further statuses of its replies
    not_carried_out: frozenset[str] = frozenset()


@frozen
class Callback:
    """An HTTP address that receives final outcomes."""

    name: str
    url: str | Secret
    method: str = "POST"
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    secret: Secret | None = None
    on: frozenset[str] = frozenset(outcome.value for outcome in Outcome if outcome.calls_back)
    allow_private: bool = False


NOTIFICATION_EVENTS = ("started", "held", "stopped", "in_doubt", "finished")
"""What messages may be about (manifest.md, `notify`)."""


@frozen
class Notification:
    """An address for messages about a run. `url` None: a rehearsal could not resolve it."""

    name: str  # such as notify[0], because the address is a secret
    url: Secret | None
    on: frozenset[str] = frozenset(NOTIFICATION_EVENTS)


@frozen
class RetryPolicy:
    """`attempts` counts deliveries per media matrix, the first included."""

    attempts: int = 4
    base_s: float = 1.0
    cap_s: float = 30.0


@frozen
class ApprovalPolicy:
    """How many people must approve a plan, and who may (operations.md, "Approval")."""

    required: int
    signers: str  # absolute path of a file of allowed signers
    max_age_s: float = 86_400.0
    environments: tuple[str, ...] = ()  # that need approval; none: all do


@frozen
class Policy:
    """How a batch is sent (manifest.md, `policy`)."""

    preflight: bool = True
    negotiation_timeout_s: float = 10.0
    outcome_timeout_s: float = 60.0  # while the destination is being rung (`waits_for_outcome`)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    circuit_breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    waves: tuple[Amount, ...] = ()  # cumulative; none: all at once
    max_failures: Amount | None = None  # the run stops when failures exceed it; None: never
    window: Window | None = None  # outside of which nothing is sent; None: at any time
    wave_conditions: tuple[WaveConditions, ...] = ()  # of each of `waves`
    answer_timeout_s: float = 3600.0  # how long a pause, gate or confirmation may hold the run
    control_group: str | None = None  # the group that may control a run; None: its account alone
    windows: Windows = NO_WINDOWS  # as well
    approvals: ApprovalPolicy | None = None  # of a plan; None: the manifest requires none

    def why_shut(self, at_s: float, was_open_s: float | None = None) -> str | None:
        """Return why nothing may be sent at `at_s`, with the fix; None if every window is open.

        `was_open_s` is a time before it at which all of them were open.
        """
        why = None if self.window is None else self.window.why_shut(at_s)
        return why or (self.windows.why_shut(at_s, was_open_s) if self.windows else None)

    def shut_until_s(self, at_s: float) -> float | None:
        """Return when the windows are next open, from `at_s` on; None: they do not open again."""
        window = self.window or Window()
        begins_s = at_s if window.not_before is None else max(at_s, window.not_before.at_s)
        for opening in self.windows.openings(begins_s):
            return opening.opens_s if window.is_open(opening.opens_s) else None
        return None

    def next_span(self, at_s: float) -> Window | None:
        """Return when frames may leave next, from `at_s` on; None: never again."""
        if (opens_s := self.shut_until_s(at_s)) is None:
            return None
        closings = [] if self.window is None else [self.window.not_after]
        if self.windows:
            closes = (each.closes_s for each in self.windows.openings(opens_s))
            closings += [
                Moment(self.windows.spelt(each), each) for each in closes if each is not None
            ]
        ends = min(filter(None, closings), key=lambda each: each.at_s, default=None)
        return Window(Moment(self._spelt(opens_s), opens_s), ends)

    def _spelt(self, at_s: float) -> str:
        """Return a time as text, in the zone of the windows."""
        if self.windows:
            return self.windows.spelt(at_s)
        return utc_text(at_s) if self.window is None else self.window.spelt(at_s)


@frozen
class Manifest:
    """Everything but the transfers, which are streamed (`core.transfer.rows.TransferRow`)."""

    path: str  # as the user gave it
    sha256: str  # of the manifest file's bytes
    name: str  # the batch's name
    environment: Environment
    gateway: GatewayConstraints
    callbacks: Mapping[str, Callback]
    policy: Policy
    labels: Mapping[str, str] = field(default_factory=dict)
    excerpt: ManifestExcerpt | None = None  # its first lines, for the report
    gates: Mapping[str, Gate] = field(default_factory=dict)
    reverts: str | None = None  # the run whose transfers it carries back
    description: str | None = None  # what the batch is for, for the report
    notify: tuple[Notification, ...] = ()
    destinations: DestinationTable = NO_LIMITS

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Every secret that the manifest refers to, resolved; client ids are not secrets."""
        callbacks = (
            each
            for callback in self.callbacks.values()
            for each in (callback.secret, callback.url, *callback.headers.values())
            if isinstance(each, Secret)
        )
        headers = (
            value
            for gate in self.gates.values()
            if isinstance(gate, UrlGate)
            for value in gate.headers.values()
            if isinstance(value, Secret)
        )
        messages = (each.url for each in self.notify)
        return tuple(
            each
            for each in (self.environment.client_secret, *callbacks, *headers, *messages)
            if each
        )


@frozen
class QueueSelection:
    """Selects the interactions that wait in a queue at the time of the run (genesys-cloud.md, "Selecting from a queue").

    `queue` is an id or a name. With `is_connected` it selects those that agents are serving, with
    `held_by` (id or name) that agent alone; without `queue`, whatever queue they came by. `skill`
    and `language` are ids or names; addresses are patterns. `destination_uri` and what follows it
    up to `source` are the fields of the resulting rows.
    """

    queue: str | None
    media_types: frozenset[str]
    older_than_s: float | None
    limit: int | None
    destination_uri: str
    media: tuple[MediaMatrix, ...]
    callbacks: tuple[str, ...]
    source: str  # "file:line"
    is_connected: bool = False
    held_by: str | None = None
    direction: str | None = None  # "inbound" | "outbound"
    address_from: tuple[str, ...] = ()  # one of them matches; empty: any
    address_to: tuple[str, ...] = ()
    skill: str | None = None
    language: str | None = None
    priority: Bound | None = None


@frozen
class DuplicateRows:
    """Two rows that share a key or an interaction (R005), by their numbers from 0 as added."""

    kind: str  # "key" | "interaction"
    value: str
    first: int
    second: int
