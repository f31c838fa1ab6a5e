"""`report`: renders a run's report again from the journal."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from runner.app import run_record
from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.next_steps import RunArguments
from runner.core.records.run_record import ReportSource, RunRecord
from runner.core.timestamps import timestamp
from runner.journals import journal_at
from runner.manifest.row_file_names import row_files_of
from runner.report import pdf
from runner.report.audit_log import write_audit
from runner.report.formats.registry import FORMATS, Write, format_named, format_of
from runner.report.model import AuditEnd, Content, build_content
from runner.report.pdf import PDF, write_pdf
from runner.report.replaceable import check_replaceable, check_unsigned
from runner.report.safe_folder import LATEST, Folder, open_folder
from runner.report.writer import AUDIT, folder_name, has_latest

PIECES = 1024
"""Pieces of a report that are joined for one write: a report is rendered in many small ones."""


_LIKE_A_FILE = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}")
"""A suffix that names a format; that of a folder such as `reports-1.5` does not."""


@frozen
class Rendered:
    """The formats that a run's report was rendered in, with their files."""

    run: str
    batch: str
    files: tuple[tuple[str, Path], ...]


def read_forms(text: str) -> tuple[str, ...]:
    """Return the formats in a list such as `html, json`, without duplicates. Raises `UsageError`."""
    forms = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for form in forms:
        format_named(form)
    return forms


def format_of_file(out: Path) -> str | None:
    """Return the format of a file name's ending; None if `out` is a folder.

    Raises `UsageError` for a name that ends as a file's of another format does.
    """
    if out.is_dir():
        return None
    found = format_of(out)
    if found is None and _LIKE_A_FILE.fullmatch(out.suffix):
        known = ", ".join(each.suffix for each in FORMATS.values())
        raise UsageError(
            f"{out} ends like a file, and no report format ends with {out.suffix}: write one of"
            f" {known}; for a folder of that name, create it first"
        )
    return None if found is None else found.name


def render_again(
    run: str,
    journal: JournalLocation,
    report_dir: Path | None,
    forms: Sequence[str],
    *,
    out: Path | None = None,
) -> Rendered:
    """Write a report's formats into the run's report folder, or into the folder `out`.

    Without `report_dir`, the folder is the one that the run used, whatever the current folder is.
    With `json` the report folder is restored: audit.jsonl is written too, because report.json has
    its end, and `latest` points to the newest run. Raises `UsageError` for an unknown run or journal,
    for a folder whose reports were signed, and for files in `out` that are not earlier reports; `StorageError`
    if a file cannot be written.
    """
    with report_source(run, journal) as source:
        names = () if out is not None else (source.run.batch, folder_name(source))
        whole = out is None and "json" in forms
        files = []
        root = (
            _root(source.run, report_dir) if out is None else run_record.report_root_of(source.run)
        )
        with open_folder(out or root, *names) as folder:
            for each in map(format_named, forms):
                if out is None:
                    check_unsigned(folder.path / each.file)
                else:
                    _check_out(source.run, out / each.file, each.name, each.beginning)
            end = _audit_again(source, folder) if whole else None
            content = _now(build_content(source, end))
            if out is not None:
                content = _elsewhere(content, report_dir or root)
            for each in map(format_named, forms):
                with folder.writing(each.file) as stream:
                    each.render(content, stream.write)
                files.append((each.name, folder.path / each.file))
        if whole:
            _link_again(content, journal, root)
        return Rendered(source.run.id, source.run.batch, tuple(files))


def _check_out(run: RunRecord, path: Path, form: str, beginning: re.Pattern[str]) -> None:
    """Refuse to replace anything but an earlier report, and one that the next run would read.

    A report as CSV passes as a list of rows: by its first line it cannot be told from one that a
    manifest names. Raises `UsageError`.
    """
    check_replaceable(path, form, beginning)
    if not path.exists():
        return
    manifest = Path(RunArguments.of(run).folder or "", run.manifest_path)
    if path.resolve() in {(manifest.parent / name).resolve() for name in row_files_of(manifest)}:
        raise UsageError(f"{path} is read by {manifest}; give --out another name")


