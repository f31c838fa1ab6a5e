"""report.html in Chromium: it works, it runs nothing foreign, it makes no request."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from runner.core.records.run_record import ReportSource, TransferRecord
from runner.report.formats.csv_table import COLUMNS
from tests.report import samples
from tests.report.browser import Open, found, headline, keys
from tests.report.conftest import Rendered

pytestmark = pytest.mark.browser


def test_hostile_texts_stand_as_text_and_run_nothing(opened: Open):
    page = opened(samples.hostile())
    for button in page.locator("#transfers button.open").all():
        button.click()
    assert "owned" not in page.title()
    assert keys(page)[0] == samples.HOSTILE[0]
    assert page.locator("#transfers tr.detail").count() == len(samples.HOSTILE)
    assert page.locator("img, iframe, object, [onload], [onerror]").count() == 0
    addresses = page.locator("a").evaluate_all("links => links.map((a) => a.getAttribute('href'))")
    assert {address for address in addresses if address[0] != "#"} == {"report.json", "audit.jsonl"}
    page.locator("#transfers tbody th > a").nth(3).click()
    page.locator("tr.target").wait_for()  # the page hears of its new address a moment later
    assert "owned" not in page.title()


WIDE = {"width": 1440, "height": 900}


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


def test_all_words_of_a_search_must_match_and_what_is_quoted_stays_whole(opened: Open):
    page = opened(samples.mixed(60))
    for wanted, of in (
        ("vip-44", 1),
        ("vip 44 billing-", 1),
        ("billing- 44 vip", 1),
        ("vip-44 nowhere", 0),
        ('"vip 44"', 0),
        ('"rate_limited" vip', None),
        ('"vip-44', 1),
        ('""', 60),
    ):
        page.get_by_label("Search").fill(wanted)
        text = f"{of} of 60 transfers" if of not in {None, 60} else "transfers, page"
        page.locator("#found", has_text=text).wait_for()


@pytest.mark.parametrize("address", ["#show=failed", "#q=vip", "#callback=failed"])
def test_an_address_with_a_filter_leads_to_the_list(opened: Open, address: str):
    page = opened(samples.mixed(60), address, viewport=WIDE)
    page.locator("#found", has_text=" of ").wait_for()
    top = page.locator("#transfers").bounding_box()
    assert top is not None
    assert -1 <= top["y"] < 450


def test_each_outcome_has_a_shape_of_its_own(opened: Open):
    """Also where only two colours are shown, and on paper."""
    shape = """marks => Object.fromEntries(marks.map((mark) => {
        const drawn = getComputedStyle(mark, '::before');
        return [mark.innerText, [drawn.clipPath, drawn.borderRadius, drawn.borderTopWidth, drawn.transform,
            drawn.backgroundColor === 'rgba(0, 0, 0, 0)'].join(' ')];
    }))"""
    for source in (samples.mixed(60), samples.planned(60)):
        for settings in ({}, {"forced_colors": "active"}):
            page = opened(source, **settings)
            shapes = page.locator("#transfers fieldset .outcome").evaluate_all(shape)
            assert len(shapes) > 3
            assert len(set(shapes.values())) == len(shapes), shapes


def test_every_mark_of_the_timeline_is_drawn(opened: Open):
    """A rectangle without a width is not: no pixel of it is in the picture."""
    page = opened(samples.guarded(), viewport=WIDE)
    sizes = page.locator(".plot .mark").evaluate_all(
        "marks => marks.map((mark) => [mark.tagName, mark.getBoundingClientRect().width,"
        " mark.getBoundingClientRect().height, getComputedStyle(mark).stroke])"
    )
    assert {"line", "rect"} <= {tag for tag, *_ in sizes}
    for tag, width, height, stroke in sizes:
        assert height > 0
        assert stroke != "none" if tag == "line" else width > 0


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
    page.get_by_role("button", name="Next").first.click()
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


def test_filters_and_order_are_in_the_address(opened: Open):
    page = opened(samples.mixed(60), "#q=billing-6&show=in+doubt&show=failed&sort=-latency")
    page.locator("#found", has_text=re.compile("^2 of ")).wait_for()
    assert page.get_by_label("Search").input_value() == "billing-6"
    header = page.get_by_role("columnheader", name="Latency")
    assert header.get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="failed 5").click()
    page.get_by_role("columnheader", name="Key").get_by_role("button").click()
    assert page.evaluate("location.hash") == "#q=billing-6&show=in+doubt&sort=key"
    page.get_by_role("button", name="Clear filters").click()
    assert page.evaluate("location.hash") == "#sort=key"
    assert page.evaluate("document.activeElement.id") == "search"
    assert found(page) == "60 transfers, page 1 of 2"
    assert not page.get_by_role("button", name="Clear filters").is_visible()


def test_the_focus_stays_on_a_button_that_has_nothing_more_to_do(opened: Open):
    page = opened(samples.mixed(60))
    after = page.get_by_role("button", name="Next").first
    after.focus()
    page.keyboard.press("Enter")
    assert found(page) == "60 transfers, page 2 of 2"
    assert after.get_attribute("aria-disabled") == "true"
    page.keyboard.press("Enter")
    assert found(page) == "60 transfers, page 2 of 2"
    assert page.evaluate("document.activeElement.innerText") == "Next"
    page.get_by_label("Rows a page").select_option("25")
    assert found(page) == "60 transfers, page 1 of 3"


def test_callbacks_can_be_searched_and_filtered(opened: Open):
    page = opened(samples.mixed(60))
    page.get_by_role("button", name="failed: ").click()
    failed = [t.key for t in samples.mixed(60).transfers() if _has_failed_callback(t)]
    assert sorted(keys(page)) == sorted(failed)
    page.get_by_role("button", name="Clear filters").click()
    page.get_by_label("Search").fill("callback failed")
    page.locator("#found", has_text=re.compile(f"^{len(failed)} of ")).wait_for()


def _has_failed_callback(transfer: TransferRecord) -> bool:
    return any(callback.state == "failed" for callback in transfer.callbacks)


def at_each_width(page: Any, *widths: int) -> Iterator[int]:
    """Load a page anew at each width, in pixels: a page that is opened costs three times as much."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()
        page.locator("#found", has_text="page").wait_for()
        yield width


