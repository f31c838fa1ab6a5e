"""What the report's tests share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.core.records.run_record import ReportSource
from runner.report.writer import render_format
from tests.report.browser import chromium, opened

__all__ = ["chromium", "opened"]

Rendered = Callable[[ReportSource, str], str]
"""Renders a source in a form to one text."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "browser: opens pages in Chromium")


@pytest.fixture
def rendered() -> Rendered:
    """Render a source to one text."""

    def rendering(source: ReportSource, form: str) -> str:
        parts: list[str] = []
        render_format(source, form, parts.append)
        return "".join(parts)

    return rendering


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    """Return the report's schema."""
    path = Path(__file__).parents[2] / "schemas" / "report.v1.schema.json"
    return json.loads(path.read_text(encoding="utf-8"))
