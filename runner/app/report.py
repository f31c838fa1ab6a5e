"""A run's report, rendered again from the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from runner.app import run_record
from runner.core.errors import UsageError
from runner.core.journal_location import JournalLocation
from runner.core.next_steps import Given
from runner.core.records.run_record import ReportSource, RunRecord
from runner.journals import journal_at
from runner.report.audit_log import write_audit
from runner.report.folder import LATEST, Folder, open_folder
from runner.report.formats.registry import Write, format_named, format_of
from runner.report.model import AuditEnd, Content, build_content
from runner.report.writer import AUDIT, folder_name, has_latest

PIECES = 1024
"""Pieces of a text that go to a stream in one: a report is rendered in many small ones."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A run's report in its forms, each with the file that holds it."""

    run: str
    batch: str
    files: tuple[tuple[str, Path], ...]


def read_forms(text: str) -> tuple[str, ...]:
    """Return the forms of a list such as `html, json`, each once. Raises `UsageError`."""
    forms = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    for form in forms:
        format_named(form)
    return forms


def format_of_file(out: Path) -> str | None:
    """Return the form that a file's name ends with; None: a folder is meant."""
    found = None if out.is_dir() else format_of(out)
    return None if found is None else found.name


def render_again(
    run: str,
    journal: JournalLocation,
    report_dir: Path | None,
    forms: Sequence[str],
    *,
    out: Path | None = None,
) -> Rendered:
    """Write a report's forms into the run's report folder, or into the folder `out`.

    `report_dir` None: where the run left its report, whatever the current folder is.

    With `json` the report folder becomes what the run left there: report.json holds where
    audit.jsonl ends, so both are written, and `latest` points to the newest run's. Raises
    `UsageError` for an unknown run or journal, `StorageError` where files fail.
    """
    with report_source(run, journal) as source:
        names = () if out is not None else (source.run.batch, folder_name(source))
        whole = out is None and "json" in forms
        files = []
        root = _root(source.run, report_dir) if out is None else run_record.left_root(source.run)
        with open_folder(out or root, *names) as folder:
            end = _audit_again(source, folder) if whole else None
            content = build_content(source, end)
            if out is not None:
                content = _elsewhere(content, report_dir or root)
            for each in map(format_named, forms):
                with folder.writing(each.file) as stream:
                    each.render(content, stream.write)
                files.append((each.name, folder.path / each.file))
        if whole:
            _link_again(content, journal, root)
        return Rendered(source.run.id, source.run.batch, tuple(files))


def _root(run: RunRecord, report_dir: Path | None) -> Path:
    """Return the root of a run's report folder. Raises `UsageError` if its place is not here."""
    if report_dir is not None:
        return report_dir
    root, folder = run_record.left_root(run), Given.of(run).folder
    is_here = (root / run.batch).is_dir() if folder is None else Path(folder).is_dir()
    if not is_here:
        where = f"{folder}, which is not on this machine" if folder else "another folder"
        raise UsageError(
            f"run {run.id} was started in {where}; say where its report goes, with"
            " --report-dir FOLDER, or --out FOLDER for a copy"
        )
    return root


def render_file(run: str, journal: JournalLocation, form: str, out: Path) -> Rendered:
    """Write one form of a run's report to the file `out`: whole or not at all, mode 0600.

    Raises `UsageError` for an unknown run or journal, `StorageError` where the file fails.
    """
    with report_source(run, journal) as source, open_folder(out.parent) as folder:
        with folder.writing(out.name) as stream:
            root = run_record.left_root(source.run)
            format_named(form).render(_elsewhere(build_content(source), root), stream.write)
        return Rendered(source.run.id, source.run.batch, ((form, out),))


def _audit_again(source: ReportSource, folder: Folder) -> AuditEnd:
    with folder.writing(AUDIT) as stream:
        return write_audit(source, stream.write)


def _link_again(content: Content, journal: JournalLocation, report_dir: Path) -> None:
    """Let `latest` point to the run, unless a newer one of its batch is known here or there.

    A run that found nothing to do moves no link that is there.
    """
    source, run = content.source, content.source.run
    if run.exit_code == 0 and content.summary.found_nothing and has_latest(report_dir, run.batch):
        return
    try:
        linked = str((report_dir / run.batch / LATEST).readlink())
    except OSError:  # there is none, or it is no link
        linked = run.id
    with journal_at(journal).open_history() as history:
        if not history.is_newest(history.run_number(run.id), linked):
            return
    with open_folder(report_dir, run.batch) as batch:
        batch.link(LATEST, folder_name(source))


def stream_again(
    run: str, journal: JournalLocation, report_dir: Path | None, form: str, write: Write
) -> None:
    """Write one form of a run's report to a stream. Raises `UsageError`, `StorageError`."""
    with report_source(run, journal) as source:
        pieces: list[str] = []

        def gather(piece: str) -> None:
            pieces.append(piece)
            if len(pieces) >= PIECES:
                write("".join(pieces))
                pieces.clear()

        root = report_dir or run_record.left_root(source.run)
        format_named(form).render(_elsewhere(build_content(source), root), gather)
        write("".join(pieces))


def _elsewhere(content: Content, report_dir: Path) -> Content:
    """Return what is rendered outside the report folder: links to files beside it lead nowhere."""
    folder = report_dir / content.source.run.batch / folder_name(content.source)
    return replace(content, folder=str(folder))


@contextmanager
def report_source(run: str, journal: JournalLocation) -> Iterator[ReportSource]:
    """Give a run's report as it is in the journal now. Raises `UsageError`, `StorageError`."""
    with journal_at(journal).open_history() as history:
        yield history.report_source(history.run_number(run))
