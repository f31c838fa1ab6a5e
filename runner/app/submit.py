"""`submit` and the orders: puts a batch into the journal, for a worker to carry."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from runner.app.all_or_none import check_each
from runner.app.approvals import requirements_of
from runner.app.plan import read_manifest
from runner.app.run_options import RunOptions
from runner.app.submission_options import travelling
from runner.core.diagnostics.problem import Problem
from runner.core.errors import StorageError, UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.journals import fleet_at
from runner.manifest.regular_file import open_regular
from runner.manifest.row_file_names import row_files_of
from runner.ports.fleet import FleetState, NewSubmission, Submission
from runner.staging.rows import Staging

PATIENCE = 240
"""How many times in a row `--wait` finds that the journal does not answer before it gives up."""


@frozen
class Checked:
    """A submission that may be stored, and the manifest's warnings."""

    new: NewSubmission
    warnings: tuple[Problem, ...]


@frozen
class Submitted:
    """Stored submissions, one for each environment, and the manifest's warnings."""

    ids: tuple[int, ...]
    warnings: tuple[Problem, ...]


def submit_manifest(
    requests: Sequence[RunOptions], journal: JournalLocation, not_before: float | None
) -> Submitted:
    """Check a manifest for each environment, and store all submissions or none.

    Raises `ManifestInvalid`, `UsageError`, `StorageError`.
    """
    checked = check_each(requests, partial(check_submission, not_before=not_before))
    warnings = dict.fromkeys(warning for each in checked for warning in each.warnings)
    with closing(fleet_at(journal)) as fleet:
        return Submitted(tuple(fleet.submit([each.new for each in checked])), tuple(warnings))


def check_submission(request: RunOptions, not_before: float | None) -> Checked:
    """Check a manifest as far as this machine can, and return it with its row files.

    Its secrets are not read: they are the worker's. Raises `ManifestInvalid`, `UsageError`,
    `StorageError`.
    """
    options = travelling(request)
    checked = replace(request, without_secrets=True, validate_only=True)
    with Staging() as staging:
        manifest, warnings = read_manifest(checked, staging)
    if manifest.gates:
        raise UsageError(
            f"gate `{next(iter(manifest.gates))}`: a worker asks no gate that is submitted; submit the"
            " batch without gates, or apply it where its gates can be asked, with --journal"
        )
    if requirements_of(manifest, os.environ):
        raise UsageError(
            "approvals are required, and a worker carries no plan that needs them; apply the plan"
            " where it was approved, with --journal and the fleet's journal"
        )
    new = NewSubmission(
        environment=manifest.environment.name,
        batch=manifest.name,
        manifest=request.manifest.name,
        files=_files(request.manifest),
        submitted_from=_who(),
        options=options,
        not_before=not_before,
    )
    return Checked(new, warnings)


def cancel_submission(journal: JournalLocation, number: int) -> Submission:
    """Order that a submission ends; return what it was. Raises `UsageError`, `StorageError`."""
    with closing(fleet_at(journal)) as fleet:
        return fleet.cancel(number)


def drain_worker(journal: JournalLocation, worker: str) -> None:
    """Order that a worker hands over what it runs. Raises `UsageError`, `StorageError`."""
    with closing(fleet_at(journal)) as fleet:
        fleet.drain(worker)


def fleet_state(journal: JournalLocation) -> FleetState:
    """Return who owns what, and what waits. Raises `UsageError`, `StorageError`."""
    with closing(fleet_at(journal)) as fleet:
        return fleet.state()


def waiting(
    journal: JournalLocation, number: int, sleep: Callable[[float], None], every_s: float
) -> Iterator[Submission]:
    """Yield a submission again and again until it is over; an outage of the journal is waited for."""
    failures = 0
    with closing(fleet_at(journal)) as fleet:
        while True:
            try:
                found = fleet.submission(number)
            except StorageError:
                failures += 1
                if failures > PATIENCE:
                    raise
            else:
                failures = 0
                yield found
                if found.state.is_over:
                    return
            sleep(every_s)


def moment_of(text: str) -> float:
    """Return a time with its offset, in seconds since the epoch. Raises `UsageError`."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"--at: {text!r} is not a valid date and time; write it as 2026-12-01T02:00:00+01:00"
        ) from error
    if at.tzinfo is None:
        raise UsageError(
            f"--at: {text!r} does not say which time zone; write date, time and offset, such as"
            f" {at.isoformat()}+01:00, or Z in the offset's place"
        )
    try:
        return at.astimezone(UTC).timestamp()
    except OverflowError as error:
        raise UsageError(
            f"--at: {text!r} is outside the years 1 to 9999 in UTC; write a time within them"
        ) from error


def _files(manifest: Path) -> dict[str, Callable[[], BinaryIO]]:
    """Return what opens the manifest and its row files, by names relative to its folder."""
    names = [manifest.name, *map(_normal, row_files_of(manifest))]
    return {name: partial(open_regular, manifest.parent / name) for name in names}


def _normal(name: str) -> str:
    """Return a relative path without `.` and `..`, which the loader has found inside the folder."""
    return str(PurePosixPath(os.path.normpath(name)))


def _who() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