def test_a_long_reason_is_cut_after_three_lines_and_offers_the_rest(opened: Open):
    row = samples.transfer(3)._replace(reason="no such queue " * 350)
    page = opened(replace(samples.mixed(), transfers=lambda: iter([row])))
    for width in at_each_width(page, 390, 768, 960, 1040, 1440):
        reason = page.locator("#row-0 .because")
        assert reason.bounding_box()["height"] < 130, width
        reason.get_by_role("button", name="more").click()
        assert reason.bounding_box()["height"] > 400, width
        reason.get_by_role("button", name="less").click()
        assert reason.bounding_box()["height"] < 130, width


def test_no_heading_overlaps_another_and_no_cell_is_too_narrow_to_read(opened: Open):
    page = opened(samples.mixed(12))
    for width in at_each_width(page, 320, 390, 720, 768, 960, 1040, 1440, 2560):
        boxes = [each.bounding_box() for each in page.locator("#transfers thead button").all()]
        shown = sorted((b["y"], b["x"], b["width"]) for b in boxes if b is not None)
        for (y, x, wide), (next_y, next_x, _) in itertools.pairwise(shown):
            assert next_y > y or x + wide <= next_x, width
        for cell in ("th", ".because"):
            assert page.locator(f"#transfers #row-0 {cell}").bounding_box()["width"] >= 140, width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_nothing_spills_over_the_side(opened: Open):
    page = opened(samples.hostile())
    for width in at_each_width(page, 360, 1280):
        page.locator("#transfers button.open").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_paper_shows_some_hundred_rows_and_says_where_the_rest_is(opened: Open):
    page = opened(samples.mixed(1200), color_scheme="dark")
    paper = page.pdf()
    assert paper.startswith(b"%PDF-")
    assert paper.count(b"/Type /Page\n") < 40  # a line for a transfer
    assert len(keys(page)) == 50  # as before, once it is printed
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(keys(page)) == 1000
    assert page.locator("#printed").inner_text().startswith("Printed are the first 1000 of 1,200")
    assert not page.get_by_label("Search").is_visible()
    assert page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor") == (
        "rgb(255, 255, 255)"
    )
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator("#printed").is_visible()


