"""`runner audit verify`, once its options are read."""

from __future__ import annotations

from pathlib import Path

from runner.app.audit import names_file, verify_file, verify_run
from runner.app.journal_location import JournalLocation, find_journal
from runner.cli.output import Console, boundary
from runner.console.results.audit_result import audited_to_json, render_audited
from runner.core.transfer.outcome import ExitCode


def verify(console: Console, where: JournalLocation, target: str, report_dir: Path | None) -> None:
    """Verify a file's audit chain or a run's; exit 1 where it is broken."""
    with boundary(console, where.manifest):
        if names_file(target):
            audited = [verify_file(Path(target))]
        else:
            audited = verify_run(find_journal(where), target, report_dir)
        console.show(render_audited, audited_to_json, audited)
        broken = any(each.fault for each in audited)
        raise SystemExit(ExitCode.FAILURES if broken else ExitCode.OK)
