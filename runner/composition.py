"""Which gateway a manifest's environment speaks to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runner.core.errors import StorageError
from runner.core.journal_location import JournalLocation
from runner.core.manifest.media import MediaMatrix
from runner.core.manifest.model import Driver, Environment, Manifest, Platform, Policy
from runner.core.transfer.message import Compose, build_text
from runner.gateways import GenesysCloud, InteractionWebSocket
from runner.gateways.genesys_cloud.protocol.command import build_command, find_command_fault
from runner.gateways.http.trust_check import check_trust
from runner.gateways.interaction_transfer.format_verification import FormatVerifier
from runner.ports import Clock, Gateway


@dataclass(frozen=True, slots=True)
class Language:
    """How deliveries are worded for a gateway, and what they rest on."""

    compose: Compose
    find_fault: Callable[[str, MediaMatrix], str | None]
    needs_sight: bool  # a delivery names what a look-up saw


def language_of(environment: Environment) -> Language:
    """Return the language that is spoken with an environment's gateway."""
    if environment.platform is Platform.GENESYS_CLOUD:
        return Language(build_command, find_command_fault, needs_sight=True)
    return Language(build_text, FormatVerifier().find_fault, needs_sight=False)


def ledger_path(journal: JournalLocation) -> Path:
    """Return where the embedded gateway remembers what it has carried out: beside the journal."""
    path = Path(journal.text)
    return path.with_name(f"{path.name}.gateway.jsonl")


def forget_earlier_gateway(journal: JournalLocation) -> None:
    """Let a journal that is yet to be born begin with a gateway that has done nothing.

    To be called under the journal's lock, before the journal is made. Raises `StorageError`.
    """
    path = ledger_path(journal)
    try:
        if not Path(journal.text).exists():
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be removed ({error.strerror}); remove it") from error


def policy_of(manifest: Manifest) -> Policy:
    """Return the policy that the engine is to follow: it waits as long as the driver may need."""
    policy = manifest.policy
    if manifest.environment.platform is not Platform.GENESYS_CLOUD:
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
    """Give the gateway of the chosen environment; the embedded one is started and stopped here.

    `destinations` are the plan's, for a gateway that tells of each by itself.
    """
    async with opened_environment(manifest, journal) as environment:
        yield client_of(manifest, environment, clock, jitter, destinations)


@asynccontextmanager
async def opened_environment(
    manifest: Manifest, journal: JournalLocation | None
) -> AsyncIterator[Environment]:
    """Give the chosen environment with its endpoints; the embedded gateway is started for it.

    The embedded one keeps the promise that the manifest declares, and remembers beside `journal`
    (None: nowhere).
    """
    if manifest.environment.driver is not Driver.SIMULATOR:
        check_trust(manifest, os.environ)
        yield manifest.environment
        return
    # They bring a web server, which takes a fifth of the start of a run that has no use for it.
    from runner.simulator.genesys_cloud.server import GenesysServer  # noqa: PLC0415
    from runner.simulator.hosting import Hosting  # noqa: PLC0415
    from runner.simulator.interaction_transfer.model import Conduct  # noqa: PLC0415
    from runner.simulator.interaction_transfer.server import SimulatorServer  # noqa: PLC0415

    genesys = manifest.environment.platform is Platform.GENESYS_CLOUD
    server = (GenesysServer if genesys else SimulatorServer)(
        manifest.gateway,
        manifest.environment.simulator,
        conduct=Conduct.keeping(manifest.gateway.promise),
        hosting=Hosting(ledger=None if journal is None else ledger_path(journal)),
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
    policy = manifest.policy
    if environment.platform is Platform.GENESYS_CLOUD:
        return GenesysCloud(environment, policy, clock, jitter, destinations=destinations)
    return InteractionWebSocket(
        environment, policy.retry, clock, jitter, give_up_s=policy.circuit_breaker.give_up_s
    )