def test_paper_names_long_reasons_by_number(opened: Open):
    long = "the gateway said a great deal about why it would not: " * 3
    rows = [samples.transfer(3)._replace(reason=long, key=f"k{n}") for n in range(3)]
    page = opened(replace(samples.mixed(), transfers=lambda: iter(rows)))
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#transfers .because").all_inner_texts() == ["see 1 above"] * 3
    assert page.locator("#legend li").inner_text() == long.strip()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert "would not" in page.locator("#transfers .because").first.inner_text()


def test_a_link_leads_to_its_transfer_and_gives_it_the_focus(opened: Open):
    key = samples.transfer(58).key
    page = opened(samples.mixed(60), f"#t={key}")
    focused = page.locator("tr:focus")
    assert focused.locator("a bdi").first.inner_text() == key
    assert page.get_by_role("button", name=f"Details of {key}").get_attribute("aria-expanded") == (
        "true"
    )
    page.get_by_role("button", name="failed 5").click()
    page.evaluate("location.hash = '#t=vip-4'")
    page.locator("tr:focus", has_text="vip-4").wait_for()
    assert found(page) == "60 transfers, page 1 of 2"  # what was filtered away is shown again
    page.evaluate("location.hash = '#t=nobody%3Cb%3E'")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text() == (
        "This report has no transfer with the key nobody<b>."
    )


def test_a_transfer_leads_to_its_line_of_the_manifest(opened: Open):
    page = opened(inline())
    line = page.locator("#m14")
    assert not line.is_visible()
    page.locator("#row-0").get_by_role("link", name="billing.yaml:14").click()
    line.wait_for()
    assert line.inner_text().strip() == "- interaction_id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    page.locator("#row-1").get_by_role("link", name="billing.csv:3").click()
    assert page.evaluate("location.hash") == "#m16"
    assert page.locator("#m16").inner_text().strip() == "- from: billing.csv  # <b>the rest</b>"


def inline() -> ReportSource:
    rows = (samples.transfer(0)._replace(source="billing.yaml:14"), samples.transfer(1))
    return replace(samples.mixed(), transfers=lambda: iter(rows))


def test_what_is_filtered_is_copied_as_csv_without_formulas(opened: Open):
    copied_keys = ("=1+1", "  -2", "\n@x", 'say "hi", you', "plain")
    rows = [samples.transfer(3)._replace(key=key) for key in copied_keys]
    rows.append(samples.transfer(0))
    page = opened(replace(samples.mixed(), transfers=lambda: iter(rows)))
    page.get_by_role("button", name="rejected 5").click()
    page.get_by_role("button", name="Copy as CSV").click()
    page.locator("#found", has_text="5 transfers copied as CSV").wait_for()
    lines = list(csv.reader(io.StringIO(pasted(page))))
    assert tuple(lines[0]) == COLUMNS
    assert [line[0] for line in lines[1:]] == ["'=1+1", "'  -2", "'\n'@x", 'say "hi", you', "plain"]
    assert lines[1][1:3] == ["rejected", "destination_unreachable"]


def test_outcomes_are_copied_as_report_csv_spells_them(opened: Open, rendered: Rendered):
    source = samples.mixed(12)
    page = opened(source)
    page.get_by_role("button", name="Copy as CSV").click()
    page.locator("#found", has_text="12 transfers copied as CSV").wait_for()
    copied, written = (
        {row["key"]: row["outcome"] for row in csv.DictReader(io.StringIO(text))}
        for text in (pasted(page), rendered(source, "csv"))
    )
    assert copied == written
    assert "unattempted" in copied.values()


def pasted(page: Any) -> str:
    """Return what was copied, as a person pastes it."""
    page.locator("body").evaluate("body => body.append(document.createElement('textarea'))")
    page.locator("textarea").last.focus()
    page.keyboard.press("Control+v")
    return str(page.locator("textarea").last.input_value())


def test_an_opened_doubt_offers_the_commands_that_settle_it(opened: Open):
    key = "it's 5 o'clock"
    row = samples.transfer(6)._replace(key=key)
    page = opened(replace(samples.mixed(), transfers=lambda: iter([row, samples.transfer(3)])))
    page.get_by_role("button", name=f"Details of {key}").click()
    detail = page.locator("tr.detail")
    commands = detail.locator(".settle code").all_inner_texts()
    run = ["runner", "resolve", samples.RUN.id, key]
    assert [shlex.split(command)[:4] for command in commands] == [run, run]
    assert [words[words.index("--as") + 1] for words in map(shlex.split, commands)] == [
        "transferred",
        "failed",
    ]
    detail.get_by_role("button", name="Copy the command").first.click()
    assert pasted(page) == commands[0]
    page.get_by_role("button", name=f"Details of {samples.transfer(3).key}").click()
    assert page.locator(".settle code").count() == 2


