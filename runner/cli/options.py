"""The options that commands share; each is also an environment variable `RUNNER_<NAME>`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runner.cli import option_values
from runner.console.diagnostics.formats import OutputFormat
from runner.console.diagnostics.problem_text import MAX_PROBLEMS
from runner.core.journal_location import JournalLocation

if TYPE_CHECKING:
    from runner.cli.output import Console

MOST_ROWS = 10**9
"""What `--limit` may say at most: more rows than any manifest has, and a number a journal holds."""

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
Env = Annotated[
    str | None,
    typer.Option(
        "--env",
        envvar="RUNNER_ENV",
        metavar="NAME",
        help="The environment, instead of the manifest's.",
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        envvar="RUNNER_ONLY",
        metavar="GLOB",
        help="Send only keys that match this glob; repeatable. The variable takes several, with"
        " blanks between them.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        envvar="RUNNER_LIMIT",
        min=0,
        max=MOST_ROWS,
        metavar="N",
        help="Send at most so many.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--rate",
        envvar="RUNNER_RATE",
        parser=option_values.rate,
        metavar="RATE",
        help="Lower the rate, such as 10/s; it never rises above the manifest's.",
    ),
]
InFlight = Annotated[
    int | None,
    typer.Option(
        "--in-flight",
        envvar="RUNNER_IN_FLIGHT",
        min=1,
        metavar="N",
        help="Lower the transfers in flight.",
    ),
]
MaxFailures = Annotated[
    Any,  # an `Amount`; typer knows no unions, and need not: the parser makes it
    typer.Option(
        "--max-failures",
        envvar="RUNNER_MAX_FAILURES",
        parser=option_values.amount,
        metavar="COUNT|SHARE",
        help="Stop when more than so many fail, such as 20 or 5%, instead of the manifest's.",
        show_default=False,
    ),
]
ReportDir = Annotated[
    Path,
    typer.Option(
        "--report-dir", envvar="RUNNER_REPORT_DIR", metavar="FOLDER", help="Where reports go."
    ),
]
OfReportDir = Annotated[
    Path | None,
    typer.Option(
        "--report-dir",
        envvar="RUNNER_REPORT_DIR",
        metavar="FOLDER",
        help="Where the run's report lies.",
        show_default="where the run left it",
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
OfManifest = Annotated[
    Path | None,
    typer.Option(
        "--manifest",
        envvar="RUNNER_MANIFEST",
        metavar="FILE",
        help="Find the journal by this manifest; its environment may be chosen by --env.",
        show_default=False,
    ),
]
Run = Annotated[str, typer.Argument(metavar="RUN", help="Its id, or `latest`.", show_default=False)]
LockTimeout = Annotated[
    float | None,
    typer.Option(
        "--lock-timeout",
        envvar="RUNNER_LOCK_TIMEOUT",
        parser=option_values.duration,
        metavar="DURATION",
        help="How long to wait for another run to end, such as 10m.",
    ),
]
Again = Annotated[
    bool,
    typer.Option(
        "--again", envvar="RUNNER_AGAIN", help="Move even what was moved to the same destination."
    ),
]
NewHistory = Annotated[
    bool,
    typer.Option(
        "--new-history",
        envvar="RUNNER_NEW_HISTORY",
        help="Begin anew although an earlier run's journal is missing or newer.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", envvar="RUNNER_YES", help="Do not ask before sending.")]
ValidateOnly = Annotated[
    bool,
    typer.Option(
        "--validate-only",
        envvar="RUNNER_VALIDATE_ONLY",
        help="Everything up to the plan; nothing leaves this machine.",
    ),
]
WithoutSecrets = Annotated[
    bool,
    typer.Option(
        "--without-secrets",
        envvar="RUNNER_WITHOUT_SECRETS",
        help="With --validate-only or plan: check references to secrets for their form alone, as"
        " where a change is reviewed without production's secrets.",
    ),
]
IgnoreWindow = Annotated[
    bool,
    typer.Option(
        "--ignore-window",
        envvar="RUNNER_IGNORE_WINDOW",
        help="Rehearse outside the manifest's window; only with `driver: simulator`.",
    ),
]
Keep = Annotated[
    int | None,
    typer.Option(
        "--keep",
        envvar="RUNNER_KEEP",
        min=0,
        help="Keep so many of each batch's newest runs, the newest one always.",
        show_default="30",
    ),
]
OlderThan = Annotated[
    float | None,
    typer.Option(
        "--older-than",
        envvar="RUNNER_OLDER_THAN",
        parser=option_values.age,
        metavar="AGE",
        help="Remove only what is older, such as 90d.",
        show_default="90d",
    ),
]


class ResolveAs(StrEnum):
    """The choices of `--as`."""

    TRANSFERRED = "transferred"
    FAILED = "failed"


class LogFormatChoice(StrEnum):
    """The choices of `--log-format`."""

    AUTO = "auto"
    PRETTY = "pretty"
    JSON = "json"


Output = Annotated[
    OutputFormat,
    typer.Option(
        "--output",
        envvar="RUNNER_OUTPUT",
        help="The form of diagnostics and result.",
    ),
]
MaxProblems = Annotated[
    int,
    typer.Option(
        "--max-problems",
        envvar="RUNNER_MAX_PROBLEMS",
        min=0,
        metavar="N",
        help="Show at most so many of a manifest's problems; the rest is counted by code.",
    ),
]
LogFormat = Annotated[
    LogFormatChoice,
    typer.Option(
        "--log-format",
        envvar="RUNNER_LOG_FORMAT",
        help="auto: pretty on a terminal, plain lines elsewhere.",
    ),
]
LogFile = Annotated[
    Path | None,
    typer.Option(
        "--log-file", envvar="RUNNER_LOG_FILE", metavar="FILE", help="Log to this file too."
    ),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        envvar="RUNNER_VERBOSE",
        count=True,
        parser=option_values.times,
        metavar="",
        show_default=False,
        help="Log more; as a variable, a number of times.",
    ),
]
Quiet = Annotated[
    int,
    typer.Option(
        "--quiet",
        "-q",
        envvar="RUNNER_QUIET",
        count=True,
        parser=option_values.times,
        metavar="",
        show_default=False,
        help="Log less; as a variable, a number of times.",
    ),
]
NoProgress = Annotated[
    bool,
    typer.Option(
        "--no-progress", envvar="RUNNER_NO_PROGRESS", help="A line a minute, no live view."
    ),
]


def console(
    output: OutputFormat,
    log_format: LogFormatChoice = LogFormatChoice.AUTO,
    log_file: Path | None = None,
    verbosity: int = 0,
    *,
    no_progress: bool = False,
    max_problems: int = MAX_PROBLEMS,
) -> Console:
    """Return the console that a command's options ask for, over the standard streams."""
    from runner.cli.output import Console  # noqa: PLC0415 - `--help` does without
    from runner.console.streams import standard_streams  # noqa: PLC0415

    out, err = standard_streams()
    return Console(
        out,
        err,
        output,
        log_format.value,
        log_file,
        verbosity,
        progress=not no_progress,
        max_problems=max_problems,
    )
