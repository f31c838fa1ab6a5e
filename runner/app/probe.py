"""`doctor --probe`: moves one conversation on purpose, and records what the platform does."""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner import __version__
from runner.app.run_options import RunOptions
from runner.app.signals import Signals
from runner.app.system_clock import SystemClock
from runner.composition import connection_of, opened_environment
from runner.core.errors import Interrupted, NotInDoubt, StorageError, UsageError
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import Environment, Manifest
from runner.core.timestamps import timestamp
from runner.core.transfer.plan_decision import Action
from runner.core.transfer.rows import TransferRow
from runner.drivers import ProbeFindings, Prober, drivers_that_probe, spec_of
from runner.ports.history import History
from runner.staging.rows import Selection, Staging

_MEDIA = MediaMatrix(Audio("opus", 64, 16))  # a draft needs one; the platform ignores it


@frozen
class ProbeOrder:
    """What a probe moves, and the file for its findings, which must not exist yet."""

    conversation_id: str
    destination_uri: str
    out: Path | None = None


@frozen
class ProbeResult:
    """The findings of a probe, their file, and how the command exits."""

    findings: ProbeFindings
    file: Path
    code: ExitCode


def check_order(manifest: Manifest, order: ProbeOrder) -> None:
    """Raise `UsageError` for an order that cannot be carried out; no request is made."""
    fault = _prober(manifest.environment).find_fault(order.conversation_id, order.destination_uri)
    if fault is not None:
        raise UsageError(fault)


def _prober(environment: Environment) -> Prober[Any]:
    prober = spec_of(environment).prober
    if prober is None:
        raise UsageError(
            f"--probe is for the driver {' or '.join(drivers_that_probe())}; environment"
            f" {environment.name} uses {environment.driver_name}"
        )
    return prober()


def probe(
    request: RunOptions, manifest: Manifest, order: ProbeOrder, say: Callable[[str], None]
) -> ProbeResult:
    """Move one conversation, observe, move it back if possible, and write the findings.

    It holds the journal's lock. The file exists before anything is sent. A signal ends it; what is
    known by then is returned. Raises `UsageError`, `Locked`, `StorageError`, `GatewayError`, and
    `Interrupted` if nothing was sent.
    """
    check_order(manifest, order)
    journal = request.journal_access(manifest)
    location = journal.location if journal.exists() else None
    with ExitStack() as stack:
        if location is not None:
            stack.enter_context(journal.lock()).acquire(request.lock_timeout_s)
            _refuse_doubt(stack.enter_context(journal.open_history()), order)
        findings = _prober(manifest.environment).begin(_about(manifest))
        file = _File.made(order.out or Path(f"probe-{timestamp(SystemClock().wall())[:19]}Z.json"))
        keep = _FindingsWriter(file, findings)
        keep()
        signalled: ExitCode | None = None
        try:
            asyncio.run(_probed(manifest, location, order, keep, say))
        except Interrupted as interrupted:
            if not any(move.end for move in findings.moves()):
                raise
            signalled = interrupted.code
        finally:
            keep()
    return ProbeResult(findings, file.path, signalled or findings.code)


def _refuse_doubt(history: History, order: ProbeOrder) -> None:
    """Refuse a conversation that the journal has in doubt. Raises `NotInDoubt`."""
    with Staging() as staging:
        staging.add(
            TransferRow(
                order.conversation_id,
                order.conversation_id,
                order.destination_uri,
                (_MEDIA,),
                (),
                "--probe:1",
            )
        )
        staging.plan(history, Selection())
        for _, verdict in staging.planned():
            if verdict.action is Action.IN_DOUBT:
                raise NotInDoubt(f"it is not probed: {verdict.reason}; settle that first")


def _about(manifest: Manifest) -> dict[str, str | None]:
    endpoints = manifest.environment.endpoints
    return {
        "kind": "probe",
        "runner_version": __version__,
        "at": timestamp(SystemClock().wall()),
        "driver": manifest.environment.driver_name,
        "api": None if endpoints is None else urlsplit(endpoints.api_url).hostname,
    }


async def _probed(
    manifest: Manifest,
    journal: JournalLocation | None,
    order: ProbeOrder,
    keep: _FindingsWriter,
    say: Callable[[str], None],
) -> None:
    with Signals().cancelling():
        async with opened_environment(manifest, journal) as environment:
            connection = replace(
                connection_of(manifest, environment, SystemClock(), random.random),
                paused=lambda wait_s, why: say(f"waiting {wait_s:.0f} s: {why}"),
            )
            await _prober(environment).run(
                connection,
                keep.findings,
                order.conversation_id,
                order.destination_uri,
                keep=keep,
                say=say,
            )


@frozen
class _File:
    """The file of a probe: readable by its owner only, replaced as a whole."""

    path: Path

    @classmethod
    def made(cls, path: Path) -> _File:
        """Create the file; an existing one is never overwritten."""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError as error:
            raise UsageError(f"{path} exists; name another file with --probe-out") from error
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error.strerror})") from error
        return cls(path)

    def write(self, text: str) -> None:
        """Replace its content, durably. Raises `StorageError`."""
        beside = self.path.with_name(f".{self.path.name}.tmp")
        try:
            descriptor = os.open(
                beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600
            )
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            beside.replace(self.path)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written ({error.strerror})") from error


@frozen
class _FindingsWriter:
    """Writes the present findings to the file when called."""

    file: _File
    findings: ProbeFindings

    def __call__(self) -> None:
        self.file.write(json.dumps(self.findings.to_json(), indent=2) + "\n")
