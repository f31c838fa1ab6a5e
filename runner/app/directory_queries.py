"""Asks the gateway for what a manifest leaves open: ids of names, and what waits in queues."""

from __future__ import annotations

import asyncio
import random

from runner.app.name_resolution import NOTHING_FOUND, Found, find, is_open
from runner.app.request import Request
from runner.app.system_clock import SystemClock
from runner.composition import opened_environment
from runner.core.manifest.model import Manifest
from runner.gateways.genesys_cloud.directory import GenesysDirectory
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.client import trusted_context
from runner.gateways.http.errors import Place
from runner.ports import Observer
from runner.staging.rows import Staging


def ask(request: Request, manifest: Manifest, staging: Staging, observer: Observer) -> Found:
    """Ask for every name and selection and make `staging` ready to be planned; read-only.

    What a plan has found already is taken from it. Raises `ManifestInvalid` for names that are
    nobody's or several's, `GatewayError` if the gateway cannot be asked.
    """
    if request.plan is not None:
        found = request.plan.found
    elif is_open(manifest, staging):
        found = asyncio.run(_asked(request, manifest, staging, observer))
        observer.noticed("asked the gateway", found=found.explanation)
    else:
        return NOTHING_FOUND
    found.put_into(staging)
    return found


async def _asked(
    request: Request, manifest: Manifest, staging: Staging, observer: Observer
) -> Found:
    clock, journal = SystemClock(), request.journal_access(manifest)
    ledger = journal.location if journal.exists() else None
    async with opened_environment(manifest, ledger) as environment:
        place = Place(
            environment.name, environment.endpoints.api_url if environment.endpoints else ""
        )
        rest = GenesysRest(
            environment,
            manifest.policy.retry,
            clock,
            random.random,
            lambda wait_s, why: observer.warned("waiting", seconds=round(wait_s, 1), why=why),
            context=trusted_context(place, environment.ca_file),
        )
        try:
            return await find(staging, GenesysDirectory(rest), now=clock.wall())
        finally:
            await rest.close()
