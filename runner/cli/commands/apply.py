"""`runner apply`: check, plan, transfer, report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.all_or_none import check_each, check_run
from runner.cli import options
from runner.cli.commands.plan import PlanOptions, plan_manifest
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary
from runner.cli.step_summary import summarizing
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.core.batch_options import CHECKS
from runner.core.errors import UsageError
from runner.core.exit_code import worst

if TYPE_CHECKING:
    from runner.app.run_options import RunOptions
    from runner.cli.output import Console

SIGNALLED = 128
"""Exit codes above it say which signal ended a run."""

ONE_DOCUMENT = frozenset({OutputFormat.JSON, OutputFormat.SARIF})
"""Outputs that programs read whole: two documents one after another are none."""

ValidateOnly = Annotated[
    bool,
    typer.Option(
        "--validate-only",
        envvar="RUNNER_VALIDATE_ONLY",
        help="Do everything up to the plan and stop; nothing leaves this machine.",
        rich_help_panel=CHECKS,
    ),
]


@expand_dataclasses
def apply(
    manifest: options.ManifestOrPlan,
    *,
    validate_only: ValidateOnly = False,
    environment: options.Envs = None,
    batch: options.SharedOptions,
    yes: options.Yes = False,
    wait: options.Wait = None,
    max_problems: options.MaxProblems = MAX_PROBLEMS,
    no_progress: options.NoProgress = False,
    metrics_file: options.MetricsFile = None,
    output: options.OutputOptions,
) -> None:
    """Load, validate, plan, transfer what is not yet transferred, report."""
    requests = batch.requests(manifest, environment, validate_only=validate_only)
    only_checked = validate_only or batch.without_secrets
    run = _plan if only_checked else _live_run(yes=yes, wait=wait, metrics_file=metrics_file)
    new_console = partial(output.console, no_progress=no_progress, max_problems=max_problems)
    if len(requests) > 1:
        _apply_in_turn(new_console, requests, only_checked=only_checked, run=run)
    else:
        run(new_console(), requests[0])


def _plan(console: Console, given: RunOptions) -> None:
    """Check a manifest for one environment, show its plan, and exit."""
    plan_manifest(console, given, PlanOptions())


def _live_run(
    *, yes: bool, wait: float | None, metrics_file: Path | None
) -> Callable[[Console, RunOptions], None]:
    """Return what runs a manifest for one environment."""
    # It brings the engine and the gateways' libraries, half of the time that a dry run takes.
    from runner.cli.live_run import LiveRun  # noqa: PLC0415

    return LiveRun(yes=yes, wait=wait, metrics_file=metrics_file)


def _check_all(console: Console, requests: Sequence[RunOptions]) -> None:
    """Check every environment before the first is begun; nothing is begun if one is refused."""
    path = requests[0].manifest
    with boundary(console, path), summarizing(console, path):
        check_each(requests, check_run)


def _apply_in_turn(
    new_console: Callable[[], Console],
    requests: Sequence[RunOptions],
    *,
    only_checked: bool,
    run: Callable[[Console, RunOptions], None],
) -> None:
    """Run a manifest for several environments, each a run of its own; exit with the worst code.

    Unless `only_checked`, all are checked before the first is begun. A signal ends the run that
    goes on, and all that would follow.
    """
    console = new_console()
    if console.output in ONE_DOCUMENT:
        with boundary(console, requests[0].manifest):
            raise UsageError(
                f"--output {console.output} prints one document, and {len(requests)} environments are"
                " asked for: apply them one at a time"
            )
    if not only_checked:
        _check_all(console, requests)
    environments = [str(each.environment) for each in requests]
    codes: dict[str, int] = {}
    for name, request in zip(environments, requests, strict=True):
        try:
            run(new_console(), request)
            codes[name] = 0
        except SystemExit as ended:
            codes[name] = int(ended.code or 0)
        if codes[name] > SIGNALLED:
            break
    ends = [f"{name}: exit code {code}" for name, code in codes.items()]
    ends += [f"{name}: not begun" for name in environments[len(codes) :]]
    console.err.write(f"environments: {'; '.join(ends)}\n")
    raise SystemExit(worst(codes.values()))
