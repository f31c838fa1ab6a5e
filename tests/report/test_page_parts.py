"""The page's parts before any browser: story, marks, reasons, rows packed into the file."""

from __future__ import annotations

import base64
import json
import re
import zlib
from dataclasses import replace

import pytest
from markupsafe import Markup

from runner.core.manifest.source_excerpt import ManifestExcerpt
from runner.core.records.run_record import (
    Figures,
    PlanFigures,
    RunRecord,
    SessionClose,
    TimelineEvent,
    TimelineEventKind,
    WindowRecord,
)
from runner.core.transfer.lookup_verdict import LookupVerdict
from runner.core.transfer.outcome import Outcome
from runner.report.html import page_figures
from runner.report.html.embedded_rows import PLAIN_LIMIT, embedded
from runner.report.html.manifest_lines import links, shown_lines
from runner.report.html.outcome_categories import OF_PLANS, category_of_group, count_categories
from runner.report.html.page_rows import packed_rows
from runner.report.html.plots import plot_timeline
from runner.report.html.session_timeline import session_timeline
from runner.report.model import build_content
from runner.report.verdict import verdict_of
from tests.report import samples
from tests.report.conftest import Rendered
from tests.report.measured import STORY, happened, stamp


def test_the_story_is_a_readable_sequence():
    story = session_timeline(build_content(samples.mixed()))
    assert [(line.since, line.text, line.said) for line in story.lines] == [
        ("", "The run began.", None),
        ("+0.4 s", "The session opened, with TLSv1.3.", None),
        ("+6.0 s", "The token was renewed.", None),
        ("+17.0 s", "The session was lost, code 1012 (service restart).", "service restart"),
        ("+20.1 s", "Dialled again: session 2 opened, 3.1 s after the last one ended.", None),
        ("+20.4 s", "Slowed to 12.5/s: the gateway answered that frames come too fast.", None),
        ("+20.4 s", "Silent for 2 s: the gateway asked for it (Retry-After).", None),
        ("+30.0 s", "Back at 25/s, as the manifest allows.", None),
        ("+41.0 s", "The session was closed, code 1000 (normal closure).", "session terminated"),
        ("+41.2 s", "The run ended: in-doubt.", None),
    ]
    assert story.lines[3].at == "2026-12-01 21:00:17"


@pytest.mark.parametrize(
    ("happening", "text", "said"),
    [
        (
            happened(1, TimelineEventKind.SHUT, value=8),
            "8 failures in a row: the circuit opened,",
            None,
        ),
        (
            happened(1, TimelineEventKind.WAVE, value=2, reason="of 3 began: 50 transfers"),
            "Wave 2 of 3 began: 50 transfers.",
            None,
        ),
        (
            happened(1, TimelineEventKind.ANSWERED),
            "The gateway answered again: the circuit closed.",
            None,
        ),
        (
            happened(1, TimelineEventKind.RECOVERED),
            "Back without a limit, as the manifest allows.",
            None,
        ),
        (happened(1, TimelineEventKind.LOST), "The session was lost without a close code.", None),
        (happened(1, TimelineEventKind.LOST, code=4001), "The session was lost, code 4001.", None),
        (
            happened(1, TimelineEventKind.SLOWED, value=5, reason="1013: busy"),
            "Slowed to 5/s.",
            "1013: busy",
        ),
        (TimelineEvent(1, "when", "sung"), "An event that this version does not know.", None),
    ],
)
def test_every_event_has_its_sentence(happening: TimelineEvent, text: str, said: str | None):
    source = replace(samples.mixed(1), figures=Figures(story=(happening,)))
    line = session_timeline(build_content(source)).lines[1]
    assert line.text.startswith(text)
    assert line.said == said


def test_a_long_story_shows_its_beginning_and_its_end_and_counts_what_lies_between():
    many = tuple(happened(float(n), TimelineEventKind.PAUSED, value=float(n)) for n in range(1000))
    source = replace(samples.mixed(1), figures=Figures(story=many, story_omitted=50))
    story = session_timeline(build_content(source), shown=20)
    assert (len(story.first), len(story.last)) == (10, 10)
    assert story.omitted == 50 + 1002 - 20
    assert story.last[-1].text == "The run ended: in-doubt."


