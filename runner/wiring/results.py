"""A run's result, as the console shows it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from runner.console.result import Group, RunResult
from runner.core.outcome import ExitCode, Outcome
from runner.core.record import ReportSource

EXAMPLES = 3
"""Places in the manifest shown for each group of failures."""

_DONE = frozenset({Outcome.TRANSFERRED, Outcome.UNCHANGED})


def result_of(
    source: ReportSource,
    code: ExitCode,
    report: Path,
    duration_s: float,
    *,
    connected: bool = False,
) -> RunResult:
    """Count a run's transfers once, and group what did not go as wished by its reason."""
    counts: Counter[Outcome] = Counter()
    groups: Counter[tuple[Outcome, str | None]] = Counter()
    examples: dict[tuple[Outcome, str | None], list[str]] = {}
    not_selected = 0
    for transfer in source.transfers():
        counts[transfer.outcome] += 1
        not_selected += transfer.reason == "not selected"
        if transfer.outcome in _DONE or source.plan is not None:
            continue
        group = (transfer.outcome, transfer.reason)
        groups[group] += 1
        places = examples.setdefault(group, [])
        if len(places) < EXAMPLES:
            places.append(transfer.source)
    return RunResult(
        batch=source.run.batch,
        environment=source.run.environment,
        exit_code=code,
        run_id=source.run.id,
        explanation=source.run.explanation,
        counts=counts,
        not_selected=not_selected,
        groups=[
            Group(outcome, reason, count, tuple(examples[outcome, reason]))
            for (outcome, reason), count in groups.most_common()
        ],
        report=str(report),
        duration_s=duration_s,
        plan=source.plan,
        connected=connected,
    )
