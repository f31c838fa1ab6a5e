"""Opens the gateway of a manifest's environment: the only place that makes adapters of a driver."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Environment, Manifest, Policy
from runner.drivers import Connection, spec_of
from runner.gateways.http.trust_check import check_trust
from runner.journals import beside, journal_at
from runner.ports import Clock, Gateway


def ledger_path(journal: JournalLocation) -> Path:
    """Return where the embedded gateway remembers what it has carried out: beside the journal."""
    path = beside(journal)
    return path.with_name(f"{path.name}.gateway.jsonl")


def forget_earlier_gateway(journal: JournalLocation) -> None:
    """Remove the embedded gateway's ledger where the journal beside it does not exist yet.

    A new journal then begins with a gateway that has done nothing. Call it under the journal's lock,
    before the journal is created. Raises `StorageError`.
    """
    path = ledger_path(journal)
    try:
        if not journal_at(journal).exists():
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be removed ({error.strerror}); remove it") from error


def policy_of(manifest: Manifest) -> Policy:
    """Return the policy for the engine; its time-out is as long as the driver may need."""
    policy = manifest.policy
    if not manifest.environment.driver.waits_for_outcome:
        return policy
    waits_s = max(policy.negotiation_timeout_s, policy.outcome_timeout_s)
    return replace(policy, negotiation_timeout_s=waits_s)


@asynccontextmanager
async def opened_gateway(
    manifest: Manifest,
    journal: JournalLocation | None,
    clock: Clock,
    jitter: Callable[[], float],
    destinations: Collection[str] = (),
) -> AsyncIterator[Gateway]:
    """Yield the gateway of the chosen environment; the embedded one is started and stopped here.

    `destinations` are the plan's, for a gateway that observes each.
    """
    async with opened_environment(manifest, journal) as environment:
        yield client_of(manifest, environment, clock, jitter, destinations)


@asynccontextmanager
async def opened_environment(
    manifest: Manifest, journal: JournalLocation | None
) -> AsyncIterator[Environment]:
    """Yield the chosen environment with its endpoints; the embedded gateway is started for it.

    The embedded gateway keeps the promise that the manifest declares; its ledger lies beside
    `journal` (None: it has none).
    """
    if manifest.environment.simulator is None:
        check_trust(manifest, os.environ)
        yield manifest.environment
        return
    # These import a web server, which takes a fifth of the start of a run that has no use for it.
    from runner.simulator.behaviour import GatewayBehaviour  # noqa: PLC0415
    from runner.simulator.loopback_server import ServerOptions  # noqa: PLC0415
    from runner.simulator.platforms import server_of  # noqa: PLC0415

    ledger = None if journal is None else ledger_path(journal)
    if ledger is not None:
        ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    server = server_of(manifest.environment.simulator.platform)(
        manifest.gateway,
        manifest.environment.simulator,
        behaviour=GatewayBehaviour.keeping(manifest.gateway.promise),
        server_options=ServerOptions(ledger=ledger),
    )
    await server.start()
    try:
        yield replace(
            manifest.environment,
            endpoints=server.endpoints,
            client_id=server.client_id,
            client_secret=server.client_secret,
        )
    finally:
        await server.stop()


def client_of(
    manifest: Manifest,
    environment: Environment,
    clock: Clock,
    jitter: Callable[[], float],
    destinations: Collection[str] = (),
) -> Gateway:
    """Return the gateway of an opened environment, not yet open itself."""
    connection = connection_of(manifest, environment, clock, jitter, destinations)
    return spec_of(environment).gateway(connection)


def connection_of(
    manifest: Manifest,
    environment: Environment,
    clock: Clock,
    jitter: Callable[[], float],
    destinations: Collection[str] = (),
) -> Connection:
    """Return what the adapters of an opened environment's driver are made from."""
    return Connection(
        environment=environment,
        policy=manifest.policy,
        clock=clock,
        jitter=jitter,
        constraints=manifest.gateway,
        destinations=destinations,
    )