def test_a_run_without_recorded_events_shows_its_sessions_ends():
    closes = (SessionClose(stamp(5), 1011, "boom"), SessionClose(stamp(9), 1000, "done"))
    source = replace(samples.mixed(1), figures=Figures(session_closes=closes))
    assert [line.turn for line in session_timeline(build_content(source)).lines] == [
        "began",
        "lost",
        "closed",
        "ended",
    ]


def test_the_timeline_marks_losses_slowing_and_renewals():
    figures = samples.figures()
    plot = plot_timeline(figures.timeline, 1.0, STORY)
    assert plot is not None
    assert [(mark.kind, round(mark.x, 1), round(mark.width, 1)) for mark in plot.marks] == [
        ("renewed", 14.6, 0.0),
        ("lost", 41.5, 7.6),
        ("slowed", 49.8, 0.0),
        ("paused", 49.8, 4.9),
    ]
    assert plot.caption.endswith("It was slowed down once and its session was lost once.")


def test_the_timeline_names_what_people_did_to_the_run():
    """A run that a person paused was interrupted, whatever the gateway did."""
    pause = happened(9.0, TimelineEventKind.CONTROL, reason="mara: pause")
    alone = plot_timeline(samples.figures().timeline, 1.0, (pause,))
    among = plot_timeline(samples.figures().timeline, 1.0, (*STORY, pause))
    none = plot_timeline(samples.figures().timeline, 1.0, ())
    assert alone is not None
    assert among is not None
    assert none is not None
    assert alone.caption.endswith(". People steered it once.")
    assert among.caption.endswith(
        "It was slowed down once, its session was lost once and people steered it once."
    )
    assert none.caption.endswith(". Nothing slowed or interrupted it.")


def test_a_run_that_had_nothing_to_send_claims_no_limit():
    idle = replace(samples.mixed(), figures=Figures())
    rows = {name: note for name, _, note in page_figures.figures(build_content(idle))}
    assert rows["Rate achieved"] == ""
    unlimited = replace(samples.mixed(), figures=Figures(sessions_opened=1))
    rows = {name: note for name, _, note in page_figures.figures(build_content(unlimited))}
    assert rows["Rate achieved"] == "limit none"


def test_a_run_that_died_claims_no_figures_that_it_did_not_keep():
    content = build_content(samples.died())
    rows = {name: (value, note) for name, value, note in page_figures.figures(content)}
    unknown = ("not known", "the run did not end")
    assert (rows["Rate achieved"], rows["Peak in any second"]) == (unknown, unknown)
    assert page_figures.session(content) == "Not known: the run did not end."


def test_the_next_step_of_a_run_that_ended_early_says_when():
    def step(run: RunRecord) -> str:
        return verdict_of(build_content(replace(samples.guarded(), run=run))).steps[-1].text

    closed = samples.guarded().run
    assert closed.windows is not None
    assert step(closed).startswith("When the windows open again, at 2026-12-02 21:00:00 UTC, apply")
    never = replace(closed, windows=replace(closed.windows, openings=()))
    assert step(never).startswith("The windows closed: when the manifest has one that opens, apply")
    gate = replace(closed, windows=replace(closed.windows, closed_at=None))
    assert step(gate).startswith("When the cause is removed, apply again")
    signal = replace(closed, outcome="interrupted")
    assert step(signal).startswith("When the batch may go on, apply again")


def test_the_timeline_does_not_pass_its_steps_off_as_the_peak_of_any_second():
    """A second that begins between two steps may hold more: the figure beside it counts that."""
    plot = plot_timeline(samples.figures().timeline, 1.0, STORY)
    assert plot is not None
    assert " in steps of 1 s, the highest step shows " in plot.caption


