"""The CSV form: a line a transfer, no cell a formula."""

from __future__ import annotations

import csv
import io

import pytest

from runner.report.formats.csv_table import COLUMNS, harmless_cell
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
        "\tx",
        "\rx",
        "\nx",
        "  =1",
        "\n \t x",
        "\u200b=1",
        "\uff1d1",
    ],
)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str):
    assert harmless_cell(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("a;=1", "a;'=1"),
        ("a; @x;b", "a; '@x;b"),
        ("a\n=1\n+2", "a\n'=1\n'+2"),
        ("a\t-1", "a\t'-1"),
        (";=1", ";'=1"),
        ("\t=1", "'\t'=1"),
    ],
)
def test_where_semicolons_split_cells_no_cell_is_a_formula_either(text: str, harmless: str):
    assert harmless_cell(text) == harmless


@pytest.mark.parametrize("text", ["", "tel:+1", "a=1", " a", "sip:x@y", "3f-1", "'=1"])
def test_other_text_stays_as_it_is(text: str):
    assert harmless_cell(text) == text


def test_no_cell_of_a_hostile_report_is_a_formula(rendered: Rendered):
    rows = list(csv.reader(io.StringIO(rendered(samples.hostile(), "csv"), newline="")))
    assert len(rows) == 1 + len(samples.HOSTILE)
    for cell in (cell for row in rows for text in row for cell in text.split(";")):
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
