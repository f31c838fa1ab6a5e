"""report.html: what is in the file, before any browser opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from runner.app.run_record import doubts_elsewhere_text
from runner.core.exit_code import ExitCode
from runner.core.records.batch_progress import BatchProgress
from runner.core.records.run_record import OpeningRecord, ReportSource, WindowRecord
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code
from runner.report.html.page_rows import ROWS_A_PIECE, media_text, packed_rows
from runner.report.model import build_content
from runner.report.verdict import verdict_of
from tests.report import samples
from tests.report.conftest import Rendered


def ended(outcome: str, *kinds: Outcome) -> ReportSource:
    """Return a run that ended as `outcome`, with one transfer of each of `kinds`."""
    rows = tuple(
        samples.transfer(number)._replace(outcome=kind, reason=None)
        for number, kind in enumerate(kinds)
    )
    return ReportSource(replace(samples.RUN, outcome=outcome), lambda: iter(rows))


def left_by_others(source: ReportSource) -> ReportSource:
    """Return a run that found a doubt of another batch, as the run itself writes it down."""
    explanation = doubts_elsewhere_text([("run-1", "k9", "no reply within 10 s")])
    return replace(source, run=replace(source.run, explanation=explanation, others_in_doubt=1))


class _Tags(HTMLParser):
    """Collects which elements and attributes a page has, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.links: set[str | None] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links |= {value for name, value in attrs if name == "href"}


def rows_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="rows">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_head_says_what_a_run_added_to_its_batch_unless_it_is_the_first(rendered: Rendered):
    page = rendered(samples.mixed(), "html")
    assert "<strong>29</strong> newly transferred" in page
    assert "run 20261130T210000Z-11aa (2026-11-30 21:00:00 UTC)" in page
    assert "45 interactions moved in 3 runs; 40 of this manifest&#39;s 60 are done" in page
    still = BatchProgress("run-1", "2026-11-30T21:00:00Z", runs=2, moved_in_all=1)
    assert "Nothing changed." in rendered(replace(samples.mixed(), progress=lambda: still), "html")
    for first in (samples.succeeded(5), samples.planned()):
        assert "Since the previous run" not in rendered(first, "html")


def test_the_page_names_who_approved_the_plan_and_how_to_verify(rendered: Rendered):
    page = rendered(samples.guarded(), "html")
    assert "approved by <strong><bdi>bob@example.net, eve@example.net</bdi></strong>" in page
    for each in samples.APPROVALS:
        assert f"<strong><bdi>{each.who}</bdi></strong>, by <bdi" in page
        assert f">{each.key}</code>" in page
    commands = [
        re.sub("<[^>]*>", "", found) for found in re.findall(r"<li>[^<]*(<code>.*?</code>)", page)
    ]
    run = f"runner audit verify {samples.RUN.id} --journal manifests/.runner/production.db"
    assert {run, f"{run} --signers FILE"} <= set(commands)
    assert f"{run.replace('verify', 'sign')} --key KEY" in commands
    assert "Nobody: this run required no approval" in rendered(samples.mixed(), "html")


def test_the_page_names_the_closing_of_the_window_and_the_next_openings(rendered: Rendered):
    page = rendered(samples.guarded(), "html")
    closed = "Wed 2026-12-02 04:00 Europe/Amsterdam (Wed 2026-12-02 03:00 UTC)"
    assert f"The window closed while the run went on: {closed}." in page
    assert page.count("22:00 \N{EN DASH} ") == len(samples.OPENINGS)
    assert "Wed 2026-12-02 21:00 \N{EN DASH} Thu 03:00 UTC" in page
    assert "When it may run" not in rendered(samples.mixed(), "html")


LATER = OpeningRecord("2026-12-02T22:00:00Z", "2026-12-09T22:00:00Z", "x", None)
OPEN = OpeningRecord("2026-12-02T20:00:00Z", "2026-12-02T21:00:00Z", "y", "z")


def test_a_plan_says_from_which_queue_to_which_by_their_names(rendered: Rendered):
    names = {"genesys://queue/billing-old": "Old & gone", **samples.NAMES}
    planned = samples.planned()
    page = rendered(replace(planned, run=replace(planned.run, place_names=names)), "html")
    routes = re.findall(r'<th role="rowheader" scope="row">(.*?)<svg', page, re.DOTALL)
    texts = [" ".join(re.sub("<[^>]*>", " ", each).split()) for each in routes]
    old = "Old &amp; gone genesys://queue/billing-old"
    assert f"{old} → Billing &lt;new&gt; genesys://queue/billing-3" in texts
    assert rendered(planned, "html").count('class="place"') == 0


