"""A Chromium that opens reports, and complains of whatever a page asks or complains of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.core.records.run_record import ReportSource
from runner.report.writer import render_format

CHROMIUM = Path(os.environ.get("RUNNER_CHROMIUM", "/usr/bin/chromium"))
Open = Callable[..., Any]
PATIENCE_MS = 120_000  # a machine that plays all tests at a time may be slow


def unavailable(reason: str) -> None:
    """Skip, or fail where a browser is required."""
    if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and RUNNER_REQUIRE_ALL=1 asks for it")
    pytest.skip(f"{reason}; set RUNNER_CHROMIUM to a Chromium to run the browser tests")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start one Chromium for the module; Playwright holds the thread's event loop meanwhile."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may be absent
    except ImportError:
        unavailable("Playwright is not installed")
    if not CHROMIUM.exists():
        unavailable(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Write a report and open its page; at the end nothing may have been asked or complained."""
    asked: list[str] = []
    complaints: list[str] = []
    addresses: set[str] = set()
    contexts: list[Any] = []

    def opening(source: ReportSource, at: str = "", **context: Any) -> Any:
        page_file = tmp_path / f"report-{len(contexts)}.html"
        with page_file.open("w", encoding="utf-8", errors="replace") as stream:
            render_format(source, "html", stream.write)
        contexts.append(chromium.new_context(**context))
        contexts[-1].set_default_timeout(PATIENCE_MS)
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url.partition("#")[0]))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        addresses.add(page_file.as_uri())
        page.goto(page_file.as_uri() + at)
        if context.get("java_script_enabled", True):
            page.locator("#found", has_text="page").wait_for()
        return page

    yield opening
    for context in contexts:
        context.close()
    assert (
        set(asked) - {"about:blank"} == addresses
    )  # the pages themselves, and nothing beside them
    assert complaints == []


def keys(page: Any) -> list[str]:
    """Return the keys of the rows shown."""
    return page.locator("#transfers tbody th > a > bdi").all_inner_texts()


def found(page: Any) -> str:
    """Return what the page says of how many rows it shows."""
    return page.locator("#found").inner_text()


def headline(page: Any) -> str:
    """Return the verdict, its blanks as they are typed."""
    return page.get_by_role("heading", level=1).inner_text().replace("\xa0", " ")
