"""Options that commands share; each is also an environment variable `RUNNER_<NAME>`.

A command that takes a dataclass of these offers each of its fields (`dataclass_options.py`). The
options that `apply` and `plan` share are declared in `runner.core.batch_options`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from runner.app.find_journal import JournalOptions
from runner.app.run_options import RunOptions
from runner.cli import option_parsers
from runner.cli.command_classes import ALONE
from runner.cli.dataclass_options import option_info
from runner.cli.output import Console
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.console.output_streams import standard_streams
from runner.core.batch_options import CHECKS, OPTIONS, OUTPUT, PLACES, SELECTION, BatchOptions
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import parse_duration

Manifest = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="A YAML file.", show_default=False)
]
ManifestOrPlan = Annotated[
    Path,
    typer.Argument(
        metavar="MANIFEST",
        help="A YAML file, or a plan that `plan --out` wrote.",
        show_default=False,
    ),
]
Exclude = Annotated[list[str] | None, option_info("exclude")]
Env = Annotated[str | None, option_info("environment")]
# Given several times it asks for a run for each.
Envs = Annotated[
    list[str] | None,
    typer.Option(
        "--env",
        envvar="RUNNER_ENV",
        metavar="NAME",
        help=f"{OPTIONS['environment'].help} Repeatable: a run for each, one after another;"
        " `apply --output json` takes one.",
        rich_help_panel=SELECTION,
    ),
]
Rate = Annotated[float | None, option_info("rate_per_s")]
OnlyKeys = Annotated[
    list[str] | None,
    typer.Option(
        "--only", metavar="GLOB", help="Only keys that match; may be repeated.", show_default=False
    ),
]
"""Without a variable: one that is set for `apply` must not choose what is settled or undone."""
Journal = Annotated[JournalLocation | None, option_info("journal")]
LockTimeout = Annotated[float | None, option_info("lock_timeout_s")]
ReportDir = Annotated[
    Path,
    typer.Option(
        "--report-dir",
        envvar="RUNNER_REPORT_DIR",
        metavar="FOLDER",
        help="Write reports below this folder.",
        parser=option_parsers.plain_path,
        rich_help_panel=PLACES,
    ),
]
ReportDirOfRun = Annotated[
    Path | None,
    typer.Option(
        "--report-dir",
        envvar="RUNNER_REPORT_DIR",
        metavar="FOLDER",
        help="Look for the run's report in this folder.",
        parser=option_parsers.plain_path,
        rich_help_panel=PLACES,
        show_default="where the run wrote it",
    ),
]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes",
        envvar="RUNNER_YES",
        help="Send without asking for confirmation.",
        rich_help_panel=CHECKS,
    ),
]
Wait = Annotated[
    float | None,
    typer.Option(
        "--wait",
        envvar="RUNNER_WAIT",
        metavar="[DURATION]",
        parser=option_parsers.for_command_line(parse_duration),
        help="Wait for the manifest's windows to open before the run begins, this long at most"
        f" ({ALONE['--wait']} if the option stands alone).",
        show_default=False,
        rich_help_panel=CHECKS,
    ),
]
MetricsFile = Annotated[
    Path | None,
    typer.Option(
        "--metrics-file",
        envvar="RUNNER_METRICS_FILE",
        metavar="FILE",
        help="Keep the run's figures in this file in Prometheus text format, such as"
        " FOLDER/billing.prom for node_exporter's textfile collector.",
        rich_help_panel=OUTPUT,
        show_default=False,
    ),
]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress",
        envvar="RUNNER_NO_PROGRESS",
        help="Write a line a minute instead of the live view.",
        rich_help_panel=OUTPUT,
    ),
]
MaxProblems = Annotated[
    int,
    typer.Option(
        "--max-problems",
        envvar="RUNNER_MAX_PROBLEMS",
        min=0,
        metavar="N",
        help="Show at most N of a manifest's problems; the rest are counted by code.",
        rich_help_panel=OUTPUT,
    ),
]
Output = Annotated[
    OutputFormat,
    typer.Option(
        "--output",
        envvar="RUNNER_OUTPUT",
        help="The format of diagnostics and result.",
        rich_help_panel=OUTPUT,
    ),
]


class LogFormatChoice(StrEnum):
    """The choices of `--log-format`."""

    AUTO = "auto"
    PRETTY = "pretty"
    JSON = "json"


@frozen
class OutputOptions:
    """Where and how a command writes what it says."""

    output: Output = OutputFormat.PRETTY
    log_format: Annotated[
        LogFormatChoice,
        typer.Option(
            "--log-format",
            envvar="RUNNER_LOG_FORMAT",
            help="How log lines look; auto: pretty on a terminal, plain lines elsewhere.",
            rich_help_panel=OUTPUT,
        ),
    ] = LogFormatChoice.AUTO
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file",
            envvar="RUNNER_LOG_FILE",
            metavar="FILE",
            help="Also write the log to this file.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            envvar="RUNNER_VERBOSE",
            count=True,
            parser=option_parsers.times,
            metavar="",
            show_default=False,
            help="Log more; the variable takes a number.",
            rich_help_panel=OUTPUT,
        ),
    ] = 0
    quiet: Annotated[
        int,
        typer.Option(
            "--quiet",
            "-q",
            envvar="RUNNER_QUIET",
            count=True,
            parser=option_parsers.times,
            metavar="",
            show_default=False,
            help="Log less; the variable takes a number.",
            rich_help_panel=OUTPUT,
        ),
    ] = 0

    def console(self, *, no_progress: bool = False, max_problems: int = MAX_PROBLEMS) -> Console:
        """Return a console over the standard streams."""
        out, err = standard_streams()
        return Console(
            out,
            err,
            self.output,
            self.log_format.value,
            self.log_file,
            self.verbose - self.quiet,
            progress=not no_progress,
            max_problems=max_problems,
        )


@frozen
class JournalSelection:
    """Which journal a command reads."""

    journal: Journal = None
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            envvar="RUNNER_MANIFEST",
            metavar="FILE",
            help="Find the journal by this manifest; --env chooses its environment.",
            show_default=False,
            rich_help_panel=PLACES,
        ),
    ] = None
    env: Env = None

    def location(self) -> JournalOptions:
        """Return where the journal is."""
        return JournalOptions(self.journal, self.manifest, self.env)


@frozen
class SharedOptions(BatchOptions):
    """The options that `apply` and `plan` share."""

    report_dir: ReportDir = Path("reports")

    def request(self, manifest: Path, *, validate_only: bool) -> RunOptions:
        """Return what these options ask for."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return RunOptions(manifest=manifest, validate_only=validate_only, **given)

    def requests(
        self, manifest: Path, environments: list[str] | None, *, validate_only: bool
    ) -> list[RunOptions]:
        """Return what these options ask for, once for each environment that is named."""
        request = self.request(manifest, validate_only=validate_only)
        if not environments:
            return [request]
        return [replace(request, environment=name) for name in dict.fromkeys(environments)]