def test_a_limit_far_above_what_was_sent_does_not_flatten_the_curve():
    points = tuple(
        replace(point, rate_per_s=rate)
        for point, rate in zip(samples.figures(2).timeline, (25.0, 500.0), strict=True)
    )
    plot = plot_timeline(points, 1.0)
    assert plot is not None
    assert plot.limit_above == "500/s"
    assert plot.pace.y_ticks[-1].label == "25"
    assert plot.pace.limit_line.count("M") == 1  # of the second that allowed 25
    assert plot.values[1] == ("1 s", "24", "23", "5", "500/s")


def test_waves_and_decisions_are_marked():
    story = (
        happened(10, TimelineEventKind.WAVE, value=2, reason="of 3 began: 50 transfers"),
        happened(12, TimelineEventKind.CONTROL, reason="mara: pause"),
    )
    plot = plot_timeline(samples.figures().timeline, 1.0, story)
    assert plot is not None
    assert [(mark.kind, mark.caption) for mark in plot.marks] == [
        ("wave", "wave 2 of 3 began: 50 transfers"),
        ("decision", "mara: pause"),
    ]


def test_a_session_lost_for_good_is_marked_to_the_end_and_marks_do_not_pile_up():
    story = [happened(n / 100, TimelineEventKind.SLOWED, value=5) for n in range(100)]
    story.append(happened(20.5, TimelineEventKind.LOST))
    plot = plot_timeline(samples.figures().timeline, 1.0, story)
    assert plot is not None
    assert plot.marks[-1].caption == "no session from here on"
    assert plot.marks[-1].x + plot.marks[-1].width == pytest.approx(100)
    assert len(plot.marks) < 6


def test_few_rows_are_plain_and_many_are_packed_to_the_same_text():
    plain = "".join(embedded(packed_rows(build_content(samples.mixed(60)))))
    assert plain.startswith('<script type="application/json" id="rows">{"rows":[')
    content = build_content(samples.mixed(5_000))
    text = "".join(packed_rows(content))
    assert len(text) > PLAIN_LIMIT
    packed = "".join(embedded(packed_rows(content)))
    begin, end = '<script type="text/plain" id="rows">', "</script>"
    assert packed.startswith(begin)
    assert packed.endswith(end)
    raw = base64.b64decode(packed[len(begin) : -len(end)], validate=True)
    assert zlib.decompress(raw).decode() == text
    assert len(packed) < 0.6 * len(text)


def test_half_a_character_does_not_end_the_packing():
    pieces = [Markup('"\ud800"'), *[Markup(" " * 1000)] * 501]
    raw = "".join(embedded(pieces)).split(">")[1].split("<")[0]
    assert zlib.decompress(base64.b64decode(raw)).startswith(b'"?"')


def test_a_plans_rows_are_grouped_by_what_would_happen_to_them():
    divided = count_categories(build_content(samples.planned(12)))
    assert {OF_PLANS[kind].word: count for kind, count in divided.counts.items()} == {
        "to send": 4,
        "to send (changed)": 2,
        "unchanged": 2,
        "left out": 2,
        "would be refused": 2,
    }
    assert [each.by for each in divided.breakdowns] == ["route", "codec", "gateway"]


def test_a_plan_shows_how_long_it_takes_and_when_it_would_end():
    content = build_content(samples.planned(60))
    assert list(page_figures.figures(content)) == [
        ("Would take", "1.2 s", "at the limits of the manifest"),
        ("Would end", "21:00:01", "2026-12-01, UTC, if it began as it was planned"),
    ]


def test_a_plan_shows_its_waves_and_whether_it_ends_within_its_window():
    plan = PlanFigures(
        30,
        0,
        0,
        0,
        1.2,
        waves=(1, 10, 30),
        max_failures=2,
        window=WindowRecord(None, "2026-12-02T04:00:00+01:00"),
        ends_at="2026-12-02T05:10:00+01:00",
        misses_window=True,
    )
    content = build_content(replace(samples.planned(60), plan=plan))
    assert list(page_figures.figures(content))[1:] == [
        ("Waves", "3", "of 1, 9, 20 transfers"),
        ("Failures allowed", "2", "the run stops at the next one"),
        (
            "Would end",
            "05:10:00+01:00",
            "2026-12-02, after the window has closed (until 2026-12-02T04:00:00+01:00)",
        ),
    ]
    verdict = verdict_of(content)
    assert verdict.tone == "doubt"
    assert "would not end within its window" in verdict.detail
    within = replace(plan, misses_window=False, waves=tuple(range(1, 9)), ends_at=None)
    content = build_content(replace(samples.planned(60), plan=within))
    assert list(page_figures.figures(content))[1:] == [
        ("Waves", "8", "of 1, 1, 1, 1, 1, 1, … transfers"),
        ("Failures allowed", "2", "the run stops at the next one"),
        ("Window", "set", "until 2026-12-02T04:00:00+01:00"),
    ]


