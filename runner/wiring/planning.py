"""A manifest loaded, checked and planned: what `apply`, `plan` and `--validate-only` share."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from runner.core.errors import ManifestInvalid
from runner.core.manifest import Manifest
from runner.core.outcome import Outcome
from runner.core.pacing import estimate_s
from runner.core.plan import SENDS, Action, PlannedRow, Verdict
from runner.core.problem import Problem
from runner.core.record import PlanFigures, ReportSource, TransferRecord
from runner.core.summary import Summary, summarize
from runner.core.timestamps import timestamp
from runner.journal.staging import Staging
from runner.loading.load import Loaded, load
from runner.report import write_report
from runner.wiring import records
from runner.wiring.request import Request


def read_manifest(request: Request, staging: Staging) -> tuple[Manifest, tuple[Problem, ...]]:
    """Load a manifest, its rows into `staging`; return it and its warnings.

    Raises `ManifestInvalid`.
    """
    loaded: Loaded = load(
        request.manifest,
        environment=request.environment,
        sink=staging,
        offline=request.validate_only,
    )
    if loaded.manifest is None:
        raise ManifestInvalid(loaded.problems, loaded.omitted)
    return loaded.manifest, loaded.problems


def plan_figures(request: Request, manifest: Manifest, staging: Staging) -> PlanFigures:
    """Return a plan in numbers, with the time that the limits alone would take."""
    counts = staging.counts()
    sends = sum(counts.get(action, 0) for action in SENDS)
    limits = request.limits(manifest.environment)
    return PlanFigures(
        send=sends,
        unchanged=counts.get(Action.UNCHANGED, 0),
        changed=counts.get(Action.CHANGED, 0),
        in_doubt=counts.get(Action.IN_DOUBT, 0),
        estimate_s=estimate_s(
            sends=sends,
            rate_per_s=limits.rate_per_s,
            http_rate_per_s=limits.http_rate_per_s,
            preflight=manifest.policy.preflight,
        ),
    )


def rehearse(
    request: Request, manifest: Manifest, staging: Staging
) -> tuple[ReportSource, Summary, Path]:
    """Plan by the history as it is now, touching neither journal nor network; write the report."""
    journal = request.journal_path(manifest)
    staging.plan(journal if journal.exists() else None, request.selection)
    at = time.time()
    record = records.begun(request, manifest, f"plan-{new_run_id(at)}", at=at, outcome="planned")
    source = ReportSource(
        records.finished_plan(record, at=at),
        lambda: _foreseen(staging),
        plan=plan_figures(request, manifest, staging),
    )
    summary = summarize(source.transfers(), source.figures)
    return source, summary, write_report(source, request.report_dir, summary)


def new_run_id(at: float) -> str:
    """Return a run's id: when it began, and six random digits."""
    return f"{timestamp(at)[:19].replace('-', '').replace(':', '')}Z-{secrets.token_hex(3)}"


def _foreseen(staging: Staging) -> Iterator[TransferRecord]:
    for row, verdict in staging.planned():
        outcome, reason = _FORESEEN[verdict.action]
        yield _record(row, verdict, outcome, reason)


_FORESEEN = {
    Action.SEND: (Outcome.UNATTEMPTED, "planned: would be sent"),
    Action.CHANGED: (
        Outcome.UNATTEMPTED,
        "planned: would be sent (changed: carried to another destination before)",
    ),
    Action.UNCHANGED: (Outcome.UNCHANGED, None),
    Action.IN_DOUBT: (Outcome.IN_DOUBT, None),
    Action.NOT_SELECTED: (Outcome.UNATTEMPTED, "not selected"),
}


def _record(
    row: PlannedRow, verdict: Verdict, outcome: Outcome, reason: str | None
) -> TransferRecord:
    return TransferRecord(
        key=row.key,
        source=row.source,
        interaction_id=row.interaction_id,
        destination_uri=row.destination_uri,
        outcome=outcome,
        reason=verdict.reason or reason,
        message_id=None,
        media_requested=row.media[0].to_json(),
        media_negotiated=None,
        latency_ms=None,
    )
