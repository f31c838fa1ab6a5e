"""A manifest loaded, checked and planned: what `apply`, `plan` and `--validate-only` share."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.app import run_record
from runner.app.approvals import people_required
from runner.app.gateway_identity import gateway_entry
from runner.app.journal_checkpoint import Checkpoints
from runner.app.name_resolution import (
    NOTHING_ASKED,
    DirectoryAnswers,
    needs_directory,
    unresolved_text,
)
from runner.app.plan_check import check_only, plan_file_of, plan_rows
from runner.app.plan_file import write_plan
from runner.app.run_options import RunOptions
from runner.app.window_records import openings_from, window_record
from runner.console.log.redaction import register_secrets
from runner.core.diagnostics.problem import Problem
from runner.core.errors import ManifestInvalid, StorageError
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Manifest, Policy
from runner.core.manifest.policy_rules import ASSUMED_REPLY_S, duration_s, in_flight
from runner.core.manifest.recurring_window import zone_of
from runner.core.pacing.batch_so_far import BatchSoFar, between
from runner.core.pacing.destination_times import slowest_destination
from runner.core.pacing.rate import estimate_s
from runner.core.pacing.waves import WaveCount, batch_ends, most_failures, pauses_s
from runner.core.records.row_codec import read_ladder
from runner.core.records.run_record import (
    PLANNED,
    Figures,
    PlanFigures,
    ReportSource,
    TransferGroup,
    TransferRecord,
)
from runner.core.records.summary import MOST_EXAMPLES, Summary, Tally, summarize
from runner.core.timestamps import timestamp
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.plan_decision import SENDS, SKIPS, Action, PlannedMove
from runner.core.transfer.reasons import WORDS, Code, Earlier
from runner.core.transfer.states import NOT_BEGUN
from runner.manifest.load import Loaded, load
from runner.ports.journal_access import JournalAccess
from runner.report.model import MOST_PLANNED
from runner.report.writer import write_report
from runner.staging.outline import Outline
from runner.staging.rows import Staging

if TYPE_CHECKING:  # it brings the gateway's libraries, which a plan made offline does without
    from runner.app.preflight import Forecast, PreflightResult


def read_manifest(request: RunOptions, staging: Staging) -> tuple[Manifest, tuple[Problem, ...]]:
    """Load a manifest, its rows into `staging`; return it and its warnings.

    Raises `ManifestInvalid`, or `UsageError` for an `--only` that matches nothing and for an option
    that is for rehearsals only.
    """
    loaded: Loaded = load(
        request.manifest,
        environment=request.environment,
        sink=staging,
        offline=request.validate_only,
        overrides=request.overrides,
    )
    if loaded.manifest is None:
        raise ManifestInvalid(loaded.problems, loaded.omitted)
    register_secrets(loaded.manifest.secrets)
    request.check(loaded.manifest.environment)
    check_only(request, staging)
    policy = request.policy(loaded.manifest.policy)
    return replace(loaded.manifest, policy=policy), loaded.problems


def plan_figures(request: RunOptions, manifest: Manifest, staging: Staging) -> PlanFigures:
    """Return a plan in numbers, with the time that the limits and the waves' pauses would take."""
    counts = staging.counts()
    sends = sum(counts.get(action, 0) for action in SENDS)
    policy, failed_before = manifest.policy, staging.failed_before()
    return PlanFigures(
        send=sends,
        unchanged=counts.get(Action.UNCHANGED, 0) + counts.get(Action.FINISHED, 0),
        changed=counts.get(Action.CHANGED, 0),
        in_doubt=counts.get(Action.IN_DOUBT, 0),
        waves=batch_ends(policy.waves, sends, failed_before),
        max_failures=most_failures(policy.max_failures, total=sends),
        selections=len(staging.selections),
        failed_before=failed_before,
        at_once=_at_once(request, manifest, sends),
        openings=openings_from(policy.windows, time.time()),
        zone=zone_of(policy.windows.rules) if policy.windows else None,
        skipped=sum(counts.get(action, 0) for action in SKIPS),
        **_time_figures(
            request,
            manifest,
            staging.sends_to() if manifest.destinations else {},
            pauses_s(policy.waves, policy.wave_conditions, sends, failed_before),
            sends=sends,
        ),
    )