def test_a_plan_names_its_windows_too(rendered: Rendered):
    planned = samples.planned()
    assert planned.plan is not None
    window = WindowRecord("2026-12-01T00:00:00Z", "2026-12-31T00:00:00Z")
    plan = replace(planned.plan, window=window, openings=(LATER, OPEN), zone="UTC")
    page = rendered(replace(planned, plan=plan), "html")
    assert "from 2026-12-01T00:00:00Z until 2026-12-31T00:00:00Z (policy.window)" in page
    assert "Wed 2026-12-02 22:00 \N{EN DASH} Wed 2026-12-09 22:00" in page
    assert "Wed 2026-12-02 20:00 \N{EN DASH} 21:00" in page
    shut = replace(planned.plan, zone="Asia/Kathmandu", openings=())
    assert "do not open again" in rendered(replace(planned, plan=shut), "html")
    damaged = replace(planned.plan, zone="Asia/Kathmandu", openings=(LATER, OPEN))
    page = rendered(replace(planned, plan=damaged), "html")
    assert "x, and from then on" in page
    assert "y \N{EN DASH} z" in page


@pytest.mark.parametrize(
    ("source", "tone", "headline", "meaning"),
    [
        (
            samples.succeeded(60),
            "good",
            "60 of 60 transferred, none in doubt, in 41 s.",
            "All 60 transfers are done.",
        ),
        (
            samples.empty(),
            "good",
            "There was nothing to do: the manifest lists no transfers, or its selections found none.",
            "",
        ),
        (
            ended("unreachable"),  # before a selection was asked for
            "bad",
            "No transfer was begun.",
            "The gateway could not be reached; the run did not get as far as to know whom it would move.",
        ),
        (
            ended("ok", Outcome.UNCHANGED, Outcome.UNCHANGED),
            "good",
            "0 of 2 transferred, 2 unchanged since an earlier run, none in doubt, in 41 s.",
            "Nothing to do: an earlier run carried out all 2 transfers.",
        ),
        (
            ended("ok", Outcome.TRANSFERRED, Outcome.UNATTEMPTED),
            "good",
            "1 of 2 transferred, 1 not attempted, none in doubt, in 41 s.",
            "Everything selected is done; 1 transfer was left out.",
        ),
        (
            ended("failures", Outcome.REJECTED, Outcome.TRANSFERRED),
            "bad",
            "1 of 2 transferred, 1 rejected, none in doubt, in 41 s.",
            "1 of 2 transfers was rejected or failed.",
        ),
        (
            ended("failures", Outcome.REJECTED, Outcome.TRANSFERRED, Outcome.UNATTEMPTED),
            "bad",
            "1 of 3 transferred, 1 rejected, 1 not attempted, none in doubt, in 41 s.",
            "1 of 3 transfers was rejected or failed; 1 transfer was left out.",
        ),
        (
            ended("in-doubt", Outcome.IN_DOUBT, Outcome.REJECTED),
            "doubt",
            "0 of 2 transferred, 1 in doubt, 1 rejected, in 41 s.",
            "1 transfer may or may not have been carried out. Applying again settles it if the gateway shows enough; otherwise it needs a person.",
        ),
        (
            left_by_others(ended("in-doubt", Outcome.TRANSFERRED)),
            "doubt",
            "1 of 1 transferred, none in doubt, in 41 s.",
            "Transfers that are not of this batch were in doubt when the run ended.",
        ),
        (
            ended("in-doubt", Outcome.TRANSFERRED, Outcome.FAILED),
            "bad",
            "1 of 2 transferred, 1 failed, none in doubt, in 41 s.",
            "What was in doubt when the run ended has been settled since.",
        ),
        (
            ended("in-doubt", Outcome.TRANSFERRED, Outcome.UNATTEMPTED),
            "bad",
            "1 of 2 transferred, 1 not attempted, none in doubt, in 41 s.",
            "What was in doubt when the run ended has been settled since. 1 transfer was not attempted.",
        ),
        (
            ended("locked", Outcome.TRANSFERRED, Outcome.UNATTEMPTED),
            "bad",
            "1 of 2 transferred, 1 not attempted, none in doubt, in 41 s.",
            "Another process took the journal over; 1 transfer was not attempted.",
        ),
        (
            ended("interrupted", Outcome.IN_DOUBT, Outcome.UNATTEMPTED),
            "doubt",
            "0 of 2 transferred, 1 in doubt, 1 not attempted, in 41 s.",
            "The run was interrupted, and 1 transfer may or may not have been carried out.",
        ),
        (
            ended("stopped", Outcome.UNATTEMPTED, Outcome.UNATTEMPTED),
            "bad",
            "0 of 2 transferred, 2 not attempted, none in doubt, in 41 s.",
            "The run stopped early; 2 transfers were not attempted.",
        ),
        (
            ended("unreachable", Outcome.UNATTEMPTED),
            "bad",
            "0 of 1 transferred, 1 not attempted, none in doubt, in 41 s.",
            "The gateway could not be reached; 1 transfer was not attempted.",
        ),
        (
            samples.planned(),
            "calm",
            "Applying this would send 6 transfers, 2 unchanged, none in doubt, in about 0.2 s.",
            "Nothing was sent: this is the plan. 2 of them were carried to another destination by an earlier run.",
        ),
    ],
)
def test_the_verdict_says_what_happened(
    source: ReportSource, tone: str, headline: str, meaning: str
):
    verdict = verdict_of(build_content(source))
    assert (verdict.tone, verdict.headline, verdict.detail) == (tone, headline, meaning)


