"""`runner journal`: makes and checks a journal in a database, and takes a file's over."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from runner.app.journal_adopt import adopt_database
from runner.app.journal_import import import_file
from runner.cli import options
from runner.cli.output import boundary
from runner.core.exit_code import ExitCode
from runner.core.journal_location import JournalLocation
from runner.core.next_steps import shell_line
from runner.journals import check_journal, create_journal
from runner.ports.journal_access import Durability

_Url = Annotated[
    str, typer.Argument(metavar="URL", help="postgresql://HOST/DATABASE", show_default=False)
]


def create(
    url: _Url,
    *,
    durability: Annotated[
        Durability,
        typer.Option(help="What the server keeps when it is lost; checked at each renewal."),
    ] = Durability.SINGLE,
) -> None:
    """Make a journal's tables in a database; several hosts may then use it with --journal URL."""
    console = options.OutputOptions().console()
    with boundary(console):
        create_journal(JournalLocation(url), durability)
        console.out.write(f"the journal is made; name it with --journal {shlex.quote(url)}\n")


def check(url: _Url) -> None:
    """Check what a journal relies on of its server; exit 1 if something does not hold."""
    console = options.OutputOptions().console()
    with boundary(console):
        found = check_journal(JournalLocation(url))
        for each in found:
            console.out.write(f"{'holds' if each.holds else 'DOES NOT HOLD'}: {each.what}\n")
        raise SystemExit(ExitCode.OK if all(each.holds for each in found) else ExitCode.FAILURES)


def import_(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The journal's file.", show_default=False)
    ],
    url: _Url,
    *,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="The gateway's lane is this manifest's; otherwise the URL names it (?lane=NAME).",
            show_default=False,
        ),
    ] = None,
    env: options.Env = None,
) -> None:
    """Bring the history in a file into a database, whole; the file is refused from then on.

    Interrupted, the same command finishes it.
    """
    console = options.OutputOptions().console()
    with boundary(console, manifest):
        imported = import_file(file, JournalLocation(url), manifest, env)
        how = "imported" if imported.is_new else "imported before"
        console.out.write(
            f"{imported.before}: {imported.seq:,} events {how}; the file is refused from now on\n"
            f"name the journal with {shell_line(('--journal', imported.journal))}\n"
        )


def adopt(
    url: _Url,
    *,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            help="Why it may be used, and what you did about what it lacks; the audit log keeps it.",
            show_default=False,
        ),
    ],
    lock_timeout: options.LockTimeout = None,
) -> None:
    """Accept a database that was restored, copied or failed over, by your word.

    Each of its lanes records it, and no host asks for what it saw before.
    """
    console = options.OutputOptions().console()
    with boundary(console):
        for each in adopt_database(JournalLocation(url), reason, lock_timeout):
            end = (
                "it has no run"
                if each.last is None
                else f"its last run's last event is of {each.last}"
            )
            console.out.write(f"{each.lane}: adopted by event {each.seq:,}; {end}\n")
        console.out.write(
            "what was moved after that is not in it: compare the reports of later runs before you"
            " apply\n"
        )
