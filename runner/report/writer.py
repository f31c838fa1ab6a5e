"""Writes a run's report folder (cli.md, "A run leaves")."""

from __future__ import annotations

from pathlib import Path

from runner.core.errors import StorageError
from runner.core.records.run_record import ReportSource
from runner.core.records.summary import Summary
from runner.report.audit_log import write_audit
from runner.report.formats.registry import FORMATS, Write, format_named
from runner.report.model import AuditEnd, Content, build_content, is_dry_run
from runner.report.safe_folder import LATEST, REPORT, Folder, open_folder

SIGNED_HEAD = "head.json"
"""The file in a report folder whose reports were signed."""

AUDIT = "audit.jsonl"


def render_format(source: ReportSource, name: str, write: Write) -> None:
    """Write a report in the format `name`, in pieces. Raises `UsageError` for an unknown format."""
    format_named(name).render(build_content(source), write)


def write_report(
    source: ReportSource,
    root: Path,
    summary: Summary | None = None,
    *,
    moves_latest: bool = True,
) -> Path:
    """Write a run's report folder and return its path; pass `summary` if it is known already.

    A run's folder is `root`/BATCH/RUN. `latest` beside it then points there, unless the run found
    nothing to do (`moves_latest` False) and there is a `latest` already. A dry run's folder is
    `root`/BATCH/plan-ID, without audit.jsonl and `latest`. Existing files are replaced atomically.
    Raises `StorageError`, naming the file.
    """
    run, name = source.run, folder_name(source)
    with open_folder(root, run.batch, name) as folder:
        audit = _write_audit(source, folder)
        content = (
            build_content(source, audit) if summary is None else Content(source, summary, audit)
        )
        for each in FORMATS.values():
            if each.every_run:
                with folder.writing(each.file) as stream:
                    each.render(content, stream.write)
    if not content.dry_run and (moves_latest or not has_latest(root, run.batch)):
        with open_folder(root, run.batch) as batch:
            batch.link(LATEST, name)
    return folder.path


def has_latest(root: Path, batch: str) -> bool:
    """Return whether a batch's link `latest` leads to a report."""
    return (root / batch / LATEST / REPORT).exists()


def folder_name(source: ReportSource) -> str:
    """Return the name of a report's folder in its batch's folder.

    Raises `StorageError` if the run is named like the link.
    """
    run_id = source.run.id
    if run_id == LATEST:
        raise StorageError(f"a run cannot be named {LATEST!r}: that is the link to the newest run")
    return f"plan-{run_id.removeprefix('plan-')}" if is_dry_run(source) else run_id


def _write_audit(source: ReportSource, folder: Folder) -> AuditEnd:
    if source.audit is None:
        return AuditEnd(0, None)
    with folder.writing(AUDIT) as stream:
        return write_audit(source, stream.write)