def going_on(plan: PlanFigures, so_far: BatchSoFar, policy: Policy) -> PlanFigures:
    """Return a plan's figures as those of a run that goes on with a batch.

    Waves and failures are the batch's: a wave that is finished has nothing left.
    """
    ends = batch_ends(policy.waves, so_far.total, so_far.failed_before)
    most = most_failures(policy.max_failures, total=so_far.total)
    return replace(
        plan,
        waves=tuple(between(so_far.left, 0, end) for end in ends),
        max_failures=None if most is None else max(0, most - len(so_far.failed)),
    )


def _at_once(request: RunOptions, manifest: Manifest, sends: int) -> int | None:
    """Return how many transfers `max_failures` lets be under way; None: as many as the limits."""
    limits = request.limits(manifest.environment)
    at_once = in_flight(limits, manifest.policy.max_failures, sends=sends)
    return at_once if at_once < limits.in_flight else None


def _time_figures(
    request: RunOptions,
    manifest: Manifest,
    sends_to: Mapping[str, int],
    paused_s: float,
    *,
    sends: int,
) -> dict[str, Any]:
    """Return the figures about time: how long `sends` would take, and about the windows.

    `sends_to` is how many go to each destination, and `paused_s` how long the pauses before the waves
    take together.
    """
    policy, destinations = manifest.policy, manifest.destinations
    limits = request.limits(manifest.environment)
    each = manifest.environment.requests_each(preflight=policy.preflight)
    by_limits_s = estimate_s(
        sends=sends,
        rate_per_s=limits.rate_per_s,
        http_rate_per_s=limits.http_rate_per_s,
        requests_each=each,
    )
    slowest = slowest_destination(sends_to, destinations)
    if slowest is not None:
        by_limits_s = max(by_limits_s or 0.0, slowest.takes_s)
    paused_s = paused_s if sends else 0.0
    takes_s = None if by_limits_s is None and not paused_s else (by_limits_s or 0.0) + paused_s
    figures: dict[str, Any] = {"estimate_s": takes_s, "pauses_s": paused_s}
    lasts_s = paused_s + duration_s(
        sends=sends,
        limits=limits,
        requests_each=each,
        max_failures=policy.max_failures,
        slowest=slowest_destination(sends_to, destinations, reply_s=ASSUMED_REPLY_S),
    )
    return figures | _window_figures(policy, lasts_s, sends=sends)


def _window_figures(policy: Policy, lasts_s: float, *, sends: int) -> dict[str, Any]:
    """Return the figures about the windows, for `sends` transfers that take `lasts_s` seconds."""
    if policy.window is None and not policy.windows:
        return {}
    found: dict[str, Any] = {"window": policy.window and window_record(policy.window)}
    now_s = time.time()
    span = policy.next_span(now_s)
    if span is None or span.not_before is None:
        return found
    opens, closes = span.not_before, span.not_after
    ends_s = span.ends_at_s(now_s=now_s, lasts_s=lasts_s)
    return found | {
        "ends_at": span.spelt(ends_s) if sends else None,
        "misses_window": bool(sends) and closes is not None and ends_s > closes.at_s,
        "opens_at": opens.text if opens.at_s > now_s else None,
        "closes_at": None if closes is None else closes.text,
    }


def plan_offline(request: RunOptions, manifest: Manifest, staging: Staging) -> None:
    """Plan by the history as it is now, touching neither journal nor network.

    Raises `ManifestInvalid` if the request's plan file no longer holds, `StorageError` if the
    journal does not have the history that the batch's report folder shows.
    """
    journal = request.journal_access(manifest)
    if not request.new_history:
        _check_history(request, manifest, journal)
    plan_rows(request, manifest, staging, journal)


def _check_history(request: RunOptions, manifest: Manifest, journal: JournalAccess) -> None:
    entry = gateway_entry(manifest, os.environ)
    with journal.open_history() if journal.exists() else nullcontext() as history:
        Checkpoints(journal, entry, request.report_dir, manifest).check(history)


