"""`doctor`: connects as a run would, read-only, and checks each step."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Iterator

from runner.app.name_resolution import named_by_limits_and_gates
from runner.app.system_clock import SystemClock
from runner.composition import connection_of, opened_environment
from runner.core.diagnostics.diagnosis import Check, Health
from runner.core.errors import GatewayError
from runner.core.gates import QueueGate
from runner.core.manifest.model import Manifest
from runner.core.manifest.queue_selection import address, named_in
from runner.core.transfer.message import GatewayNote, Reply
from runner.drivers import Connection, Examined, PlannedUse, spec_of
from runner.ports import SessionLost, SessionOpened
from runner.staging.rows import Staging


def examine(manifest: Manifest, staging: Staging) -> list[Check]:
    """Check the connection to the manifest's gateway, up to the first failure; moves nothing.

    Raises `GatewayError` if `tls.ca_file` cannot be used.
    """
    return asyncio.run(_examined(manifest, planned_use(manifest, staging)))


def planned_use(manifest: Manifest, staging: Staging) -> PlannedUse:
    """Return what a run of the manifest needs from its gateway."""
    selections = staging.selections
    destinations = [*staging.destinations(), *(each.destination_uri for each in selections)]
    names = [uri for uri, _ in named_by_limits_and_gates(manifest)]
    return PlannedUse(
        destinations,
        selections,
        observed=[
            *manifest.destinations.observed(destinations),
            *_observed_once_named(manifest, [*destinations, *names]),
        ],
        named=names,
        asked_by_gates=[
            address("queue", each.queue)
            for each in manifest.gates.values()
            if isinstance(each, QueueGate)
        ],
    )


def _observed_once_named(manifest: Manifest, uris: Iterable[str]) -> Iterator[str]:
    """Yield the patterns with `while` that may match a destination once names are ids."""
    kinds = {named[0] for named in map(named_in, uris) if named is not None}
    for each in manifest.destinations.entries:
        if each.observes and each.pattern.startswith(tuple(f"genesys://{kind}/" for kind in kinds)):
            yield each.pattern


async def _examined(manifest: Manifest, use: PlannedUse) -> list[Check]:
    async with opened_environment(manifest, None) as environment:
        connection = connection_of(manifest, environment, SystemClock(), random.random)
        driver = spec_of(environment)
        found = Examined(()) if driver.examine is None else await driver.examine(connection, use)
        if found.obstacle is not None:
            return [*found.checks, Check("session", Health.SKIPPED, found.obstacle)]
        return [*found.checks, await _session(connection)]


async def _session(connection: Connection) -> Check:
    """Open a session as a run would, and close it again."""
    gateway = spec_of(connection.environment).gateway(connection)
    listener = _Listener()
    try:
        await gateway.open(listener)
    except GatewayError as error:
        return Check("session", Health.FAILED, error.what, error.check)
    else:
        seen = f"open, {listener.tls or 'no TLS'}, a ping answered"
        return Check("session", Health.OK, seen)
    finally:
        await gateway.close()


class _Listener:
    """Records that a session opened; implements `GatewayListener`."""

    tls: str | None = None

    def replied(self, reply: Reply) -> None:
        """Ignore it: nothing was sent on the session."""

    def noted(self, note: GatewayNote) -> None:
        """Ignore it: nothing was sent on the session."""

    def session_opened(self, opened: SessionOpened) -> None:
        """Record the session's TLS."""
        self.tls = opened.tls

    def session_lost(self, lost: SessionLost) -> None:
        """Ignore it: the session is closed immediately."""

    def gave_up(self, error: Exception) -> None:
        """Ignore it: the session is closed immediately."""

    def slowed(self, why: str) -> None:
        """Ignore it: nothing is sent."""

    def paused(self, wait_s: float, why: str) -> None:
        """Ignore it: the gateway waits by itself."""
