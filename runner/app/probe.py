"""`doctor --probe`: moves one conversation on purpose, and records what the platform does."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runner import __version__
from runner.app.approvals import check_approvals
from runner.app.directory_lookup import look_up_directory
from runner.app.journal_checkpoint import Checkpoints
from runner.app.open_journal import entry_of, opened
from runner.app.plan import new_run_id
from runner.app.plan_check import plan_file_of, plan_rows
from runner.app.plan_file import plan_problem, replan_help, write_plan
from runner.app.run_options import RunOptions
from runner.app.run_record import started_record
from runner.app.signals import Signals
from runner.app.system_clock import SystemClock
from runner.composition import connection_of, opened_environment, opened_gateway
from runner.core.errors import (
    Interrupted,
    ManifestInvalid,
    NotNow,
    NotProbed,
    StorageError,
    UsageError,
)
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.key_patterns import matcher_of
from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import Environment, Manifest
from runner.core.pacing.destinations import DestinationPace
from runner.core.records.run_record import PlanFigures
from runner.core.timestamps import timestamp
from runner.core.transfer.plan_decision import SENDS, Action
from runner.core.transfer.probe import Probe
from runner.core.transfer.rows import TransferRow
from runner.drivers import ProbeFindings, Prober, drivers_that_probe, spec_of
from runner.gateways.http.trust_check import check_trust
from runner.ports import CapacityObserver, Observer
from runner.ports.journal_access import JournalAccess
from runner.staging.rows import Staging

_MEDIA = MediaMatrix(Audio("opus", 64, 16))  # a draft needs one; the platform ignores it


@frozen
class ProbeResult:
    """The findings of a probe, their file, and how the command exits."""

    findings: ProbeFindings
    file: Path
    code: ExitCode


def check_probe(request: RunOptions, manifest: Manifest, staging: Staging) -> None:
    """Raise unless the probe of the request may be made by its manifest; no request is made.

    Its row takes the place of the manifest's rows in `staging`. Raises `UsageError`,
    `ManifestInvalid` for what is not approved, `NotProbed`, `NotNow`.
    """
    order = _order_of(request)
    fault = _prober(manifest.environment).find_fault(order.interaction_id, order.destination_uri)
    if fault is not None:
        raise UsageError(fault)
    check_approvals(request, manifest, os.environ)
    _take_row(request, manifest, staging)
    _check_windows(manifest)


def save_probe_plan(request: RunOptions, manifest: Manifest, staging: Staging, out: Path) -> None:
    """Write the plan of the request's probe for people to sign; nothing is sent.

    Raises `UsageError`, `NotProbed`, `StorageError`.
    """
    _take_row(request, manifest, staging)
    _plan_row(request, manifest, staging)
    at = time.time()
    record = started_record(
        replace(request, probe=None), manifest, f"probe-{new_run_id(at)}", at=at, outcome="planned"
    )
    figures = PlanFigures(send=1, unchanged=0, changed=0, in_doubt=0, estimate_s=None)
    write_plan(plan_file_of(request, manifest, staging, record, out), figures)


def _order_of(request: RunOptions) -> Probe:
    assert request.probe is not None  # noqa: S101 - the command asks for one
    return request.probe


def _prober(environment: Environment) -> Prober[Any]:
    prober = spec_of(environment).prober
    if prober is None:
        raise UsageError(
            f"--probe is for the driver {' or '.join(drivers_that_probe())}; environment"
            f" {environment.name} uses {environment.driver_name}"
        )
    return prober()


def probe(
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    observer: Observer,
    *,
    out: Path | None,
    say: Callable[[str], None],
) -> ProbeResult:
    """Move one conversation, observe, move it back if possible, and write the findings.

    It is held to what holds for a run of its manifest: approvals, windows, who is protected, the
    journal and the gateway's lock, the destination's limits. `staging` has its row alone
    (`check_probe`). The file `out` exists before anything is sent. A signal ends it; what is known by
    then is returned. Raises `UsageError`, `ManifestInvalid`, `NotProbed`, `NotNow`, `Locked`,
    `StorageError`, `GatewayError`, and `Interrupted` if nothing was sent.
    """
    journal = request.journal_access(manifest)
    journal.check_place()
    check_trust(manifest, os.environ)
    checkpoints = Checkpoints(journal, entry_of(manifest, observer), request.report_dir, manifest)
    with opened(request, checkpoints) as (store, _):
        for each in check_approvals(request, manifest, os.environ):
            observer.noticed("approved", by=each.who, plan=str(request.plan and request.plan.path))
        if not request.new_history:
            checkpoints.check(store)
        # The plan of a probe has ids alone; names are of the limits of destinations.
        named = look_up_directory(replace(request, plan=None), manifest, staging, observer)
        manifest = named.resolved(manifest)
        _plan_row(request, manifest, staging)
        asyncio.run(_wait_for_turn(manifest, journal.location, _order_of(request), say))
        _check_windows(manifest)
        findings = _prober(manifest.environment).begin(_about(request, manifest))
        file = _file_of(request, journal, out)
        keep = _FindingsWriter(file, findings)
        keep()
        signalled: ExitCode | None = None
        try:
            asyncio.run(_probed(request, manifest, journal.location, keep, say))
        except Interrupted as interrupted:
            if not any(move.end for move in findings.moves()):
                raise
            signalled = interrupted.code
        finally:
            keep()
    return ProbeResult(findings, file.path, signalled or findings.code)


def _take_row(request: RunOptions, manifest: Manifest, staging: Staging) -> None:
    """Take the probe's row in the place of the manifest's. Raises `NotProbed` if it is left out."""
    order = _order_of(request)
    key = staging.key_of(order.interaction_id) or order.interaction_id
    if matcher_of(request.exclude)(key):
        raise NotProbed(f"it is not probed: --exclude leaves `{key}` out")
    staging.replace_rows(
        TransferRow(
            key,
            order.interaction_id,
            order.destination_uri,
            (_MEDIA,),
            (),
            f"{manifest.path}:1",
        )
    )


def _plan_row(request: RunOptions, manifest: Manifest, staging: Staging) -> None:
    """Refuse what a run would not move, even with `--again`, or a plan no longer holds for.

    Raises `NotProbed`, `ManifestInvalid`.
    """
    # Keys were compared with all rows of the manifest; a probe of what an undo lists is none.
    asked = replace(request, exclude=(), again=True)
    plan_rows(asked, replace(manifest, reverts=None), staging, request.journal_access(manifest))
    for _, decision in staging.planned():
        if decision.action is Action.IN_DOUBT:
            raise NotProbed(f"it is not probed: {decision.reason}; settle that first")
        if decision.action not in SENDS:
            raise NotProbed(f"it is not probed: {decision.reason}")


def _check_windows(manifest: Manifest) -> None:
    if (why := manifest.policy.why_shut(time.time())) is not None:
        raise NotNow(f"it is not probed: {why}")


async def _wait_for_turn(
    manifest: Manifest, journal: JournalLocation, order: Probe, say: Callable[[str], None]
) -> None:
    """Hold the probe to the limits of its destination. Raises `NotNow`, `GatewayError`.

    The lock keeps other runs away: nothing of ours is under way there.
    """
    limits = manifest.destinations.limits_of(order.destination_uri)
    if limits is None:
        return
    clock = SystemClock()
    pace = DestinationPace.at_start(limits, began=clock.now())
    with Signals().cancelling():
        if limits.observes:
            async with opened_gateway(manifest, journal, clock, random.random) as gateway:
                assert isinstance(gateway, CapacityObserver)  # noqa: S101 - the manifest was checked
                observed = await gateway.figures_of(order.destination_uri)
                if (wait_s := pace.began - observed.at) > 0:
                    say(f"waiting {wait_s:.0f} s: figures of its destination that are of now")
                    await clock.sleep(wait_s)
                    observed = await gateway.figures_of(order.destination_uri)
                pace = pace.observed(observed.figures, observed.at)
                await gateway.close()
        if (why := pace.why_shut(clock.now())) is not None:
            name = limits.written or order.destination_uri
            raise NotNow(f"it is not probed: {name} is full: {why}")
        if (wait_s := pace.until_turn_s(clock.now())) > 0:
            say(f"waiting {wait_s:.0f} s: the rate of its destination")
            await clock.sleep(wait_s)


def _about(request: RunOptions, manifest: Manifest) -> dict[str, str | None]:
    endpoints = manifest.environment.endpoints
    plan = request.plan
    return {
        "kind": "probe",
        "runner_version": __version__,
        "at": timestamp(SystemClock().wall()),
        "driver": manifest.environment.driver_name,
        "plan_sha256": None if plan is None else plan.digests["sha256"].hex(),
        "api": None if endpoints is None else urlsplit(endpoints.api_url).hostname,
    }


async def _probed(
    request: RunOptions,
    manifest: Manifest,
    journal: JournalLocation,
    keep: _FindingsWriter,
    say: Callable[[str], None],
) -> None:
    order = _order_of(request)
    with Signals().cancelling():
        async with opened_environment(manifest, journal) as environment:
            connection = replace(
                connection_of(manifest, environment, SystemClock(), random.random),
                paused=lambda wait_s, why: say(f"waiting {wait_s:.0f} s: {why}"),
            )
            await _prober(environment).run(
                connection,
                keep.findings,
                order.interaction_id,
                order.destination_uri,
                keep=keep,
                say=say,
                why_shut=lambda: manifest.policy.why_shut(connection.clock.wall()),
            )


def _file_of(request: RunOptions, journal: JournalAccess, out: Path | None) -> _File:
    """Create the file of the findings. Those of a plan lie beside its journal: it is used up so.

    A copy of the plan has the same name there; a journal in a database has them beside the plan.

    Raises `ManifestInvalid` if the plan was carried out, `UsageError`, `StorageError`.
    """
    plan = request.plan
    if plan is None:
        return _File.made(out or Path(f"probe-{timestamp(SystemClock().wall())[:19]}Z.json"))
    address = journal.real_address
    folder = plan.path.parent if "://" in address else Path(address).parent
    path = folder / f"probe-{plan.digests['sha256'].hex()[:16]}.json"
    if out is not None:
        raise UsageError(f"leave --probe-out out: the findings of a plan are written to {path}")
    if path.exists():
        message = f"the plan was carried out, with the findings in {path}; it holds for one probe"
        again = replan_help(plan, request.report_dir)
        raise ManifestInvalid([plan_problem(path, message, again, code="P002")])
    return _File.made(path)


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
