"""Looks up in the gateway's directory what a manifest leaves open: names and selections."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from runner.app.name_resolution import (
    NOTHING_ASKED,
    DirectoryAnswers,
    needs_directory,
    resolve_names,
)
from runner.app.run_options import RunOptions
from runner.app.system_clock import SystemClock
from runner.composition import connection_of, opened_environment
from runner.core.manifest.model import Manifest
from runner.drivers import spec_of
from runner.ports import Observer
from runner.staging.rows import Staging


def look_up_directory(
    request: RunOptions, manifest: Manifest, staging: Staging, observer: Observer
) -> DirectoryAnswers:
    """Look up every name and selection and complete `staging`; read-only.

    A plan's answers are used if there are any. Raises `ManifestInvalid` for a name that no queue or
    user has, or several have; `GatewayError` if the gateway does not answer.
    """
    if request.plan is not None:
        found = request.plan.found
    elif needs_directory(manifest, staging):
        found = asyncio.run(_looked_up(request, manifest, staging, observer))
        observer.noticed("asked the gateway", found=found.explanation)
    else:
        return NOTHING_ASKED
    found.add_to(staging)
    return found


async def _looked_up(
    request: RunOptions, manifest: Manifest, staging: Staging, observer: Observer
) -> DirectoryAnswers:
    clock, journal = SystemClock(), request.journal_access(manifest)
    ledger = journal.location if journal.exists() else None
    async with opened_environment(manifest, ledger) as environment:
        connection = replace(
            connection_of(manifest, environment, clock, random.random),
            paused=lambda wait_s, why: observer.warned(
                "waiting", seconds=round(wait_s, 1), why=why
            ),
        )
        open_directory = spec_of(environment).directory
        assert open_directory is not None  # noqa: S101 - `needs_directory` has checked it
        async with open_directory(connection) as directory:
            return await resolve_names(staging, directory, now=clock.wall(), manifest=manifest)
