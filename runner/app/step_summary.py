"""The summary of a step of GitHub Actions: Markdown, appended to the file that the step is given."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from runner.console.log.redaction import redact
from runner.console.results.error_text import describe
from runner.core.errors import ManifestInvalid
from runner.core.exit_code import ExitCode
from runner.core.records.run_record import ReportSource
from runner.core.records.summary import Summary
from runner.report.formats.markdown_problems import error_md, problems_md
from runner.report.formats.markdown_summary import summary as summary_md
from runner.report.formats.markdown_text import code
from runner.report.model import AuditEnd, Content

LARGEST_BYTES = 1 << 20
"""A step's summary that is larger is not shown at all."""

_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK


def tell_report(source: ReportSource, summary: Summary, report: Path, name: str) -> str | None:
    """Append how a run or a plan ended to the file `name`; return why that failed, if it did."""
    where = f"The report lies in {code(str(report))}: the page there opens offline."
    content = Content(source, summary, AuditEnd(0, None))
    return _append(summary_md(content, where, redact), name)


def tell_error(error: BaseException, code: ExitCode, manifest: Path, name: str) -> str | None:
    """Append what ended a command before it had a report; return as `tell_report` does."""
    if isinstance(error, ManifestInvalid):
        parts = problems_md(error.problems, error.omitted, str(manifest), redact)
    else:
        description = describe(error)
        lines = {"What": description.what, "Where": description.where, "Next": description.fix}
        parts = error_md(code.outcome, description.headline, lines)
    return _append(parts, name)


def _append(parts: Iterable[str], name: str) -> str | None:
    text = "".join(parts).encode("utf-8", "replace")
    try:
        # Non-blocking: a pipe without a reader must not hold a run's end up.
        with os.fdopen(os.open(name, _FLAGS, 0o600), "wb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return f"{name} is not a file"
            if status.st_size + len(text) >= LARGEST_BYTES:
                return f"{name} would become larger than GitHub shows (1 MiB)"
            stream.write(b"\n" + text if status.st_size else text)
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        why = error.strerror if isinstance(error, OSError) else str(error)
        return f"{name} cannot be written ({why})"
    return None
