"""The CSV form: a line a transfer, no cell a formula."""

from __future__ import annotations

import csv
import io

import pytest

from runner.report.csv_form import COLUMNS, harmless_cell
from tests.report import samples
from tests.report.conftest import Rendered


def test_a_line_a_transfer(rendered: Rendered):
    rows = list(csv.DictReader(io.StringIO(rendered(samples.mixed(12), "csv"), newline="")))
    assert len(rows) == 12
    assert list(rows[0]) == list(COLUMNS)
    assert rows[3]["outcome"] == "rejected"
    assert rows[3]["reason"] == "destination_unreachable"
    assert rows[7]["attempts"] == "4"
    assert rows[4]["key"] == "vip-4"
    assert rows[5]["latency_ms"] == ""
    assert rows[1]["callbacks"] == "crm: delivered"


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "  =1",
        "\n \t @x",
        "\u200b=1",
        "\uff1d1",
    ],
)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str):
    assert harmless_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "tel:+1", "a=1", " a", "sip:x@y", "3f-1", "'=1"])
def test_other_text_stays_as_it_is(text: str):
    assert harmless_cell(text) == text


def test_no_cell_of_a_hostile_report_is_a_formula(rendered: Rendered):
    rows = list(csv.reader(io.StringIO(rendered(samples.hostile(), "csv"), newline="")))
    assert len(rows) == 1 + len(samples.HOSTILE)
    for cell in (cell for row in rows for cell in row):
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
