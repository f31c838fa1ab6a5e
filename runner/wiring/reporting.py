"""A run's report, rendered again from the journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from runner.core.errors import UsageError
from runner.journal.overview import Overview
from runner.journal.reading import Reader
from runner.report.folder import open_folder
from runner.report.writing import FORMATS, folder_name, render

_FILES = {
    "html": "report.html",
    "json": "report.json",
    "junit": "report.junit.xml",
    "csv": "report.csv",
}


def render_again(
    run: str, journal: Path, report_dir: Path, formats: Sequence[str]
) -> Iterator[Path]:
    """Write each form into the run's report folder and yield its path.

    Raises `UsageError` for an unknown run, form or journal, `StorageError` where files fail.
    """
    for form in formats:
        if form not in FORMATS:
            raise UsageError(f"there is no report format {form!r}; choose of {', '.join(FORMATS)}")
    with Overview(journal) as overview:
        number = overview.run(run).no
    reader = Reader(journal)
    try:
        source = reader.report_source(number)
        for form in formats:
            with open_folder(report_dir, source.run.batch, folder_name(source)) as folder:
                name = _FILES[form]
                with folder.writing(name) as stream:
                    render(source, form, stream.write)
                yield folder.path / name
    finally:
        reader.close()
