"""The report's formats: a new one is a module of its own and a line in `FORMATS`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, cast

from runner.core.errors import UsageError
from runner.core.frozen import frozen

if TYPE_CHECKING:  # the command line reads the names alone
    from runner.report.model import Content

Write = Callable[[str], object]
"""Takes text piece by piece: a stream's `write`."""


@frozen
class Format:
    """One format: its name, its file in a report folder, and the function that renders it."""

    name: str
    file: str
    renderer: str  # "module:function", imported when it is used
    every_run: bool = False  # each run leaves it; the others are rendered on request

    @property
    def suffix(self) -> str:
        """The end of a file's name by which the format is chosen, such as `.csv`."""
        return Path(self.file).suffix

    @property
    def beginning(self) -> re.Pattern[str]:
        """What each file in this format begins with, and no other file: its module's `BEGINNING`."""
        return cast("re.Pattern[str]", self._module.BEGINNING)

    def render(self, content: Content, write: Write) -> None:
        """Write a report in this format, piece by piece."""
        function = self.renderer.partition(":")[2]
        cast("Callable[[Content, Write], None]", getattr(self._module, function))(content, write)

    @property
    def _module(self) -> ModuleType:
        return import_module(self.renderer.partition(":")[0])


_PACKAGE = "runner.report"

FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        each.name: each
        for each in (
            Format("html", "report.html", f"{_PACKAGE}.html.page:render_html", every_run=True),
            Format(
                "json",
                "report.json",
                f"{_PACKAGE}.formats.json_document:render_json",
                every_run=True,
            ),
            Format("junit", "report.junit.xml", f"{_PACKAGE}.formats.junit:render_junit"),
            Format("csv", "report.csv", f"{_PACKAGE}.formats.csv_table:render_csv"),
            Format("md", "report.md", f"{_PACKAGE}.formats.markdown_summary:render_md"),
        )
    }
)
"""Every format, by its name."""


def format_named(name: str) -> Format:
    """Return a format. Raises `UsageError` for an unknown name."""
    try:
        return FORMATS[name]
    except KeyError:
        known = ", ".join(FORMATS)
        raise UsageError(f"there is no report format {name!r}; choose of {known}") from None


def format_of(path: Path) -> Format | None:
    """Return the format that a file's name ends with; None: no format has this end."""
    suffix = path.suffix.lower()
    return next((each for each in FORMATS.values() if each.suffix == suffix), None)
