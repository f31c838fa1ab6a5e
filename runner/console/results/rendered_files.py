"""Which files a report was rendered into, in words and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runner.console.results.document import document
from runner.console.terminal_text import visible


@dataclass(frozen=True, slots=True)
class RenderedFiles:
    """A run's report in its forms, each with the path of the file that holds it."""

    run: str
    batch: str
    files: Sequence[tuple[str, str]]


def rendered_to_json(rendered: RenderedFiles) -> str:
    """Return one JSON document, in ASCII."""
    files = [{"format": form, "path": path} for form, path in rendered.files]
    return document("report", {"run": rendered.run, "batch": rendered.batch, "files": files})


def render_rendered(rendered: RenderedFiles, *, color: bool = False) -> str:
    """Return a path a line."""
    del color
    return "".join(f"{visible(path)}\n" for _, path in rendered.files)
