"""A report as PDF: printed by a Chromium, or what to install."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.core.errors import StorageError, UsageError
from runner.report.model import build_content
from runner.report.pdf import BEGINNING, find_browser, paper_of, write_pdf
from runner.report.replaceable import MOST_READ
from tests.report import samples
from tests.report.browser import CHROMIUM, unavailable


@pytest.mark.browser
def test_a_report_is_printed_whole_and_private(tmp_path: Path):
    if not CHROMIUM.exists():
        unavailable(f"there is no {CHROMIUM}")
    out = tmp_path / "sub" / "report.pdf"
    write_pdf(build_content(samples.mixed(400)), out, {"RUNNER_CHROMIUM": str(CHROMIUM)})
    printed = out.read_bytes()
    assert BEGINNING.match(printed[:MOST_READ].decode("utf-8", "replace"))
    assert printed.count(b"/Type /Page\n") > 10  # the list, too: a line for each of 400
    assert out.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in out.parent.iterdir()] == ["report.pdf"]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("locale", "width_and_height"), [("de_DE.UTF-8", "594.95 841.91"), ("en_US.UTF-8", "612 792")]
)
def test_the_paper_is_the_locale_s(tmp_path: Path, locale: str, width_and_height: str):
    if not CHROMIUM.exists():
        unavailable(f"there is no {CHROMIUM}")
    out = tmp_path / "report.pdf"
    variables = {"RUNNER_CHROMIUM": str(CHROMIUM), "LANG": "C", "LC_PAPER": locale}
    write_pdf(build_content(samples.mixed(3)), out, variables)
    boxes = re.findall(rb"/MediaBox \[0 0 ([\d. ]+)\]", out.read_bytes())
    sizes = {tuple(round(float(side)) for side in box.split()) for box in boxes}
    across, down = (round(float(side)) for side in width_and_height.split())
    assert sizes == {(across, down), (down, across)}


@pytest.mark.parametrize(
    ("variables", "paper"),
    [
        ({}, "A4"),
        ({"LANG": "C.UTF-8"}, "A4"),
        ({"LANG": "en_US.UTF-8"}, "Letter"),
        ({"LANG": "en_US.UTF-8", "LC_PAPER": "en_GB.UTF-8"}, "A4"),
        ({"LC_ALL": "es_MX", "LC_PAPER": "en_GB.UTF-8"}, "Letter"),
        ({"LANG": "de_AT@euro"}, "A4"),
    ],
)
def test_the_paper_follows_the_locale_s_territory(variables: dict[str, str], paper: str):
    assert paper_of(variables) == paper


def test_without_a_browser_it_says_what_to_install(tmp_path: Path):
    with pytest.raises(UsageError, match="RUNNER_CHROMIUM names /no/such, which is not a program"):
        write_pdf(
            build_content(samples.empty()), tmp_path / "o.pdf", {"RUNNER_CHROMIUM": "/no/such"}
        )
    assert find_browser({"RUNNER_CHROMIUM": "/bin/true"}) == "/bin/true"


def test_a_browser_that_prints_nothing_leaves_nothing(tmp_path: Path):
    variables = {"RUNNER_CHROMIUM": "/bin/true"}
    with pytest.raises(StorageError, match="did not print the page"):
        write_pdf(build_content(samples.empty()), tmp_path / "o.pdf", variables)
    assert list(tmp_path.iterdir()) == []
