"""`runner report`, once its options are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runner.app.compare import as_markdown, compare
from runner.app.journal_location import JournalLocation, find_journal
from runner.app.report import (
    Rendered,
    form_of,
    read_forms,
    render_again,
    render_file,
    stream_again,
)
from runner.cli.output import Console, boundary
from runner.console.results.comparison import compared_to_json, render_compared
from runner.console.results.rendered_files import RenderedFiles, render_rendered, rendered_to_json
from runner.core.errors import StorageError, UsageError

STDOUT = Path("-")

USUAL_FORMS = "html,json"


@dataclass(frozen=True, slots=True)
class Reporting:
    """What `report` is asked for: a run, or two to compare."""

    run: str | None
    compare: tuple[str, str] | None
    forms: str | None  # with commas; None: what is usual
    report_dir: Path | None  # None: where the run left its report
    out: Path | None  # a folder, a file or `-` for stdout; None: the run's report folder


def report_run(console: Console, where: JournalLocation, asked: Reporting) -> None:
    """Render a run's report again, or compare two runs."""
    with boundary(console, where.manifest):
        if (asked.run is None) == (asked.compare is None):
            raise UsageError(
                "name a RUN, or two with --compare A B; `status` lists them, `latest` is the newest"
            )
        if asked.compare is not None:
            _compare(console, where, asked, *asked.compare)
        elif asked.run is not None:
            _render(console, where, asked, asked.run)


def _render(console: Console, where: JournalLocation, asked: Reporting, run: str) -> None:
    named = None if asked.out in {None, STDOUT} else form_of(asked.out or STDOUT)
    forms = read_forms(asked.forms or named or USUAL_FORMS)
    journal = find_journal(where)
    if asked.out is not None and asked.out != STDOUT and named is not None:
        if forms != (named,):
            raise UsageError(
                f"{asked.out} is named as a file of the format {named}, and --format says"
                f" {','.join(forms)}: leave --format out, or name a folder"
            )
        _show(console, render_file(run, journal, named, asked.out))
        return
    if asked.out != STDOUT:
        _show(console, render_again(run, journal, asked.report_dir, forms, out=asked.out))
        return
    if len(forms) > 1:
        raise UsageError(
            f"only one format goes to stdout, not {len(forms)}: --format {forms[-1]} --out -"
        )
    stream_again(run, journal, asked.report_dir, forms[0], console.out.write)
    lost = console.out.lost
    if lost is not None and not isinstance(lost, BrokenPipeError):  # a reader may have enough
        raise StorageError(f"the report cannot be written to stdout ({lost}): free space there")


def _show(console: Console, told: Rendered) -> None:
    files = [(form, str(path)) for form, path in told.files]
    console.show(render_rendered, rendered_to_json, RenderedFiles(told.run, told.batch, files))


def _compare(
    console: Console, where: JournalLocation, asked: Reporting, before: str, after: str
) -> None:
    if asked.forms not in {None, "md"} or asked.out not in {None, STDOUT}:
        raise UsageError(
            "a comparison goes to stdout: as text, with --format md as Markdown, with"
            " --output json as JSON"
        )
    compared = compare(before, after, find_journal(where))
    if asked.forms == "md":
        console.out.write(as_markdown(compared))
    else:
        console.show(render_compared, compared_to_json, compared)