def outline_plan(
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    preflight: PreflightResult | None = None,
    *,
    found: DirectoryAnswers = NOTHING_ASKED,
    out: Path | None = None,
    code: Callable[[PlanFigures], ExitCode] = lambda _: ExitCode.OK,
) -> tuple[ReportSource, Summary]:
    """Return what the report of planned rows is made of, with the gateway's answers if it was asked.

    `code` returns the exit code by the figures; `out` is where the plan is written to.
    """
    at = time.time()
    record = run_record.started_record(
        request, manifest, f"plan-{new_run_id(at)}", at=at, outcome=PLANNED
    )
    if out is not None:
        record = replace(record, options={**record.options, "out": str(out)})
    asked = [] if preflight is None else preflight.remarks
    note = manifest.environment.driver.plan_note
    told = [unresolved_text(manifest, staging), found.explanation, *asked, note, _cut_text(staging)]
    remarks = tuple(filter(None, told))
    record = replace(
        record,
        explanation=_explanation(remarks),
        place_names=run_record.recorded_names(found.place_names),
    )
    figures = replace(
        plan_figures(request, manifest, staging),
        approvals=people_required(manifest, os.environ),
        needs_preflight=found is not NOTHING_ASKED or needs_directory(manifest, staging),
    )
    if preflight is not None and preflight.error is None:
        figures = _figures_after_lookups(figures, request, manifest, staging, preflight)
    record = run_record.finished_plan_record(replace(record, waves=figures.waves), at=at)
    source = ReportSource(
        replace(record, exit_code=int(code(figures))),
        lambda: _planned_records(
            staging, {} if preflight is None else preflight.rows, figures.waves
        ),
        plan=figures,
        remarks=remarks,
        manifest=run_record.redacted_excerpt(manifest),
    )
    if preflight is None and not figures.waves:  # else each row has its own wave or answer
        source = replace(
            source,
            groups=lambda: (
                TransferGroup(_record(row), alike) for row, alike in staging.outline_groups()
            ),
            counts=lambda: ((_record(row), alike) for row, alike in staging.outlines_alike()),
        )
    if preflight is not None:
        summary = summarize(source.transfers(), source.figures)
    else:
        summary = _summarized(staging, source.figures)
    return source, summary


def kept_report(
    request: RunOptions, source: ReportSource, summary: Summary
) -> tuple[ReportSource, Path | None]:
    """Write the report of a plan; return the plan, and None where its report could not be kept.

    The plan then ends as `ExitCode.STORAGE`, and its explanation says why and where.
    """
    try:
        return source, write_report(source, request.report_dir, summary)
    except StorageError as error:
        return _not_kept(source, f"its report was not kept: {error}"), None


def _not_kept(source: ReportSource, what: str) -> ReportSource:
    remarks = (*source.remarks, f"the plan is complete, but {what}")
    code = int(ExitCode.STORAGE)
    run = replace(source.run, explanation=_explanation(remarks), exit_code=code)
    return replace(source, run=run, remarks=remarks)


def _cut_text(staging: Staging) -> str | None:
    """Return how many rows the report leaves out, and what has them; None: none."""
    if staging.count <= MOST_PLANNED:
        return None
    return (
        f"report.json lists the first {MOST_PLANNED:,} of {staging.count:,} rows and leaves out"
        f" {staging.count - MOST_PLANNED:,}; plan --out FILE keeps every row's decision"
    )


def _explanation(remarks: Sequence[str]) -> str | None:
    return "; ".join(each.strip() for each in remarks) or None


def _summarized(staging: Staging, figures: Figures) -> Summary:
    """Count the rows in groups of equal rows: a million of them need not be read."""
    tally = Tally()
    for row, alike in staging.outlines_first(MOST_EXAMPLES):
        tally.add(_record(row), alike)
    return tally.summary(figures)


def save_plan(
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    source: ReportSource,
    out: Path,
    *,
    found: DirectoryAnswers = NOTHING_ASKED,
) -> tuple[ReportSource, bool]:
    """Write planned rows as a plan file, for `apply` to carry out exactly; return whether it was kept.

    If not, the plan ends as `ExitCode.STORAGE`, and its explanation says why. Raises `UsageError` if
    something else lies at `out`.
    """
    figures = plan_figures(request, manifest, staging)
    plan = plan_file_of(request, manifest, staging, source.run, out, found=found)
    try:
        write_plan(plan, figures)
    except StorageError as error:
        kept = {name: value for name, value in source.run.options.items() if name != "out"}
        source = replace(source, run=replace(source.run, options=kept))  # there is nothing to apply
        return _not_kept(source, str(error)), False
    return source, True