def test_a_run_that_died_is_shown_as_the_journal_has_it():
    source = ended("unfinished", Outcome.UNATTEMPTED)
    verdict = verdict_of(build_content(replace(source, run=replace(source.run, finished_at=None))))
    assert verdict.headline == "0 of 1 transferred, 1 not attempted, none in doubt."
    assert verdict.detail.startswith("The run is running, or it died")
    assert [step.command for step in verdict.steps] == [
        f"runner status {samples.RUN.id} --journal manifests/.runner/production.db",
        "runner apply manifests/billing.yaml",
    ]


def test_what_is_under_way_in_a_run_without_an_end_is_not_offered_to_be_settled(rendered: Rendered):
    source = ended("unfinished", Outcome.IN_DOUBT, Outcome.UNATTEMPTED)
    verdict = verdict_of(build_content(source))
    assert verdict.detail.endswith("and what is under way is in doubt.")
    commands = [step.command for step in verdict.steps]
    assert [(command or "").split()[1] for command in commands] == ["status", "apply"]
    assert "runner resolve" not in rendered(source, "html")


@pytest.mark.parametrize(
    ("source", "commands"),
    [
        (ended("in-doubt", Outcome.TRANSFERRED, Outcome.UNATTEMPTED), ["apply"]),
        (ended("in-doubt", Outcome.TRANSFERRED, Outcome.FAILED), ["apply"]),
        (ended("in-doubt", Outcome.TRANSFERRED), [None]),
        (left_by_others(ended("in-doubt", Outcome.UNATTEMPTED)), ["status", "apply"]),
        (left_by_others(ended("in-doubt", Outcome.TRANSFERRED)), ["status"]),
        (ended("locked", Outcome.UNATTEMPTED), ["status", "apply"]),
    ],
)
def test_what_was_not_attempted_is_left_to_do(source: ReportSource, commands: list[str | None]):
    """Also where the doubts that hid it are settled, or are not of this batch."""
    verdict = verdict_of(build_content(source))
    offered = [step.command.split()[1] if step.command else None for step in verdict.steps]
    assert offered == commands


def test_a_doubt_about_another_destination_is_settled_for_that_one():
    source = ended("in-doubt", Outcome.IN_DOUBT)
    row = samples.transfer(0)._replace(
        outcome=Outcome.IN_DOUBT,
        reason="in doubt is the move to sip:b",
        reason_code=Code.DOUBT_ELSEWHERE,
    )
    steps = verdict_of(build_content(replace(source, transfers=lambda: iter([row])))).steps
    assert "carried out, to the destination that its reason names:" in steps[2].text


def test_a_plan_with_nothing_but_doubts_has_something_left_to_do():
    source = samples.planned()
    assert source.plan is not None
    plan = replace(source.plan, send=0, changed=0, in_doubt=2, selections=0)
    steps = verdict_of(build_content(replace(source, plan=plan))).steps
    assert [step.text for step in steps] == ["See what is in doubt."]


@pytest.mark.parametrize("code", ExitCode)
def test_every_way_to_end_has_a_verdict_and_a_next_step(code: ExitCode):
    verdict = verdict_of(build_content(ended(code.outcome, Outcome.UNATTEMPTED)))
    assert verdict.headline
    assert verdict.steps


def test_doubt_comes_with_the_command_that_settles_it():
    source = ended("in-doubt", Outcome.IN_DOUBT)
    key = samples.transfer(0).key
    commands = [step.command for step in verdict_of(build_content(source)).steps]
    assert commands[0] == "runner apply manifests/billing.yaml"
    journal = "--journal manifests/.runner/production.db"
    assert commands[1] == f"runner status {samples.RUN.id} {journal}"
    for command, word in zip(commands[2:4], ("transferred", "failed"), strict=True):
        assert (command or "").startswith(
            f"runner resolve {samples.RUN.id} {key} {journal} --as {word} --reason "
        )


