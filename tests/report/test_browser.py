"""report.html in Chromium: it works, it runs nothing foreign, it asks nobody."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.core.record import ReportSource
from runner.report.writing import render
from tests.report import samples

pytestmark = pytest.mark.browser

CHROMIUM = Path(os.environ.get("RUNNER_CHROMIUM", "/usr/bin/chromium"))
Open = Callable[..., Any]


def _unavailable(reason: str) -> None:
    """Skip, or fail where a browser is required."""
    if os.environ.get("RUNNER_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason}, and RUNNER_REQUIRE_ALL=1 asks for it")
    pytest.skip(f"{reason}; set RUNNER_CHROMIUM to a Chromium to run the browser tests")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Start one Chromium for the module."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may be absent
    except ImportError:
        _unavailable("Playwright is not installed")
    if not CHROMIUM.exists():
        _unavailable(f"there is no {CHROMIUM}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any, tmp_path: Path) -> Iterator[Open]:
    """Write a report and open its page; at the end nothing may have been asked or complained."""
    asked: list[str] = []
    complaints: list[str] = []
    contexts = []

    def opening(source: ReportSource, **context: Any) -> Any:
        page_file = tmp_path / "report.html"
        with page_file.open("w", encoding="utf-8", errors="replace") as stream:
            render(source, "html", stream.write)
        contexts.append(chromium.new_context(**context))
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(page_file.as_uri())
        return page

    yield opening
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith("file:")] == []
    assert len(asked) == len(contexts)
    assert complaints == []


def keys(page: Any) -> list[str]:
    return page.locator(
        "#transfers > .scripted > table > tbody > tr > td:nth-child(3) > bdi:first-child"
    ).all_inner_texts()


def found(page: Any) -> str:
    return page.locator("#found").inner_text()


def test_hostile_texts_stand_as_text_and_run_nothing(opened: Open):
    page = opened(samples.hostile())
    for button in page.locator("#transfers button.open").all():
        button.click()
    assert "owned" not in page.title()
    assert keys(page)[0] == samples.HOSTILE[0]
    assert page.locator("#transfers tr.detail").count() == len(samples.HOSTILE)
    assert page.locator("img, a, iframe, object, [onload], [onerror]").count() == 0


def test_search_filter_and_sort(opened: Open):
    page = opened(samples.mixed(60))
    assert found(page) == "60 transfers, page 1 of 2"
    page.get_by_label("Search").fill("VIP-4")
    page.locator("#found", has_text=re.compile("^2 of ")).wait_for()
    assert keys(page) == ["vip-44", "vip-4"]
    page.get_by_role("columnheader", name="Source").get_by_role("button").click()
    assert keys(page) == ["vip-4", "vip-44"]
    page.get_by_label("Search").fill("")
    page.get_by_role("button", name="in doubt 5").click()
    page.locator("#found", has_text=re.compile("^5 of ")).wait_for()
    page.get_by_role("button", name="failed 5").click()
    assert found(page) == "10 of 60 transfers, page 1 of 1"


def test_sorting_turns_round_and_leaves_what_has_no_value_last(opened: Open):
    page = opened(samples.mixed(60))
    header = page.get_by_role("columnheader", name="Latency")
    header.get_by_role("button").click()
    first = page.locator("#transfers tbody td:nth-child(7)").first
    assert header.get_attribute("aria-sort") == "ascending"
    assert first.inner_text() == "18 ms"
    header.get_by_role("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert first.inner_text() == "692 ms"
    page.get_by_role("button", name="Next").click()
    assert page.locator("#transfers tbody td:nth-child(7)").last.inner_text() == "\N{EN DASH}"


def test_a_reason_lists_its_transfers(opened: Open):
    page = opened(samples.mixed(60))
    page.locator("#reasons tr", has_text="rate_limited").get_by_role("button").click()
    assert found(page) == "5 of 60 transfers, page 1 of 1"
    page.get_by_role("button", name="Show all reasons").click()
    page.get_by_role("button", name="failed 5").click()
    assert found(page) == "60 transfers, page 1 of 2"


def test_deliveries_open_with_the_keyboard(opened: Open):
    page = opened(samples.mixed(12))
    button = page.get_by_role("button", name=f"Details of {samples.transfer(7).key}")
    button.focus()
    page.keyboard.press("Enter")
    detail = page.locator("tr.detail")
    assert button.get_attribute("aria-expanded") == "true"
    assert detail.get_by_role("row").filter(has_text="rate_limited").count() == 4
    assert "crm" in detail.inner_text()
    page.keyboard.press("Enter")
    assert detail.count() == 0


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_spills_over_the_side(opened: Open, width: int):
    page = opened(samples.hostile(), viewport={"width": width, "height": 800})
    page.locator("#transfers button.open").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_shows_every_row(opened: Open):
    page = opened(samples.mixed(60))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(keys(page)) == 60
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert len(keys(page)) == 50


def test_without_scripts_the_verdict_stands(opened: Open):
    page = opened(samples.mixed(), java_script_enabled=False)
    assert page.get_by_role("heading", level=1).inner_text().startswith("5 transfers may")
    assert not page.locator("#transfers table").is_visible()


def test_a_hundred_thousand_transfers_open_quickly(opened: Open):
    page = opened(samples.bulk(100_000))
    assert found(page) == "100,000 transfers, page 1 of 2000"
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    assert timing["loadEventEnd"] < 6000
    assert timing["decodedBodySize"] < 25e6
    page.get_by_label("Search").fill(f"{99_999:036d}")
    page.locator("#found", has_text=re.compile("^1 of")).wait_for()


@pytest.mark.parametrize(
    ("name", "scheme"),
    [("mixed", "light"), ("mixed", "dark"), ("planned", "dark"), ("hostile", "light")],
)
def test_axe_finds_nothing_serious(opened: Open, name: str, scheme: str):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = opened(getattr(samples, name)(), color_scheme=scheme)
    page.locator("#transfers button.open").first.click()
    violations = axe.run(page).response["violations"]
    serious = [v for v in violations if v["impact"] in {"serious", "critical"}]
    assert serious == [], json.dumps(serious, indent=1)[:4000]
