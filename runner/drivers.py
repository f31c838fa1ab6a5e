"""The registry of drivers: what a driver is, and where each is found.

Built-in drivers are named here; other distributions add theirs by the entry point group
`runner.drivers`, whose entries lead to a `DriverSpec`. A specification is imported when its name
is asked for, and it imports its adapters when they are made: a command pays for what it uses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import KW_ONLY
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from runner.core.errors import UsageError
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import (
    SIMULATOR,
    DriverTraits,
    Environment,
    GatewayConstraints,
    Policy,
    QueueSelection,
    SimulatedPlatform,
)
from runner.core.transfer.message import Compose, Message
from runner.ports import Clock, Directory, Gateway

if TYPE_CHECKING:  # a command that uses built-in drivers alone does without them
    from importlib.metadata import EntryPoint

    from runner.core.diagnostics.diagnosis import Check

GROUP = "runner.drivers"
"""The entry point group of drivers from other distributions."""

_BUILT_IN = {
    "interaction-websocket": "runner.gateways.interaction_transfer.spec:SPEC",
    "genesys-cloud": "runner.gateways.genesys_cloud.spec:SPEC",
}


@frozen
class Connection:
    """What a driver makes an adapter from; `jitter` returns a uniform number in [0, 1)."""

    _: KW_ONLY
    environment: Environment  # with endpoints and credentials
    policy: Policy
    clock: Clock
    jitter: Callable[[], float]
    constraints: GatewayConstraints
    destinations: Collection[str] = ()  # the plan's, for a gateway that observes each
    paused: Callable[[float, str], None] = lambda _wait_s, _why: None
    """Called by a directory that waits: for how many seconds, and why."""


class Codec(NamedTuple):
    """How a driver composes and checks messages."""

    compose: Compose
    find_fault: Callable[[Message, MediaMatrix], str | None]
    """Return what is wrong with a message, or None; it is asked before the message may leave."""


class Examined(NamedTuple):
    """What `doctor` found, and the obstacle that keeps it from opening a session, if any."""

    checks: Sequence[Check]
    obstacle: str | None = None


class PlannedUse(NamedTuple):
    """What a manifest needs from a gateway: `doctor` checks the rights for it."""

    destinations: Sequence[str]
    selections: Sequence[QueueSelection]
    observed: Sequence[str] = ()  # destinations whose capacity is observed, or patterns of such
    named: Sequence[str] = ()  # destinations by name that only limits and gates have
    asked_by_gates: Sequence[str] = ()  # queues, as destinations


class ProbedMove(NamedTuple):
    """One move of a probe, as a person reads it."""

    name: str  # "there" or "back"
    text: str  # what was moved, or why nothing was
    end: str | None = None  # None: nothing was moved
    has_arrived: bool = False


class ProbeFindings(Protocol):
    """What a probe learnt; complete at any moment."""

    @property
    def code(self) -> ExitCode:
        """How the command exits."""

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is not known that the interaction was moved."""

    def to_json(self) -> dict[str, Any]:
        """Return the content of the probe's file: no names, no addresses, no ids."""

    def moves(self) -> Sequence[ProbedMove]:
        """Return the moves in words."""

    def answers(self) -> Mapping[str, str]:
        """Return what was learnt, by question."""


Findings = TypeVar("Findings", bound=ProbeFindings)


class Prober(Protocol[Findings]):
    """Moves one interaction on purpose, there and back (`doctor --probe`)."""

    def find_fault(self, interaction_id: str, destination_uri: str, /) -> str | None:
        """Return why something cannot be probed, or None; nothing is asked."""

    def begin(self, about: Mapping[str, Any]) -> Findings:
        """Return findings that hold nothing yet but what they are about."""

    async def run(
        self,
        connection: Connection,
        findings: Findings,
        interaction_id: str,
        destination_uri: str,
        /,
        *,
        keep: Callable[[], None],
        say: Callable[[str], None],
        why_shut: Callable[[], str | None],
    ) -> None:
        """Move, watch, and move back where that can be done; `keep` makes the findings durable.

        `keep` is called before anything may leave; `say` shows a sentence. `why_shut` returns why
        nothing may be moved there now; it is asked right before, and not for the way back. Raises
        `GatewayError`.
        """