def test_the_head_says_whether_customers_were_moved_and_when_by_the_readers_clock(opened: Open):
    page = opened(samples.mixed(), timezone_id="Europe/Amsterdam")
    head = page.locator(".eyebrow").inner_text()
    assert head.startswith("LIVE")
    assert "2026-12-01 21:00:00 UTC(1 Dec 2026, 22:00:00 CET here)" in head
    assert page.locator(".labels").inner_text().split() == ["change", "CHG0031234"]
    rehearsal = replace(samples.RUN, driver="simulator", description="Try <b>it</b>")
    page = opened(replace(samples.mixed(), run=rehearsal))
    assert page.locator(".eyebrow").inner_text().startswith("SIMULATOR")
    assert page.get_by_text("Try <b>it</b>").is_visible()
    page.get_by_role("navigation").get_by_role("link", name="Audit").click()
    assert page.evaluate("location.hash") == "#audit"


def test_a_link_to_a_transfer_can_be_copied(opened: Open):
    page = opened(replace(samples.mixed(), transfers=lambda: iter([with_key("a b/ü&=1")])))
    page.locator("#transfers button.open").click()
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Link copied").wait_for()
    link = pasted(page)
    assert link == page.evaluate("location.href") + "#t=a%20b%2F%C3%BC%26%3D1"
    page.goto("about:blank")
    page.goto(link)
    page.locator("tr:focus", has_text="a b/ü&=1").wait_for()


def with_key(key: str) -> TransferRecord:
    return samples.transfer(3)._replace(key=key)


def test_decisions_gates_and_limits_are_sheets_with_names_on_a_phone(opened: Open):
    page = opened(samples.guarded(), viewport={"width": 390, "height": 900})
    cells = page.locator("#decisions tbody tr").last.get_by_role("cell")
    assert cells.all_inner_texts()[:2] == ["2026-12-01 21:00:09", "mara"]
    heads = "cells => cells.map((cell) => getComputedStyle(cell, '::before').content)"
    assert cells.evaluate_all(heads) == ['"At (UTC)"', '"Who"', '"What"', '"Why"']
    for name in ("decisions", "gates", "destinations"):
        boxes = [each.bounding_box() for each in page.locator(f"#{name} tbody tr").all()]
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)


def test_proof_and_windows_fit_and_their_texts_can_be_copied(opened: Open):
    page = opened(samples.guarded())
    for width in at_each_width(page, 320, 768, 2560):
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Copy the fingerprint").last.click()
        assert pasted(page) == samples.APPROVALS[-1].key
        page.locator("#audit .next li").first.get_by_role("button", name="Copy the command").click()
        assert pasted(page).startswith("runner audit verify reports/billing-cutover/")
        rows = page.locator("#windows tbody").get_by_role("rowheader").all_inner_texts()
        assert rows[0] == "Wed 2026-12-02 22:00 \N{EN DASH} Thu 04:00"


def test_queues_are_named_first_and_their_ids_can_be_copied(opened: Open):
    page = opened(samples.guarded(), "#q=%22billing+eu%22&show=transferred", viewport=WIDE)
    assert found(page).startswith("4 of ")
    row = page.locator("#transfers tbody tr").first
    cell = row.locator("td.wide").first
    assert cell.locator("bdi").all_inner_texts() == ["Billing EU", "genesys://queue/billing-1"]
    row.locator("button.open").click()
    detail = page.locator("tr.detail")
    detail.get_by_role("button", name="Copy the destination").click()
    assert pasted(page) == "genesys://queue/billing-1"
    detail.get_by_role("button", name="Copy the message's id").first.click()
    assert pasted(page) in {t.message_id for t in samples.mixed().transfers()}
    parts = page.locator("#breakdowns tbody th .place").all_inner_texts()
    assert sorted(parts) == ["Billing <new>", "Billing EU"]


