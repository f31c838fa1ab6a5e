"""`runner audit verify`, once its options are read."""

from __future__ import annotations

from pathlib import Path

from runner.cli.console import Console, boundary
from runner.console.audited import audited_to_json, render_audited
from runner.core.outcome import ExitCode
from runner.wiring.auditing import names_file, verify_file, verify_run
from runner.wiring.journals import Whereabouts, find_journal


def verify(console: Console, where: Whereabouts, target: str, report_dir: Path | None) -> None:
    """Verify a file's audit chain or a run's; exit 1 where it is broken."""
    with boundary(console, where.manifest):
        if names_file(target):
            audited = [verify_file(Path(target))]
        else:
            audited = verify_run(find_journal(where), target, report_dir)
        console.show(render_audited, audited_to_json, audited)
        broken = any(each.fault for each in audited)
        raise SystemExit(ExitCode.FAILURES if broken else ExitCode.OK)