@frozen
class DriverSpec(DriverTraits):
    """A driver: its traits, and the factories of its adapters."""

    _: KW_ONLY
    gateway: Callable[[Connection], Gateway]
    """Return a gateway that is not open yet. Raises `GatewayError`."""

    codec: Callable[[], Codec]

    directory: Callable[[Connection], AbstractAsyncContextManager[Directory]] | None = None
    """Open what is asked for names and queues; required with `can_select`."""

    examine: Callable[[Connection, PlannedUse], Awaitable[Examined]] | None = None
    """Check the way to the gateway, read-only; None: `doctor` opens a session and no more."""

    prober: Callable[[], Prober[Any]] | None = None
    """What `doctor --probe` moves an interaction with; None: the driver has no probe."""


def find_driver(name: str) -> DriverSpec | None:
    """Return the driver called `name`; None if there is none.

    Other distributions' entry points are read only for names that are not built in. Raises
    `UsageError` for an entry that cannot be imported or leads to no `DriverSpec` of its name.
    """
    if name in _BUILT_IN:
        return _load_built_in(name)
    entry = next((each for each in _entries() if each.name == name), None)
    return None if entry is None else _load_entry(entry)


def driver_names() -> frozenset[str]:
    """Return the names of every driver, `simulator` and those of other distributions included."""
    return frozenset({SIMULATOR, *_BUILT_IN, *(entry.name for entry in _entries())})


def platforms() -> Mapping[str, SimulatedPlatform]:
    """Return the platforms that the embedded gateway can be, by name."""
    specs = map(_load_built_in, _BUILT_IN)
    return {spec.simulated.name: spec.simulated for spec in specs if spec.simulated is not None}


def driver_of_platform(platform: str) -> DriverSpec:
    """Return the driver that speaks with a platform of the embedded gateway."""
    specs = map(_load_built_in, _BUILT_IN)
    return next(each for each in specs if each.simulated and each.simulated.name == platform)


def drivers_that_select() -> Iterator[str]:
    """Yield the names of the built-in drivers that can be asked what waits in a queue."""
    return (name for name in _BUILT_IN if _load_built_in(name).can_select)


def drivers_that_probe() -> Iterator[str]:
    """Yield the names of the built-in drivers that `doctor --probe` can use."""
    return (name for name in _BUILT_IN if _load_built_in(name).prober is not None)


def spec_of(environment: Environment) -> DriverSpec:
    """Return the driver of an environment, as the manifest's loader found it."""
    if not isinstance(environment.driver, DriverSpec):
        raise TypeError(f"environment {environment.name}: its driver has no adapters")
    return environment.driver


@cache
def _load_built_in(name: str) -> DriverSpec:
    module, _, attribute = _BUILT_IN[name].partition(":")
    found: DriverSpec = getattr(import_module(module), attribute)
    return found


@cache
def _entries() -> tuple[EntryPoint, ...]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, rarely needed

    return tuple(entry for entry in entry_points(group=GROUP) if entry.name not in _BUILT_IN)


def _load_entry(entry: EntryPoint) -> DriverSpec:
    where = f"the driver `{entry.name}` ({entry.value})"
    try:
        found = entry.load()
    except Exception as error:
        raise UsageError(
            f"{where} cannot be imported ({type(error).__name__}: {error}); reinstall or remove"
            " its distribution"
        ) from error
    if not isinstance(found, DriverSpec) or found.name != entry.name:
        raise UsageError(f"{where} is not a `runner.drivers.DriverSpec` of that name")
    return found
