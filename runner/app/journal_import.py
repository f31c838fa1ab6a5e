"""`journal import`: a file's history goes on in a database, and nobody is moved twice for it."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

from runner.app.gateway_identity import gateway_entry, lane_of, origin_of
from runner.app.plan import read_manifest
from runner.app.run_options import RunOptions
from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.core.manifest.model import Manifest
from runner.journals import import_journal, journal_at
from runner.ports.history import History
from runner.ports.journal_access import GatewayEntry, Imported, KnownHistory
from runner.staging.rows import Staging


def import_file(
    file: Path, location: JournalLocation, manifest: Path | None, environment: str | None
) -> Imported:
    """Bring a file's history into the lane of a manifest's gateway, or into the one that is named.

    This host's registry names the database from then on. Raises `UsageError`, `ManifestInvalid`,
    `Locked`, `StorageError`.
    """
    if manifest is None:
        return import_journal(file, location)
    request = RunOptions(manifest=manifest, environment=environment, journal=location)
    with Staging() as staging:
        loaded, _ = read_manifest(request, staging)
    journal = journal_at(location).for_lane(lane_of(loaded))
    journal.check_place()
    _check_origin(file, loaded)
    entry = gateway_entry(loaded, os.environ)
    if entry is not None and not entry.make_folder():
        entry = None
    with nullcontext() if entry is None else entry.lock as gateway:
        if gateway is not None:
            gateway.acquire(0.0)
        imported = import_journal(file, journal.location)
        if entry is not None:
            with journal.open_history() as history:
                _register(entry, history, journal.real_address)
        return imported


def _check_origin(file: Path, manifest: Manifest) -> None:
    """Refuse the history of another gateway; one that was imported already is judged by its lane."""
    found = journal_at(JournalLocation(str(file)))
    if not found.is_reachable():
        return
    with found.open_history() as history:
        if history.origin != origin_of(manifest):
            raise UsageError(
                f"the journal {file} belongs to the gateway {history.origin}, and the environment"
                f" {manifest.environment.name} has {origin_of(manifest)}; choose with --env"
            )


def _register(entry: GatewayEntry, history: History, address: str) -> None:
    """Let this host know where the gateway's history is now."""
    known = entry.read()
    if known is not None and known.lineage != history.lineage_id:
        return  # the host's other history of this gateway stays known, and runs are refused
    seq, head = history.last_event()
    run = known.run if known is not None else "import"
    entry.write(KnownHistory(entry.origin, address, history.lineage_id, run, seq, head))