def _root(run: RunRecord, report_dir: Path | None) -> Path:
    """Return the root of a run's report folder. Raises `UsageError` if it is not on this machine."""
    if report_dir is not None:
        return report_dir
    root, folder = run_record.report_root_of(run), RunArguments.of(run).folder
    is_here = (root / run.batch).is_dir() if folder is None else Path(folder).is_dir()
    if not is_here:
        where = f"{folder}, which is not on this machine" if folder else "another folder"
        raise UsageError(
            f"run {run.id} was started in {where}; name the folder for its report with"
            " --report-dir FOLDER, or with --out FOLDER for a copy"
        )
    return root


def render_file(run: str, journal: JournalLocation, form: str, out: Path) -> Rendered:
    """Write one format of a run's report to the file `out`: whole or not at all, mode 0600.

    Raises `UsageError` for an unknown run or journal, and for a file that is not an earlier report or
    lies beside signed ones, `StorageError` if the file cannot be written.
    """
    chosen = format_named(form)
    with report_source(run, journal) as source, open_folder(out.parent) as folder:
        _check_out(source.run, out, form, chosen.beginning)
        with folder.writing(out.name) as stream:
            root = run_record.report_root_of(source.run)
            chosen.render(_elsewhere(build_content(source), root), stream.write)
        return Rendered(source.run.id, source.run.batch, ((form, out),))


def print_pdf(
    run: str, journal: JournalLocation, report_dir: Path | None, out: Path | None
) -> Rendered:
    """Print a run's report as PDF, into its report folder or into `out`, a file or a folder.

    Raises `UsageError` for an unknown run, for a file that is not an earlier report, or if no browser
    is found; `StorageError` if the file cannot be written.
    """
    with report_source(run, journal) as source:
        if out is None:
            root = _root(source.run, report_dir)
            path = root / source.run.batch / folder_name(source) / PDF
            check_unsigned(path)
        else:
            path = out / PDF if out.is_dir() or not out.suffix else out
            _check_out(source.run, path, "pdf", pdf.BEGINNING)
        root = run_record.report_root_of(source.run)
        write_pdf(_elsewhere(build_content(source), root), path, os.environ)
        return Rendered(source.run.id, source.run.batch, (("pdf", path),))


def _audit_again(source: ReportSource, folder: Folder) -> AuditEnd:
    with folder.writing(AUDIT) as stream:
        return write_audit(source, stream.write)


def _link_again(content: Content, journal: JournalLocation, report_dir: Path) -> None:
    """Point `latest` to the run, unless the journal or the link has a newer one of its batch.

    A run that found nothing to do does not move an existing link.
    """
    source, run = content.source, content.source.run
    if run.exit_code == 0 and content.summary.found_nothing and has_latest(report_dir, run.batch):
        return
    try:
        linked = str((report_dir / run.batch / LATEST).readlink())
    except OSError:  # it does not exist, or is not a link
        linked = run.id
    with journal_at(journal).open_history() as history:
        if not history.is_newest(history.run_number(run.id), linked):
            return
    with open_folder(report_dir, run.batch) as batch:
        batch.link(LATEST, folder_name(source))


def stream_again(
    run: str, journal: JournalLocation, report_dir: Path | None, form: str, write: Write
) -> None:
    """Write one format of a run's report to a stream. Raises `UsageError`, `StorageError`."""
    with report_source(run, journal) as source:
        pieces: list[str] = []

        def gather(piece: str) -> None:
            pieces.append(piece)
            if len(pieces) >= PIECES:
                write("".join(pieces))
                pieces.clear()

        root = report_dir or run_record.report_root_of(source.run)
        format_named(form).render(_elsewhere(build_content(source), root), gather)
        write("".join(pieces))


def _elsewhere(content: Content, report_dir: Path) -> Content:
    """Return the content for a file outside the report folder, with the folder's path for links."""
    folder = report_dir / content.source.run.batch / folder_name(content.source)
    return replace(_now(content), folder=str(folder))


def _now(content: Content) -> Content:
    """Return the content of a report that is rendered again."""
    return replace(content, rendered_at=timestamp(time.time()))


@contextmanager
def report_source(run: str, journal: JournalLocation) -> Iterator[ReportSource]:
    """Yield a run's present state in the journal. Raises `UsageError`, `StorageError`."""
    with journal_at(journal).open_history() as history:
        yield history.report_source(history.run_number(run))
