"""`runner report`, once its options are read."""

from __future__ import annotations

from pathlib import Path

from runner.cli.console import Console, boundary
from runner.wiring.journals import Whereabouts, find_journal
from runner.wiring.reporting import render_again


def report_run(
    console: Console, where: Whereabouts, run: str, report_dir: Path, formats: list[str]
) -> None:
    """Render a run's report again and tell where it lies."""
    with boundary(console, where.manifest):
        for path in render_again(run, find_journal(where), report_dir, formats):
            console.out.write(f"{path}\n")
