"""`runner reports prune`, once its options are read."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from runner.app.prune import prune
from runner.cli.output import Console, boundary
from runner.console.results.prune_result import pruned_to_json, render_pruned
from runner.core.records.retention import Retention
from runner.core.transfer.outcome import ExitCode

KEEP = 30
OLDER_THAN_S = 90 * 86_400.0


@dataclass(frozen=True, slots=True)
class Pruning:
    """What `reports prune` is asked for; None where nothing was said."""

    report_dir: Path
    batch: str | None
    keep: int | None
    older_than_s: float | None
    dry_run: bool


def prune_reports(console: Console, asked: Pruning) -> None:
    """Remove old reports, or tell which would go; exit 74 if one could not be removed."""
    with boundary(console):
        retention = Retention(
            KEEP if asked.keep is None else asked.keep,
            OLDER_THAN_S if asked.older_than_s is None else asked.older_than_s,
        )
        pruned = prune(
            asked.report_dir,
            retention,
            now=time.time(),
            batch=asked.batch,
            dry_run=asked.dry_run,
        )
        console.show(render_pruned, pruned_to_json, pruned)
        raise SystemExit(ExitCode.STORAGE if pruned.failed else ExitCode.OK)
