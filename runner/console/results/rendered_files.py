"""Renders the list of files that a report was rendered into, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from runner.console.results.document import document
from runner.console.terminal_text import Paint
from runner.core.frozen import frozen


@frozen
class RenderedFiles:
    """The formats that a run's report was rendered in, with the path of each file."""

    run: str
    batch: str
    files: Sequence[tuple[str, str]]


def rendered_to_json(rendered: RenderedFiles) -> str:
    """Return the files as one JSON document, in ASCII."""
    files = [{"format": form, "path": path} for form, path in rendered.files]
    return document("report", {"run": rendered.run, "batch": rendered.batch, "files": files})


def index_to_json(path: str) -> str:
    """Return where the list of reports was written as one JSON document, in ASCII."""
    return document("report_index", {"path": path})


def render_index_path(path: str, *, color: bool = False, links: bool = False) -> str:
    """Return the path as a line."""
    return f"{Paint(color, links).path(path)}\n"


def render_rendered(rendered: RenderedFiles, *, color: bool = False, links: bool = False) -> str:
    """Return one path per line."""
    paint = Paint(color, links)
    return "".join(f"{paint.path(path)}\n" for _, path in rendered.files)