@pytest.mark.parametrize(
    "verdict", [v for v in LookupVerdict if v is not LookupVerdict.TRANSFERABLE]
)
def test_what_a_look_up_found_unfit_is_not_counted_as_to_send(verdict: LookupVerdict):
    content = build_content(samples.planned())
    found = category_of_group(content, Outcome.UNATTEMPTED, verdict.code)
    assert not OF_PLANS[found].word.startswith("to send")


def test_waves_are_listed_in_order_with_their_outcomes():
    rows = [samples.transfer(n)._replace(wave=1 + n // 5) for n in range(15)]
    source = replace(
        samples.mixed(),
        run=replace(samples.RUN, waves=(5, 10, 15)),
        transfers=lambda: iter([*rows, samples.transfer(20)]),
    )
    waves = next(
        each for each in count_categories(build_content(source)).breakdowns if each.by == "wave"
    )
    assert [(part.name, part.total) for part in waves.parts] == [
        ("wave 1", 5),
        ("wave 2", 5),
        ("wave 3", 5),
    ]
    assert "wave" not in {
        each.by for each in count_categories(build_content(samples.mixed())).breakdowns
    }


def test_each_reason_has_advice_and_its_first_places():
    reasons = page_figures.reasons(build_content(samples.mixed(60)))
    limited = next(reason for reason in reasons if reason.reason == "rate_limited")
    assert limited.advice[:3] == (
        "The gateway limited the rate during all retries: lower ",
        "limits.rate",
        ", or ask for a higher limit; then apply again.",
    )
    assert limited.places == "billing.csv:9, billing.csv:21, billing.csv:33 and 2 more"


def test_the_manifests_lines_are_numbered_escaped_and_say_which_names_a_file(rendered: Rendered):
    page = rendered(samples.mixed(), "html")
    assert '<li id="m16"><code>  - from: billing.csv  # &lt;b&gt;the rest&lt;/b&gt;</code>' in page
    assert links(shown_lines(samples.mixed())) == {
        "name": "billing.yaml",
        "lines": 16,
        "files": {"billing.csv": 16},
    }


def test_a_cut_manifest_and_one_that_was_not_kept_are_marked_as_such(rendered: Rendered):
    cut = replace(samples.mixed(1), manifest=ManifestExcerpt(("version: 1",), 9_000))
    assert "Shown are the first 1 of 9,000 lines." in rendered(cut, "html")
    none = replace(samples.mixed(1), manifest=None)
    assert "Its text was not kept" in rendered(none, "html")


def test_a_page_says_how_its_record_is_verified(rendered: Rendered):
    page = re.sub(r'<span class="word">([^<]*)</span>', r"\1", rendered(samples.mixed(), "html"))
    run, journal = samples.RUN.id, "manifests/.runner/production.db"
    file = f"reports/{samples.RUN.batch}/{run}/audit.jsonl"
    assert f"<code>runner audit verify {file}</code>" in page
    assert f"<code>runner audit verify {run} --journal {journal}</code>" in page
    assert json.loads(rendered(samples.mixed(), "json"))["audit"]["head"] in page


def test_outcomes_are_broken_down_by_destination_codec_and_gateway():
    breakdowns = count_categories(build_content(samples.mixed(60))).breakdowns
    assert [each.by for each in breakdowns] == ["destination", "codec", "gateway"]
    gateway = breakdowns[2].parts[0]
    assert (gateway.name, gateway.total) == ("edge-ams", 60)
    assert gateway.counts[list(Outcome).index(Outcome.REJECTED)] == 5
