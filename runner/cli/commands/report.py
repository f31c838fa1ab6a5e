"""`runner report`: renders a run's report again, or compares two runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from runner.app.compare import as_markdown, as_page, compare, write_page
from runner.app.find_journal import find_journal
from runner.app.journal_index import write_journal_index
from runner.app.report import (
    Rendered,
    format_of_file,
    print_pdf,
    read_forms,
    render_again,
    render_file,
    stream_again,
)
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary, must_be_shown
from runner.console.results.comparison import compared_to_json, render_compared
from runner.console.results.rendered_files import (
    RenderedFiles,
    index_to_json,
    render_index_path,
    render_rendered,
    rendered_to_json,
)
from runner.core.errors import UsageError
from runner.core.frozen import frozen
from runner.core.next_steps import REPORT_DIR
from runner.report.formats.registry import FORMATS
from runner.report.index import write_index

if TYPE_CHECKING:
    from runner.app.find_journal import JournalOptions
    from runner.cli.output import Console

STDOUT = Path("-")

DEFAULT_FORMATS = "html,json"


@frozen
class ReportOptions:
    """The options of `report` alone."""

    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--compare",
            metavar="A B",
            help="Instead of RUN: compare each transfer's outcome in run A and in run B.",
            show_default=False,
        ),
    ] = None
    index: Annotated[
        bool,
        typer.Option(
            "--index",
            help="Instead of RUN: write index.html, which lists the report folder's batches, or with"
            " --journal those of the journal, of a database in all its lanes.",
        ),
    ] = False
    report_dir: options.ReportDirOfRun = None
    formats: Annotated[
        str | None,
        typer.Option(
            "--format",
            envvar="RUNNER_FORMAT",
            help=f"One or several of {', '.join(FORMATS)}, separated by commas; or pdf, which needs"
            " Chromium.",
            show_default="html,json, or as --out ends",
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            envvar="RUNNER_REPORT_OUT",
            help="Write into this folder, or this file, such as o.csv, of the format that its name"
            " ends with; - writes a single format to stdout.",
            show_default="the run's report folder",
        ),
    ] = None


@expand_dataclasses
def report(
    run: Annotated[
        str | None, typer.Argument(help="A run's id, or `latest`.", show_default=False)
    ] = None,
    *,
    journal: options.JournalSelection,
    reporting: ReportOptions,
    output: options.OutputOptions,
) -> None:
    """Render a run's report again, from the journal; or compare two runs."""
    console, where = output.console(), journal.location()
    with boundary(console, where.manifest), must_be_shown(console):
        if [run is not None, reporting.compare is not None, reporting.index].count(True) != 1:
            raise UsageError(
                "name a RUN, or two with --compare A B, or ask for the list with --index;"
                " `status` lists runs, `latest` is the newest"
            )
        if reporting.index:
            _index(console, reporting, where)
        elif reporting.compare is not None:
            _compare(console, where, reporting, *reporting.compare)
        elif run is not None:
            _render(console, where, reporting, run)


def _render(console: Console, where: JournalOptions, asked: ReportOptions, run: str) -> None:
    if _is_pdf(asked):
        _show(console, print_pdf(run, find_journal(where), asked.report_dir, asked.out))
        return
    named = None if asked.out in {None, STDOUT} else format_of_file(asked.out or STDOUT)
    forms = read_forms(asked.formats or named or DEFAULT_FORMATS)
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
            f"only one format can go to stdout, not {len(forms)}: --format {forms[-1]} --out -"
        )
    stream_again(run, journal, asked.report_dir, forms[0], console.out.write)


def _is_pdf(asked: ReportOptions) -> bool:
    """Return whether PDF is asked for, which is printed from the page. Raises `UsageError`."""
    ends = asked.out is not None and asked.out.suffix.lower() == ".pdf" and not asked.out.is_dir()
    if asked.formats == "pdf":
        if asked.out == STDOUT:
            raise UsageError("PDF goes into a file: --format pdf --out report.pdf")
        return True
    if "pdf" in (asked.formats or "").split(","):
        raise UsageError(
            "PDF is printed by itself: --format pdf, and the others by another command"
        )
    return ends and asked.formats is None


def _index(console: Console, asked: ReportOptions, where: JournalOptions) -> None:
    root = asked.report_dir or Path(REPORT_DIR)
    if where.journal is not None:
        if asked.out == STDOUT:
            raise UsageError("the list goes into a file: --out FILE.html")
        path = write_journal_index(where.journal, root, asked.out)
    else:
        path = write_index(root)
    console.show_paths(render_index_path, index_to_json, str(path))


def _show(console: Console, rendered: Rendered) -> None:
    files = [(form, str(path)) for form, path in rendered.files]
    shown = RenderedFiles(rendered.run, rendered.batch, files)
    console.show_paths(render_rendered, rendered_to_json, shown)


def _compare(
    console: Console, where: JournalOptions, asked: ReportOptions, before: str, after: str
) -> None:
    out = None if asked.out == STDOUT else asked.out
    is_page = asked.formats == "html" or (
        asked.formats is None and out is not None and out.suffix.lower() == ".html"
    )
    if asked.formats not in {None, "md", "html"} or (out is not None and not is_page):
        raise UsageError(
            "a comparison goes to stdout: as text, with --format md as Markdown, with"
            " --output json as JSON; --out compared.html writes a page"
        )
    compared = compare(before, after, find_journal(where))
    if out is not None:
        write_page(compared, out)
        run = compared.after.run
        _show(console, Rendered(run.id, run.batch, (("html", out),)))
    elif is_page:
        console.out.write(as_page(compared))
    elif asked.formats == "md":
        console.out.write(as_markdown(compared))
    else:
        console.show(render_compared, compared_to_json, compared)