def test_the_story_and_what_to_do_can_be_read(opened: Open):
    page = opened(samples.mixed(60))
    story = page.locator("#session li").all_inner_texts()
    assert [line.split("\n")[-1] for line in story][3:6] == [
        "The session was lost, code 1012 (service restart). service restart",
        "Dialled again: session 2 opened, 3.1 s after the last one ended.",
        "Slowed to 12.5/s: the gateway answered that frames come too fast.",
    ]
    reasons = page.locator("#reasons tr", has_text="rate_limited")
    assert "lower limits.rate" in reasons.inner_text()
    timeline = page.get_by_role("img", name="Timeline.")
    assert "slowed down once and its session was lost once" in (
        timeline.get_attribute("aria-label") or ""
    )
    assert page.locator("svg .sign.lost title").text_content() == "no session for 3.1 s"


def test_dark_is_dark(opened: Open):
    dark = opened(samples.mixed(), color_scheme="dark")
    light = opened(samples.mixed(), color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    assert dark.evaluate(ground) == "rgb(17, 21, 27)"
    assert light.evaluate(ground) == "rgb(246, 247, 249)"


def test_a_plan_says_what_would_be_moved(opened: Open):
    page = opened(samples.planned(12))
    assert headline(page).startswith("Applying this would send 6")
    row = page.locator("#breakdowns tr", has_text="billing-old")
    assert "genesys://queue/billing-old → genesys://queue/billing-3" in row.first.inner_text()
    page.get_by_role("button", name="would be refused 2").click()
    page.locator("#found", has_text=re.compile("^2 of ")).wait_for()
    assert page.locator("#transfers th", has_text="Latency").count() == 0


def test_without_scripts_the_verdict_stands(opened: Open):
    page = opened(samples.mixed(), java_script_enabled=False)
    assert headline(page).startswith("30 of 60 transferred")
    assert not page.locator("#transfers table.sheets").is_visible()
    listed = page.locator("noscript tbody tr").all_inner_texts()
    assert len(listed) == 25
    assert listed[0].startswith("in doubt")
    assert page.locator("button:visible").count() == 0


def test_the_timeline_can_be_read_by_pointer_and_by_keyboard(opened: Open):
    page = opened(samples.mixed(60))
    chart = page.locator("#chart")
    chart.focus()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    told = chart.locator("output")
    assert told.inner_text() == ("+39 s: 25/s sent, allowed 25/s; 21/s settled; 11 in flight")
    page.keyboard.press("Escape")
    assert not told.is_visible()
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 60)
    assert told.inner_text().startswith("+0 s: 25/s sent")
    over_time = page.get_by_role("img", name="Latency over time.")
    assert "medians from" in (over_time.get_attribute("aria-label") or "")


def test_outcomes_differ_without_colours(opened: Open):
    """In grey, and where the system shows only colours of its own."""
    page = opened(samples.mixed(60), forced_colors="active")
    stripes = page.locator("#figures .share line").evaluate_all(
        "lines => lines.map((line) => getComputedStyle(line).strokeDasharray)"
    )
    assert len(set(stripes)) >= 4
    button = page.get_by_role("button", name="failed 5")
    button.click()
    pressed = button.evaluate("button => getComputedStyle(button).backgroundColor")
    assert pressed != page.get_by_role("button", name="skipped 5").evaluate(
        "button => getComputedStyle(button).backgroundColor"
    )


@pytest.mark.parametrize(
    ("name", "scheme", "widths"),
    [
        ("mixed", "light", (1440, 960, 320)),
        ("mixed", "dark", (1440,)),
        ("guarded", "light", (1440,)),
        ("guarded", "dark", (320,)),
        ("planned", "light", (1440,)),
        ("planned", "dark", (390,)),
        ("hostile", "dark", (1440,)),
    ],
)
def test_axe_finds_nothing(opened: Open, name: str, scheme: str, widths: tuple[int, ...]):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    source = getattr(samples, name)()
    page = opened(source, color_scheme=scheme)
    for width in at_each_width(page, *widths):
        page.locator("#transfers button.open").first.click()
        if source.manifest is not None:
            page.locator("#manifest summary").click()
        violations = axe.run(page).response["violations"]
        assert violations == [], f"{width}: {json.dumps(violations, indent=1)[:4000]}"
