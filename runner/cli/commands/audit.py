"""`runner audit verify`: checks an audit chain; `runner audit sign`: signs where it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from runner.app.audit import folder_of_run, names_file, verify_file, verify_run
from runner.app.audit_signature import sign_run, verify_signatures
from runner.app.find_journal import find_journal
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary, must_be_shown
from runner.console.results.audit_result import audit_to_json, render_audit
from runner.console.terminal_text import visible
from runner.core.errors import UsageError
from runner.core.exit_code import ExitCode


@expand_dataclasses
def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|RUN", help="An audit.jsonl or its folder, or a run.", show_default=False
        ),
    ],
    *,
    signers: Annotated[
        Path | None,
        typer.Option(
            "--signers",
            envvar="RUNNER_SIGNERS",
            metavar="FILE",
            help="Also check that people of this file of allowed signers (OpenSSH) signed it.",
            show_default=False,
        ),
    ] = None,
    required: Annotated[
        int | None,
        typer.Option(
            "--required",
            envvar="RUNNER_REQUIRED",
            metavar="N",
            min=1,
            help="With --signers: how many different people must have signed; by default 1.",
            show_default=False,
        ),
    ] = None,
    journal: options.JournalSelection,
    report_dir: options.ReportDirOfRun = None,
    output: options.OutputOptions,
) -> None:
    """Check the hash chain of a file or a run; show at which entry it breaks, and exit 1."""
    console, where = output.console(), journal.location()
    with boundary(console, where.manifest), must_be_shown(console):
        if required is not None and signers is None:
            raise UsageError("--required counts signatures: name who may sign with --signers FILE")
        if names_file(target):
            audited = [verify_file(Path(target))]
            folder: Path | None = Path(target) if Path(target).is_dir() else Path(target).parent
        else:
            found = find_journal(where)
            audited = verify_run(found, target, report_dir)
            folder = folder_of_run(found, target, report_dir).folder if signers else None
        if signers is not None and folder is not None:
            audited.append(verify_signatures(audited[0], folder, signers, required or 1))
        console.show(render_audit, audit_to_json, audited)
        broken = any(each.fault for each in audited)
        raise SystemExit(ExitCode.FAILURES if broken else ExitCode.OK)


@expand_dataclasses
def sign(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="A run's id, or `latest`.", show_default=False)
    ],
    *,
    key: Annotated[
        Path,
        typer.Option(
            "--key",
            envvar="RUNNER_KEY",
            metavar="KEY",
            help="The SSH key to sign with: a private one, or a public one that an agent holds.",
            show_default=False,
        ),
    ],
    journal: options.JournalSelection,
    report_dir: options.ReportDirOfRun = None,
    output: options.OutputOptions,
) -> None:
    """Sign where a run's audit chain ends and what its reports are, into files beside them."""
    console, where = output.console(), journal.location()
    with boundary(console, where.manifest):
        signed = sign_run(find_journal(where), run, key, report_dir)
        console.out.write(f"signed: {visible(str(signed.head))}\n")
        console.out.write(f"signature: {visible(str(signed.signature))}\n")
