"""Locks a gateway and its journal to move somebody, and opens the journal to write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from runner.app.gateway_identity import gateway_entry, origin_of
from runner.app.journal_checkpoint import Checkpoints
from runner.app.run_options import RunOptions
from runner.composition import forget_earlier_gateway
from runner.core.manifest.model import Manifest
from runner.ports import Observer
from runner.ports.journal_access import GatewayEntry, JournalLock, JournalStore


def entry_of(manifest: Manifest, observer: Observer) -> GatewayEntry | None:
    """Return the registry's entry for the gateway, its folder made; None: it is not registered."""
    entry = gateway_entry(manifest, os.environ)
    if entry is None and manifest.environment.endpoints is None:
        return None  # the embedded gateway is the journal's own
    if entry is None or not entry.make_folder():
        observer.warned(
            "no state folder: runs with another journal of this gateway would not be noticed",
            set="XDG_STATE_HOME",
        )
        return None
    return entry


@contextmanager
def opened(
    request: RunOptions, checkpoints: Checkpoints
) -> Iterator[tuple[JournalStore, JournalLock]]:
    """Yield the journal, opened to write, and its lock; the gateway's is held too.

    Raises `Locked`, or `StorageError` if the journal is new and earlier runs saw another.
    """
    journal, entry, manifest = checkpoints.journal, checkpoints.entry, checkpoints.manifest
    with nullcontext() if entry is None else entry.lock as gateway, journal.lock() as lock:
        waited_s = 0.0 if gateway is None else gateway.acquire(request.lock_timeout_s)
        lock.acquire(max(0.0, request.lock_timeout_s - waited_s))
        if not journal.exists() and not request.new_history:
            checkpoints.check(None)
        forget_earlier_gateway(journal.location)
        store = lock.open_store(environment=manifest.environment.name, origin=origin_of(manifest))
        try:
            yield store, lock
        finally:
            store.close()
