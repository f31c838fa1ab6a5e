"""report.html of large batches in Chromium: it opens at once, and has what did not succeed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any

import pytest

from runner.core.records.run_record import ReportSource, TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.report.html.page_rows import ROW_LIMIT
from tests.report import samples
from tests.report.browser import Open, found, headline

pytestmark = pytest.mark.browser


def elements(page: Any) -> int:
    """Return how many elements a browser lays out before the page is shown."""
    return page.evaluate("document.querySelectorAll('*').length")


def test_a_hundred_thousand_transfers_are_shown_by_as_few_elements_as_a_thousand(opened: Open):
    """So that the page opens at once; `make bench` measures how soon."""
    few = elements(opened(samples.bulk(1_000)))
    page = opened(samples.bulk(100_000))
    assert found(page) == "100,000 transfers, page 1 of 2000"
    assert elements(page) < 1.1 * few
    timing = page.evaluate("performance.getEntriesByType('navigation')[0].toJSON()")
    assert timing["decodedBodySize"] < 25e6
    page.get_by_label("Search").fill(f"{99_999:036d}")
    page.locator("#found", has_text=re.compile("^1 of")).wait_for()


def many(count: int, refused: int) -> ReportSource:
    """Return `count` transfers, the first of them refused; the others are all the same one."""
    done = samples.transfer(0, succeed=True)._replace(attempts=(), callbacks=())
    no = samples.transfer(3)._replace(callbacks=())

    def transfers() -> Iterator[TransferRecord]:
        for number in range(refused):
            reason = "destination_unreachable" if number % 3 else "not_authorized"
            yield no._replace(key=f"no-{number}", reason=reason, outcome=Outcome.REJECTED)
        yield from repeat(done, count - refused)

    return replace(samples.succeeded(1), transfers=transfers)


def test_of_a_million_what_did_not_succeed_is_there_and_where_the_rest_is(opened: Open):
    page = opened(many(1_000_000, refused=300))
    assert found(page) == "300 transfers, page 1 of 6"
    rest = page.locator("#rest").inner_text()
    assert rest.startswith("Listed here: 300 transfers of 1,000,000, the most urgent first.")
    assert "report.json" in rest
    assert headline(page).startswith("999,700 of 1,000,000")


def test_beyond_a_hundred_thousand_reasons_count_what_is_not_listed(opened: Open):
    page = opened(many(140_000, refused=ROW_LIMIT + 20_000))
    assert found(page) == "100,000 transfers, page 1 of 2000"
    counted = page.locator("#reasons tbody tr").evaluate_all(
        "rows => rows.map((row) => row.lastElementChild.firstChild.textContent.trim())"
    )
    assert counted == ["80,000", "40,000"]
    page.evaluate("location.hash = '#t=no-119999'")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text() == (
        "no-119999 is not among the transfers listed here; report.json has every one."
    )
