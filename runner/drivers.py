"""The registry of drivers: what a driver is, and where each is found.

Built-in drivers are named here; other distributions add theirs by the entry point group
`runner.drivers`, whose entries lead to a `DriverSpec`. A specification is imported when its name
is asked for, and it imports its adapters when they are made: a command pays for what it uses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from runner.core.diagnostics.diagnosis import Check
from runner.core.errors import UsageError
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import (
    SIMULATOR,
    DriverTraits,
    Environment,
    GatewayConstraints,
    Policy,
    QueueSelection,
)
from runner.core.transfer.message import Compose, Message
from runner.ports import Clock, Directory, Gateway

GROUP = "runner.drivers"
"""The entry point group of drivers from other distributions."""

_BUILT_IN = {
    "interaction-websocket": "runner.gateways.interaction_transfer.spec:SPEC",
    "genesys-cloud": "runner.gateways.genesys_cloud.spec:SPEC",
}

DRIVER_OF_PLATFORM = {
    "interaction-transfer": "interaction-websocket",
    "genesys-cloud": "genesys-cloud",
}
"""Which driver speaks with each platform of the embedded gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What a driver makes an adapter from; `jitter` returns a uniform number in [0, 1)."""

    environment: Environment  # with endpoints and credentials
    policy: Policy
    clock: Clock
    jitter: Callable[[], float]
    constraints: GatewayConstraints
    destinations: Collection[str] = ()  # the plan's, for a gateway that observes each
    paused: Callable[[float, str], None] = lambda _wait_s, _why: None
    """Called by a directory that waits: for how many seconds, and why."""


class Codec(NamedTuple):
    """How a driver words deliveries."""

    compose: Compose
    find_fault: Callable[[Message, MediaMatrix], str | None]
    """Return what is wrong with a message, or None; it is asked before the message may leave."""


class Examined(NamedTuple):
    """What `doctor` learnt, and why opening a session makes no sense; None: it does."""

    checks: Sequence[Check]
    obstacle: str | None = None


class PlannedUse(NamedTuple):
    """What a manifest wants of a gateway: `doctor` checks the rights for it."""

    destinations: Sequence[str]
    selections: Sequence[QueueSelection]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverSpec(DriverTraits):
    """A driver: its traits, and the factories of its adapters."""

    gateway: Callable[[Connection], Gateway]
    """Return a gateway that is not open yet. Raises `GatewayError`."""

    codec: Callable[[], Codec]

    directory: Callable[[Connection], AbstractAsyncContextManager[Directory]] | None = None
    """Open what is asked for names and queues; required with `can_select`."""

    examine: Callable[[Connection, PlannedUse], Awaitable[Examined]] | None = None
    """Check the way to the gateway, read-only; None: `doctor` opens a session and no more."""


def is_built_in(name: str) -> bool:
    """Tell whether a driver belongs to this distribution."""
    return name in _BUILT_IN


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


def driver_of_platform(platform: str) -> DriverSpec:
    """Return the driver that speaks with a platform of the embedded gateway."""
    return _load_built_in(DRIVER_OF_PLATFORM[platform])


def drivers_that_select() -> Iterator[str]:
    """Yield the names of the built-in drivers that can be asked what waits in a queue."""
    return (name for name in _BUILT_IN if _load_built_in(name).can_select)


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
