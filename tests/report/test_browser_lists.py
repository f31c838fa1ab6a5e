"""The list of reports and a comparison in Chromium: they fit, and axe finds nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.console.log.redaction import redact
from runner.console.results.comparison import change_in_words, figure_rows
from runner.core.records.comparison import (
    ComparedRun,
    ComparedTransfer,
    Comparison,
    Difference,
    changes_of,
)
from runner.core.transfer.outcome import Outcome
from runner.report.html.comparison_page import render_comparison
from runner.report.index import write_index
from runner.report.model import build_content
from runner.report.writer import write_report
from tests.report import samples

pytestmark = pytest.mark.browser

WIDTHS = (320, 390, 768, 960, 1440, 2560)
LONG = "night-shift-evacuation-of-amsterdam-and-rotterdam"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pages")
    for number, batch in enumerate((samples.RUN.batch, LONG), 1):
        source = samples.guarded()
        record = replace(source.run, id=f"20261201T210000Z-00000{number}", batch=batch)
        write_report(replace(source, run=record), folder)
    compared = folder / "compared.html"
    compared.write_text("".join(_compared()), encoding="utf-8")
    return [write_index(folder), compared]


def _compared() -> list[str]:
    pieces: list[str] = []
    run = ComparedRun(samples.RUN, build_content(samples.mixed(12)).summary)
    differences = [
        Difference(t.key, _side(Outcome.UNATTEMPTED), _side(t.outcome))
        for t in samples.mixed(12).transfers()
    ]
    comparison = Comparison(run, run, changes_of(differences))
    render_comparison(comparison, figure_rows(comparison), change_in_words, redact, pieces.append)
    return pieces


def _side(outcome: Outcome) -> ComparedTransfer:
    reason = "the transfer is not permitted by the routing policy"
    return ComparedTransfer(outcome, reason, samples.identity(1), "genesys://queue/billing")


def test_they_fit_and_axe_finds_nothing_at_any_width(chromium: Any, pages: list[Path]):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    for path in pages:
        page = chromium.new_page()
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(path.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            for text in page.locator("tbody bdi").all():  # none is broken letter by letter
                box = text.bounding_box()
                assert box is None or box["width"] >= min(60, 6 * len(text.inner_text()))
        violations = axe.run(page).response["violations"]
        assert violations == [], json.dumps(violations, indent=1)[:4000]
        page.close()
