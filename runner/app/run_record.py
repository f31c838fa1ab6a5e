"""The run's record: who, where, what, when, and how it ended."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from runner import __version__
from runner.app.run_options import RunOptions
from runner.app.window_records import run_windows
from runner.console.log.redaction import Redactor
from runner.core.exit_code import ExitCode
from runner.core.manifest.model import Manifest, Policy
from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.next_steps import RunArguments
from runner.core.number_text import counted, was_or_were
from runner.core.records.run_record import PlanFigures, RunRecord
from runner.core.timestamps import seconds, timestamp


def started_record(
    request: RunOptions, manifest: Manifest, run_id: str, *, at: float, outcome: str
) -> RunRecord:
    """Return the record of a run that begins, with the outcome that holds if it dies."""
    return RunRecord(
        id=run_id,
        batch=manifest.name,
        environment=manifest.environment.name,
        driver=manifest.environment.driver_name,
        gateway=manifest.gateway.name,
        started_at=timestamp(at),
        finished_at=None,
        outcome=outcome,
        exit_code=None,
        runner_version=__version__,
        host=socket.gethostname(),
        user=current_user(),
        labels=dict(manifest.labels),
        manifest_path=request.arguments(manifest).manifest,
        manifest_sha256=manifest.sha256,
        options=request.to_json() | {"folder": str(Path.cwd())},
        reverts=manifest.reverts,
        description=manifest.description,
    )


def finished_record(
    record: RunRecord,
    code: ExitCode,
    explanation: str | None,
    others_in_doubt: int,
    *,
    policy: Policy,
    at: float,
) -> RunRecord:
    """Return the record of a run that has ended, by the windows of its policy."""
    return replace(
        record,
        finished_at=timestamp(at),
        outcome=code.outcome,
        exit_code=int(code),
        explanation=explanation,
        others_in_doubt=others_in_doubt,
        windows=run_windows(policy, seconds(record.started_at), at),
    )


def report_root_of(run: RunRecord) -> Path:
    """Return the folder below which a run left its report, as seen from the current folder."""
    given = RunArguments.of(run)
    here = given.folder in {None, str(Path.cwd())}
    return Path(given.report_dir) if here else Path(given.folder or "", given.report_dir)


MOST_PLACES = 2_000
"""Most names of queues and users that a record keeps."""


def recorded_names(place_names: Mapping[str, str]) -> dict[str, str]:
    """Return what a record keeps of the names that were looked up."""
    return dict(islice(place_names.items(), MOST_PLACES))


def redacted_excerpt(manifest: Manifest) -> ManifestExcerpt | None:
    """Return what a report shows of a manifest, without the secrets that it leads to."""
    if manifest.excerpt is None:
        return None
    redactor = Redactor.knowing(manifest.secrets)
    return ManifestExcerpt(
        tuple(map(redactor.text, manifest.excerpt.lines)), manifest.excerpt.total
    )


def current_user() -> str:
    """Return who runs this program."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user in this container, no variable that names one
        return "unknown"


def finished_plan_record(record: RunRecord, *, at: float) -> RunRecord:
    """Return the record of a dry run that has ended."""
    return replace(record, finished_at=timestamp(at), exit_code=int(ExitCode.OK))


MOST_NAMED = 5
"""Doubts outside the manifest that an explanation names."""


def doubts_elsewhere_text(doubts: Sequence[tuple[str, str, str]]) -> str | None:
    """Return what is in doubt outside the manifest, as (run, key, …), in words; None: nothing."""
    if not doubts:
        return None
    named = ", ".join(f"key {key} of run {run}" for run, key, _ in doubts[:MOST_NAMED])
    more = f" and {len(doubts) - MOST_NAMED} more" if len(doubts) > MOST_NAMED else ""
    return f"{len(doubts)} in doubt that this manifest does not list: {named}{more}"


def settled_elsewhere_text(number: int) -> str:
    """Return, in words, that so many rows wait for a new plan: their doubts were settled elsewhere."""
    return (
        f"{counted(number)} {was_or_were(number)} in doubt for another destination, which is settled"
        " now: run apply again to take up the manifest's"
    )


def plan_log_fields(plan: PlanFigures) -> dict[str, Any]:
    """Return a plan's figures for a log line: those that say something."""
    figures = asdict(plan) | {"estimate_s": plan.estimate_s and round(plan.estimate_s, 1)}
    always = {"send", "unchanged", "in_doubt"}
    del figures["openings"]
    return {name: value for name, value in figures.items() if value or name in always}
