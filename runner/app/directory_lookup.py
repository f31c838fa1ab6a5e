"""Looks up in the gateway's directory what a manifest leaves open: names and selections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
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
from runner.core.manifest.queue_selection import Standing
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.plan_decision import SENDS, decide
from runner.drivers import spec_of
from runner.ports import Observer
from runner.ports.history import ClaimSource
from runner.ports.journal_access import JournalAccess
from runner.staging.rows import Staging


def look_up_directory(
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    observer: Observer,
    journal: JournalAccess | None = None,
) -> DirectoryAnswers:
    """Look up every name and selection and complete `staging`; read-only.

    A plan's answers are used if there are any. `journal` is the options' one unless it is opened in a
    way of its own. Raises `ManifestInvalid` for a name that no queue or
    user has, or several have; `GatewayError` if the gateway does not answer.
    """
    if request.plan is not None:
        found = request.plan.found
    elif needs_directory(manifest, staging):
        found = asyncio.run(
            _looked_up(
                request,
                manifest,
                staging,
                observer,
                journal or request.journal_access(manifest),
            )
        )
        observer.noticed("asked the gateway", found=found.explanation)
    else:
        return NOTHING_ASKED
    found.add_to(staging)
    return found


def standings_of(
    staging: Staging,
    history: ClaimSource | None,
    interactions: Sequence[str],
    destination_uri: str,
    *,
    again: bool,
) -> Mapping[str, Standing]:
    """Return which interactions will not be sent to a destination, and which have failed before."""
    known: dict[str, Standing] = {}
    if history is not None:
        asked = ((each, canonical_interaction(each)) for each in interactions)
        for each, claims in history.claims(asked):
            decision = decide(claims, destination_uri, again=again)
            if decision.action not in SENDS:
                known[each] = Standing.NOT_SENT
            elif decision.failed_as is not None:
                known[each] = Standing.FAILED_BEFORE
    return known | {each: Standing.NOT_SENT for each in interactions if staging.is_protected(each)}


async def _looked_up(
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    observer: Observer,
    journal: JournalAccess,
) -> DirectoryAnswers:
    def standings_at(uri: str, interactions: Sequence[str]) -> Mapping[str, Standing]:
        with journal.open_history() if journal.exists() else nullcontext() as history:
            return standings_of(staging, history, interactions, uri, again=request.again)

    clock = SystemClock()
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
            return await resolve_names(
                staging,
                directory,
                now=clock.wall(),
                manifest=manifest,
                standings_at=standings_at,
            )