def test_a_command_is_safe_to_paste():
    source = ended("stopped", Outcome.UNATTEMPTED)
    run = replace(source.run, manifest_path="my $(rm -rf) batch.yaml")
    verdict = verdict_of(build_content(replace(source, run=run)))
    assert verdict.steps[0].command == "runner apply 'my $(rm -rf) batch.yaml'"


def test_the_policy_lets_in_this_pages_own_style_and_script_alone(rendered: Rendered):
    page = rendered(samples.mixed(), "html")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    allowed = policy[1].replace("&#39;", "'").replace("&#43;", "+")
    assert allowed.startswith("default-src 'none'; ")
    for element in ("style", "script"):
        text = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)
        assert text is not None
        digest = base64.b64encode(hashlib.sha256(text[1].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in allowed


@pytest.mark.parametrize("source", [samples.mixed(), samples.hostile()])
def test_the_page_names_no_other_place(source: ReportSource, rendered: Rendered):
    page = rendered(source, "html")
    tags = _Tags()
    tags.feed(page)
    foreign = {"img", "link", "iframe", "object", "embed", "base", "form", "image", "use"}
    assert not tags.names & foreign
    others = {link for link in tags.links if link is not None and not link.startswith("#")}
    assert others == {"report.json", "audit.jsonl"}  # beside it
    assert not tags.attributes & {"src", "srcset", "action", "style", "xlink:href"}
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert "@import" not in page
    assert "url(" not in page


def test_hostile_texts_end_no_element(rendered: Rendered):
    page = rendered(samples.hostile(), "html")
    assert page.count("</script>") == page.count("<script") == 2
    assert "<img" not in page
    assert "<svg onload" not in page
    assert "{{ 7*7 }}" in page
    assert samples.HOSTILE[1] in rows_of(page)["words"]


def test_without_scripts_the_page_says_where_the_transfers_are(rendered: Rendered):
    note = rendered(samples.mixed(), "html").split("<noscript>")[1].split("</noscript>")[0]
    assert "report.json" in note


def test_rows_come_most_urgent_first_and_lose_nothing(rendered: Rendered):
    unpacked = rows_of(rendered(samples.mixed(60), "html"))
    outcomes = [list(Outcome)[row[0]] for row in unpacked["rows"]]
    assert len(outcomes) == 60
    assert set(outcomes[:15]) == {Outcome.IN_DOUBT, Outcome.FAILED, Outcome.REJECTED}
    assert set(outcomes[25:]) == {Outcome.TRANSFERRED, Outcome.UNCHANGED}


def test_beyond_the_limit_only_what_did_not_succeed_is_listed():
    content = build_content(samples.mixed(60))
    listed = json.loads("".join(packed_rows(content, limit=59)))["rows"]
    done = {list(Outcome).index(o) for o in (Outcome.TRANSFERRED, Outcome.UNCHANGED)}
    assert len(listed) == 25
    assert not done & {row[0] for row in listed}
    assert len(json.loads("".join(packed_rows(content, limit=7)))["rows"]) == 7


@pytest.mark.parametrize("count", [0, 1, ROWS_A_PIECE, ROWS_A_PIECE + 1, 3 * ROWS_A_PIECE])
def test_every_number_of_rows_is_whole(count: int):
    content = build_content(samples.succeeded(count))
    assert len(json.loads("".join(packed_rows(content)))["rows"]) == count


def test_rows_keep_to_their_size():
    content = build_content(samples.hostile())
    text = "".join(packed_rows(content, size_limit=3000))
    assert 0 < len(json.loads(text)["rows"]) < len(samples.HOSTILE)
    assert len(text) < 3100


def test_a_hundred_thousand_transfers_stay_under_25_megabytes(rendered: Rendered):
    per_row = (
        len(rendered(samples.mixed(3000), "html")) - len(rendered(samples.mixed(1000), "html"))
    ) / 2000
    assert per_row * 100_000 < 22_000_000


@pytest.mark.parametrize(
    ("media", "text"),
    [
        (samples.OPUS, "opus 16 bit 64 kbit/s"),
        (samples.VIDEO, "opus 16 bit 64 kbit/s + vp8 1280x720 30 fps 1200 kbit/s"),
        ({"audio": "opus"}, '{"audio": "opus"}'),
        ({}, ""),
    ],
)
def test_media_in_a_few_words(media: dict[str, Any], text: str):
    assert media_text(media) == text


@pytest.mark.parametrize("source", [samples.mixed(), samples.guarded(), samples.planned()])
def test_no_shape_of_the_page_is_without_a_width(source: ReportSource, rendered: Rendered):
    """What has none is not drawn, though a legend promises it."""
    page = rendered(source, "html")
    assert re.findall(r'<(?:rect|image)\b[^>]*(?:width|height)="0(?:\.0*)?%?"[^>]*>', page) == []
