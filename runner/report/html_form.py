"""report.html: one page that opens offline and asks nobody for anything."""

from __future__ import annotations

from collections.abc import Callable

from jinja2 import Environment, PackageLoader, StrictUndefined

from runner.report.content import Content

_TEMPLATES = Environment(
    loader=PackageLoader("runner.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_html(content: Content, write: Callable[[str], object]) -> None:
    """Write the page."""
    page = _TEMPLATES.get_template("report.html.j2")
    for part in page.generate(content=content):
        write(part)
