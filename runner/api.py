"""The interface for Python programs: `from runner import load, plan, apply` (docs/python.md).

What is named in `__all__`, with the fields of its results, changes by semantic versioning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from runner.app import apply as apply_use_case
from runner.app import plan as plan_use_case
from runner.app.apply import Question, RunHooks
from runner.app.plan_check import as_planned
from runner.app.run_options import RunOptions
from runner.app.signals import RunOrders
from runner.core.diagnostics.problem import Problem
from runner.core.errors import ManifestInvalid, RunnerError, UsageError
from runner.core.exit_code import ExitCode
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.records.summary import Summary
from runner.core.transfer.outcome import Outcome
from runner.ports import Observer, Progress
from runner.report.writer import write_report
from runner.staging.rows import Staging

__all__ = [
    "Batch",
    "ExitCode",
    "ManifestInvalid",
    "Observer",
    "Outcome",
    "Plan",
    "Problem",
    "Progress",
    "Question",
    "Result",
    "RunnerError",
    "Stop",
    "Transfer",
    "UsageError",
    "apply",
    "load",
    "plan",
]

REPORT = "report.json"


@frozen
class Batch:
    """A valid manifest (or plan file), and the environment that was chosen for it."""

    path: Path
    name: str
    environment: str
    is_simulated: bool  # by the embedded gateway: nobody is moved
    transfers: int  # rows; what `select:` finds is not known yet
    labels: Mapping[str, str]
    warnings: Sequence[Problem]
    request: RunOptions
    sha256: str  # of the file when it was loaded


@frozen
class Transfer:
    """One transfer of a report. `fields` is its line of report.json, whole."""

    key: str
    interaction_id: str
    destination_uri: str
    outcome: Outcome
    reason: str | None
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Self:
        """Return the transfer that a line of report.json describes."""
        return cls(
            fields["key"],
            fields["interaction_id"],
            fields["destination_uri"],
            Outcome(fields["outcome"]),
            fields["reason"],
            fields,
        )


@frozen
class _Reported:
    """What a plan and a result have in common."""

    run: str  # its id
    report: Path  # the report's folder
    counts: Mapping[Outcome, int]  # every outcome; they add up to the manifest's transfers

    def transfers(self) -> Iterator[Transfer]:
        """Yield all transfers in the manifest's order, read from report.json as a stream."""
        with (self.report / REPORT).open(encoding="utf-8") as lines:
            for line in lines:
                if line.startswith('"transfers": ['):
                    break
            for line in lines:
                if not line.startswith("{"):
                    return
                yield Transfer.of(json.loads(line.rstrip(",\n")))


@frozen
class Plan(_Reported):
    """What `apply` would do now."""

    send: int
    unchanged: int
    in_doubt: int  # of earlier runs: `apply` looks them up first
    estimate_s: float | None  # how long limits and waves' pauses let it take; None: neither is set


@frozen
class Result(_Reported):
    """How a run ended."""

    code: ExitCode  # as the command exits
    explanation: str | None  # why it stopped early

    @property
    def ok(self) -> bool:
        """Whether every transfer is done."""
        return self.code is ExitCode.OK


class Stop(RunOrders):
    """Ends a run from another thread, once what is in flight has settled."""

    def request(self, reason: str) -> None:
        """Send nothing more; the run ends with `ExitCode.INTERRUPTED`. The first reason stays."""
        self.give(ExitCode.INTERRUPTED, reason)


class _Unwatched:
    """Watches nothing."""

    def noticed(self, event: str, **fields: Any) -> None:
        """Do nothing."""

    def warned(self, event: str, **fields: Any) -> None:
        """Do nothing."""

    def progressed(self, progress: Progress) -> None:
        """Do nothing."""


def load(
    path: str | Path,
    *,
    environment: str | None = None,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limit: int | None = None,
    journal: str | Path | None = None,
    report_dir: str | Path = "reports",
) -> Batch:
    """Check a manifest or a plan file; nothing is sent, and no secret's command is run.

    The keywords mean what the options of the same names mean. Raises `ManifestInvalid`, whose
    `problems` have places and fixes, or `UsageError`.
    """
    given = RunOptions(
        Path(path),
        Path(report_dir),
        environment=environment,
        only=tuple(only),
        exclude=tuple(exclude),
        limit=limit,
        journal=None if journal is None else JournalLocation(str(journal)),
    )
    request = as_planned(given)
    with Staging() as staging:
        offline = replace(request, validate_only=True)
        manifest, warnings = plan_use_case.read_manifest(offline, staging)
        rows = sum(staging.counts().values())
    return Batch(
        path=Path(path),
        name=manifest.name,
        environment=manifest.environment.name,
        is_simulated=manifest.environment.is_simulated,
        transfers=rows,
        labels=manifest.labels,
        warnings=warnings,
        request=request,
        sha256=manifest.sha256,
    )


def plan(batch: Batch) -> Plan:
    """Compare a batch with its journal and write the plan's report; nothing leaves this machine.

    Raises `ManifestInvalid`, `StorageError`, or `UsageError` if the manifest changed after `load`.
    """
    request = replace(batch.request, validate_only=True)
    with Staging() as staging:
        manifest, _ = plan_use_case.read_manifest(request, staging)
        _same(batch, manifest.sha256)
        plan_use_case.plan_offline(request, manifest, staging)
        source, summary = plan_use_case.outline_plan(request, manifest, staging)
        report = write_report(source, request.report_dir, summary)
    figures = source.plan
    if figures is None:
        raise AssertionError("a plan has figures")
    return Plan(
        run=source.run.id,
        report=report,
        counts=_counts(summary),
        send=figures.send,
        unchanged=figures.unchanged,
        in_doubt=figures.in_doubt,
        estimate_s=figures.estimate_s,
    )


def apply(
    batch: Batch,
    *,
    live: bool = False,
    confirm: Callable[[Question], bool] | None = None,
    observer: Observer | None = None,
    stop: Stop | None = None,
) -> Result:
    """Transfer what is not yet transferred, and write the report.

    Nothing but the embedded gateway is used without `live=True`. `confirm` is asked before anything
    is sent; False ends the run. It blocks until the run ends, has an event loop of its own, and
    handles no signals: `stop` takes their place. Raises what `plan` raises, `Locked`, and
    `UsageError` for a live environment without `live`.
    """
    if not (live or batch.is_simulated):
        raise UsageError(
            f"environment {batch.environment} moves live interactions: call apply(batch, live=True)"
        )
    with Staging() as staging:
        manifest, _ = plan_use_case.read_manifest(batch.request, staging)
        _same(batch, manifest.sha256)
        hooks = RunHooks(
            _Unwatched() if observer is None else observer,
            Stop() if stop is None else stop,
            (lambda _question: True) if confirm is None else confirm,
        )
        applied = apply_use_case.apply(batch.request, manifest, staging, hooks)
    if applied.code is ExitCode.BUG and applied.error is not None:
        raise applied.error
    return Result(
        run=applied.source.run.id,
        report=applied.report,
        counts=_counts(applied.summary),
        code=applied.code,
        explanation=applied.source.run.explanation,
    )


def _counts(summary: Summary) -> Mapping[Outcome, int]:
    return dict(summary.counts)


def _same(batch: Batch, sha256: str) -> None:
    if sha256 != batch.sha256:
        raise UsageError(f"{batch.path} changed after it was loaded: load it again, and look at it")
