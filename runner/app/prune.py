"""`reports prune`: removes reports by age and number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from runner.console.results.prune_result import FolderNote, PruneResult, RemovedReport
from runner.core.records.retention import KeepReason, Retention, reasons_to_keep
from runner.report.stored_reports import (
    NotAReport,
    ReportFolder,
    StoredBatch,
    remove_report,
    stored_batches,
)

Remove = Callable[[Path, str, str], int]
"""Removes a report folder, given root, batch and name; returns the bytes that this frees."""


def prune(
    root: Path,
    retention: Retention,
    *,
    now: float,
    batch: str | None = None,
    dry_run: bool = False,
    removing: Remove = remove_report,
) -> PruneResult:
    """Remove the reports that `retention` does not keep, of one batch or of all under `root`.

    `now` is in seconds since the epoch. Raises `UsageError` if there is no such folder or batch,
    `StorageError` if it cannot be read.
    """
    pruning = _Pruning(root, None if dry_run else removing)
    for each in stored_batches(root, batch):
        pruning.take(each, retention, now)
    return PruneResult(
        str(root),
        retention.keep,
        retention.older_than_s,
        dry_run,
        pruning.removed,
        {reason: pruning.kept[reason] for reason in KeepReason if pruning.kept[reason]},
        pruning.left,
        pruning.failed,
    )


class _Pruning:
    """Prunes batch by batch, and records what it did."""

    def __init__(self, root: Path, removing: Remove | None) -> None:
        self._root = root
        self._removing = removing
        self.removed: list[RemovedReport] = []
        self.kept: Counter[KeepReason] = Counter()
        self.left: list[FolderNote] = []
        self.failed: list[FolderNote] = []

    def take(self, batch: StoredBatch, retention: Retention, now: float) -> None:
        self.left += [FolderNote(str(entry.path), entry.why) for entry in batch.skipped]
        folders = [report.stored for report in batch.reports]
        reasons = reasons_to_keep(folders, retention, latest=batch.latest, now=now)
        for report in batch.reports:
            reason = reasons[report.stored.name]
            if reason is None:
                self._remove(batch.name, report)
            else:
                self.kept[reason] += 1

    def _remove(self, batch: str, report: ReportFolder) -> None:
        name = report.stored.name
        path, size = str(self._root / batch / name), report.size_bytes
        try:
            if self._removing is not None:
                size = self._removing(self._root, batch, name)
        except NotAReport as error:
            self.left.append(FolderNote(path, str(error)))
        except OSError as error:
            self.failed.append(FolderNote(path, (error.strerror or str(error)).lower()))
        else:
            self.removed.append(RemovedReport(batch, name, path, size))