def _figures_after_lookups(
    figures: PlanFigures,
    request: RunOptions,
    manifest: Manifest,
    staging: Staging,
    preflight: PreflightResult,
) -> PlanFigures:
    """Return a plan's figures; only rows that a look-up found fit count as sent."""
    fit = {n for n, foreseen in preflight.rows.items() if foreseen.sent}
    changed, sends_to = 0, Counter[str]()
    for row, verdict in staging.planned():
        if row.n in fit:
            changed += verdict.action is Action.CHANGED
            sends_to[row.destination_uri] += 1
    return replace(
        figures,
        send=len(fit),
        changed=changed,
        **_time_figures(request, manifest, sends_to, figures.pauses_s, sends=len(fit)),
    )


def sums_by_destination(
    staging: Staging, preflight: PreflightResult | None
) -> list[tuple[str, int]]:
    """Return how many rows would be sent to each destination, the largest first."""
    if preflight is None or preflight.error is not None:
        return staging.sends_by_destination()
    seen = preflight.rows
    sums = Counter(
        move.destination_uri for n, move in staging.moves() if n in seen and seen[n].sent
    )
    return sums.most_common()


def first_moves(
    staging: Staging, preflight: PreflightResult | None, most: int
) -> list[PlannedMove]:
    """Return the first rows that would be sent: of those that a look-up found fit, if asked."""
    if preflight is None or preflight.error is not None:
        return [move for _, move in islice(staging.moves(), most)]
    seen = preflight.rows
    fit = (
        move._replace(origin_uri=seen[n].origin_uri or move.origin_uri)
        for n, move in staging.moves()
        if n in seen and seen[n].sent
    )
    return list(islice(fit, most))


def new_run_id(at: float) -> str:
    """Return a run's id: when it began, and six random digits."""
    return f"{timestamp(at)[:19].replace('-', '').replace(':', '')}Z-{secrets.token_hex(3)}"


def _planned_records(
    staging: Staging, seen: Mapping[int, Forecast], waves: Sequence[int]
) -> Iterator[TransferRecord]:
    wave = WaveCount(waves, staging.failed_before())
    for row in staging.outlines():
        foreseen = seen.get(row.n)
        failed = row.failed_as is not None
        in_wave = wave.next(failed_before=failed) if row.action in SENDS else None
        yield _record(row, foreseen, wave=in_wave)


def _record(
    row: Outline,
    seen: Forecast | None = None,
    *,
    wave: int | None = None,
) -> TransferRecord:
    outcome, common = _FORESEEN[row.action]
    reason, code = row.reason, row.code
    if common is not None:
        reason, code = WORDS[common], common
    if seen is not None:
        reason, code = seen.reason, seen.code
    return TransferRecord(
        row.key,
        row.source,
        row.interaction_id,
        row.destination_uri,
        wave,
        outcome,
        reason,
        code,
        None,
        _requested(row.media),
        None,
        None,
        origin_uri=(None if seen is None else seen.origin_uri) or row.origin_uri,
        earlier=None if row.earlier is None else Earlier(*json.loads(row.earlier)),
    )


@lru_cache(maxsize=1024)
def _requested(ladder: str) -> Mapping[str, Any]:
    return read_ladder(ladder)[0].to_json()


_FORESEEN: Mapping[str, tuple[Outcome, Code | None]] = {
    Action.SEND: (NOT_BEGUN, Code.PLANNED),
    Action.CHANGED: (NOT_BEGUN, Code.PLANNED_CHANGED),
    Action.UNCHANGED: (Outcome.UNCHANGED, None),
    Action.IN_DOUBT: (Outcome.IN_DOUBT, None),
    Action.NOT_SELECTED: (NOT_BEGUN, Code.NOT_SELECTED),
    **dict.fromkeys(SKIPS, (Outcome.SKIPPED, None)),
}
"""Outcome and cause of a row by its action; None: the history holds the cause."""
