"""Options that commands share; each is also an environment variable `RUNNER_<NAME>`.

A dataclass here is an option group (`option_groups.py`). A new option of `apply` and `plan` is a
field of `BatchOptions` and one of `runner.app.run_options.RunOptions`, by the same name.
"""

# Commands import what they need when they run: `--help` and `--version` answer at once.
# ruff: noqa: PLC0415

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli import option_values
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.core.journal_location import JournalLocation

if TYPE_CHECKING:
    from runner.app.find_journal import JournalOptions
    from runner.app.run_options import RunOptions
    from runner.cli.output import Console

MOST_ROWS = 10**9
"""Largest value of `--limit`: more rows than any manifest has, and a number a journal can hold."""

Manifest = Annotated[
    Path, typer.Argument(metavar="MANIFEST", help="A YAML file.", show_default=False)
]
Env = Annotated[
    str | None,
    typer.Option(
        "--env",
        envvar="RUNNER_ENV",
        metavar="NAME",
        help="Use this environment instead of the manifest's.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        envvar="RUNNER_RATE",
        parser=option_values.rate,
        metavar="RATE",
        help="Lower the rate, such as 10/s; it never exceeds the manifest's.",
    ),
]
ReportDir = Annotated[
    Path,
    typer.Option(
        "--report-dir",
        envvar="RUNNER_REPORT_DIR",
        metavar="FOLDER",
        help="The folder for reports.",
    ),
]
ReportDirOfRun = Annotated[
    Path | None,
    typer.Option(
        "--report-dir",
        envvar="RUNNER_REPORT_DIR",
        metavar="FOLDER",
        help="Look for the run's report in this folder.",
        show_default="where the run wrote it",
    ),
]
Journal = Annotated[
    JournalLocation | None,
    typer.Option(
        "--journal",
        parser=option_values.journal,
        envvar="RUNNER_JOURNAL",
        metavar="FILE",
        help="The journal's file; by default .runner/ENVIRONMENT.db beside the manifest.",
        show_default=False,
    ),
]
LockTimeout = Annotated[
    float | None,
    typer.Option(
        "--lock-timeout",
        envvar="RUNNER_LOCK_TIMEOUT",
        parser=option_values.duration,
        metavar="DURATION",
        help="Wait this long for another run to end, such as 10m.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", envvar="RUNNER_YES", help="Do not ask before sending.")]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress",
        envvar="RUNNER_NO_PROGRESS",
        help="Write a line a minute instead of the live view.",
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
    ),
]
Output = Annotated[
    OutputFormat,
    typer.Option("--output", envvar="RUNNER_OUTPUT", help="The format of diagnostics and result."),
]


class LogFormatChoice(StrEnum):
    """The choices of `--log-format`."""

    AUTO = "auto"
    PRETTY = "pretty"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where and how a command writes what it says."""

    output: Output = OutputFormat.PRETTY
    log_format: Annotated[
        LogFormatChoice,
        typer.Option(
            "--log-format",
            envvar="RUNNER_LOG_FORMAT",
            help="auto: pretty on a terminal, plain lines elsewhere.",
        ),
    ] = LogFormatChoice.AUTO
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file", envvar="RUNNER_LOG_FILE", metavar="FILE", help="Log to this file too."
        ),
    ] = None
    verbose: Annotated[
        int,
        typer.Option(
            "--verbose",
            "-v",
            envvar="RUNNER_VERBOSE",
            count=True,
            parser=option_values.times,
            metavar="",
            show_default=False,
            help="Log more; the variable takes a number.",
        ),
    ] = 0
    quiet: Annotated[
        int,
        typer.Option(
            "--quiet",
            "-q",
            envvar="RUNNER_QUIET",
            count=True,
            parser=option_values.times,
            metavar="",
            show_default=False,
            help="Log less; the variable takes a number.",
        ),
    ] = 0

    def console(self, *, no_progress: bool = False, max_problems: int = MAX_PROBLEMS) -> Console:
        """Return a console over the standard streams."""
        from runner.cli.output import Console
        from runner.console.output_streams import standard_streams

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


@dataclass(frozen=True, slots=True)
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
        ),
    ] = None
    env: Env = None

    def location(self) -> JournalOptions:
        """Return where the journal is."""
        from runner.app.find_journal import JournalOptions

        return JournalOptions(self.journal, self.manifest, self.env)


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The options that `apply` and `plan` share; each is a field of `RunOptions`, None if not given."""

    without_secrets: Annotated[
        bool,
        typer.Option(
            "--without-secrets",
            envvar="RUNNER_WITHOUT_SECRETS",
            help="With --validate-only or plan: check only the form of references to secrets, as"
            " where a change is reviewed without production's secrets.",
        ),
    ] = False
    environment: Env = None
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            envvar="RUNNER_ONLY",
            metavar="GLOB",
            help="Send only keys that match this glob; repeatable. The variable takes several,"
            " separated by blanks.",
        ),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            envvar="RUNNER_LIMIT",
            min=0,
            max=MOST_ROWS,
            metavar="N",
            help="Send at most N transfers.",
        ),
    ] = None
    rate_per_s: Rate = None
    in_flight: Annotated[
        int | None,
        typer.Option(
            "--in-flight",
            envvar="RUNNER_IN_FLIGHT",
            min=1,
            metavar="N",
            help="Lower the number of transfers in flight.",
        ),
    ] = None
    max_failures: Annotated[
        Any,  # an `Amount`, made by the parser: typer does not support unions
        typer.Option(
            "--max-failures",
            envvar="RUNNER_MAX_FAILURES",
            parser=option_values.amount,
            metavar="COUNT|SHARE",
            help="Stop when more transfers fail than this, such as 20 or 5%; replaces the"
            " manifest's.",
            show_default=False,
        ),
    ] = None
    report_dir: ReportDir = Path("reports")
    journal: Journal = None
    lock_timeout_s: LockTimeout = None
    again: Annotated[
        bool,
        typer.Option(
            "--again",
            envvar="RUNNER_AGAIN",
            help="Move even what was moved to the same destination.",
        ),
    ] = False
    new_history: Annotated[
        bool,
        typer.Option(
            "--new-history",
            envvar="RUNNER_NEW_HISTORY",
            help="Begin a new journal although an earlier run's is missing or newer.",
        ),
    ] = False
    ignore_window: Annotated[
        bool,
        typer.Option(
            "--ignore-window",
            envvar="RUNNER_IGNORE_WINDOW",
            help="Rehearse outside the manifest's window; only with `driver: simulator`.",
        ),
    ] = False

    def request(self, manifest: Path, *, validate_only: bool) -> RunOptions:
        """Return the request that these options make."""
        from runner.app.run_options import RunOptions

        values = {each.name: getattr(self, each.name) for each in fields(self)}
        given = {name: value for name, value in values.items() if value is not None}
        given["only"] = tuple(self.only or ())
        return RunOptions(manifest=manifest, validate_only=validate_only, **given)
