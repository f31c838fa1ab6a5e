"""The Markdown summary: short, true, and nothing but text whatever the texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from runner.core.records.run_record import PlanFigures, ReportSource, TransferRecord
from runner.core.transfer.outcome import Outcome
from runner.report.formats.markdown_summary import MOST_GROUPS, summary
from runner.report.formats.markdown_text import code, prose
from runner.report.model import build_content
from tests.report import samples
from tests.report.conftest import Rendered
from tests.report.markdown_page import Page

OWN = {
    *("h2", "h3", "p", "strong", "code", "a", "br", "ol", "li"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
OWN_LINKS = {"report.html", "report.json", "audit.jsonl"}
GITHUB_ALLOWS = 1_048_576


def test_it_has_verdict_figures_reasons_and_next_steps(rendered: Rendered):
    page = Page(rendered(samples.mixed(60), "md"))
    assert page.text.startswith("❓ in-doubt: billing-cutover\n")
    assert "5 transfers may or may not have been carried out" in page.text
    assert ["Transferred", "30"] in page.rows
    assert ["Latency p50, p90, p99, most", "185 ms, 604 ms, 692 ms, 692 ms"] in page.rows
    first, second, third = (samples.identity("interaction", n) for n in (6, 18, 30))
    assert page.rows[-5] == [
        "5",
        "in doubt",
        "no reply within 10 s",
        f"{first}, {second}, {third} and 2 more",
        "billing.csv:8, billing.csv:20, billing.csv:32",
    ]
    assert f"runner resolve 20261201T210000Z-7f3a {first} --journal manifests/" in page.text
    assert {value for name, value in page.attributes if name == "href"} == OWN_LINKS


def test_a_plan_shows_what_would_be_sent(rendered: Rendered):
    plan = PlanFigures(send=12, unchanged=3, changed=2, in_doubt=0, estimate_s=0.48)
    source = replace(samples.planned(), plan=plan, transfers=lambda: iter(()))
    page = Page(rendered(source, "md"))
    assert page.text.startswith("📝 planned: billing-cutover\n")
    assert ["Would be sent", "12, of them 2 to a new destination"] in page.rows
    assert ["Takes", "about 0.5 s at the limits"] in page.rows
    assert "Why" not in page.text
    assert "audit.jsonl" not in page.text


def test_a_plan_shows_its_waves_and_that_it_misses_its_window(rendered: Rendered):
    plan = PlanFigures(9, 0, 0, 0, 3600.0, (2, 9), ends_at="2026-12-01T23:00:00+01:00")
    source = replace(samples.planned(), plan=replace(plan, misses_window=True))
    page = Page(rendered(source, "md"))
    assert ["Waves", "2, the first of 2"] in page.rows
    ends = ["Ends at the earliest", "2026-12-01T23:00:00+01:00, after its window's end"]
    assert ends in page.rows
    within = Page(rendered(replace(source, plan=plan), "md"))
    assert ["Ends at the earliest", "2026-12-01T23:00:00+01:00"] in within.rows


def test_a_run_in_which_all_went_well_is_marked_so(rendered: Rendered):
    assert rendered(samples.succeeded(3), "md").startswith("## ✅ ok: <code>billing-cutover</code>")


def test_hostile_texts_stay_text(rendered: Rendered):
    page = Page(rendered(samples.hostile(), "md"))
    assert page.elements <= OWN
    assert {value for name, value in page.attributes if name == "href"} == OWN_LINKS
    assert {name for name, _ in page.attributes} == {"href"}
    reasons = page.rows[-len(samples.HOSTILE) :]
    assert [len(row) for row in reasons] == [5] * len(samples.HOSTILE)
    assert reasons[0][2] == samples.HOSTILE[0]
    assert reasons[8][2] == r"a\x00b\x1b[31mc\x0bd\ufffee"
    assert reasons[11][2] == r"line\nbreak\u2028and\u2029more"


@pytest.mark.parametrize(
    "text",
    [
        "a | b || c \\| d \\\\| e",
        "`code` ``x` <b>bold</b> **strong** _em_ ~~gone~~",
        "[link](http://evil.example) ![](x.png) <http://evil.example> www.evil.example",
        "&lt;script&gt; &amp; &#60;",
        "# title",
        "1. list",
        "12) list",
        "      code",
        "=====",
        "- list\n- list\n\n***\n\n    code",
        "<!-- comment --> <details><summary>x",
        "$x^2$ :smile: @everyone #1",
        "\u202egnp.exe",
        "é 日本語 🙂",
    ],
)
def test_no_text_is_markdown(text: str):
    page = Page(f"{prose(text)}\n\n| a | b |\n| --- | --- |\n| {code(text)} | end |\n")
    shown = text.replace("\n", r"\n").replace("\u202e", r"\u202e")
    assert page.text.startswith(shown)
    assert page.rows[1] == [shown, "end"]
    assert page.elements <= OWN - {"a", "strong", "ol"}


@pytest.mark.parametrize("text", ["www.evil.example", "WWW.evil.example", "https://x", "@all"])
def test_what_github_links_on_its_own_is_broken_up(text: str):
    assert text.casefold() not in prose(text).casefold()


def test_plain_text_stays_readable_in_the_source():
    assert prose("2026-12-01T21:00:00Z: queue_full (3 of 5)") == (
        "2026-12-01T21:00:00Z: queue_full (3 of 5)"
    )


def _worst() -> ReportSource:
    """Return as many reasons as are kept apart, all texts as long as can be and all escaped."""
    long = "<" * 2_000
    model = samples.transfer(3)._replace(key=long, source=long, attempts=(), callbacks=())
    run = replace(samples.RUN, explanation=long, manifest_path=long, environment=long, batch=long)

    def transfers() -> Iterator[TransferRecord]:
        for n in range(3_000):
            yield model._replace(reason=f"{n % 1_200} {long}", outcome=Outcome.REJECTED)

    return ReportSource(run, transfers)


def test_it_is_bounded(rendered: Rendered):
    text = rendered(_worst(), "md")
    assert len(text.encode()) < GITHUB_ALLOWS / 10
    page = Page(text)
    assert len([row for row in page.rows if row[1:2] == ["rejected"]]) == MOST_GROUPS
    assert "and 981 more reasons for " in page.text  # 1,000 are kept apart, the rest is one more


@pytest.mark.parametrize("make", [samples.mixed, samples.planned], ids=lambda each: each.__name__)
def test_what_it_is_given_to_clean_is_cleaned(make: Callable[[], ReportSource]):
    source = make()
    source = replace(source, run=replace(source.run, explanation="token=hunter2"))
    shown = "".join(summary(build_content(source), "", lambda text: text.replace("hunter2", "…")))
    assert "hunter2" not in shown
    assert "token=…" in shown
