"""report.json: its fields, its schema, and that it streams."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from referencing import Registry

from runner.core.errors import UsageError
from runner.core.records.run_record import (
    Figures,
    TimelinePoint,
    TransferGroup,
    TransferRecord,
)
from runner.core.transfer.reasons import Earlier
from runner.report.formats.json_document import transfer_json
from runner.report.model import MOST_PLANNED, TIMELINE_LIMIT, coarsened
from runner.report.writer import render_format
from tests.report import samples
from tests.report.conftest import Rendered

SOURCES = {
    "mixed": samples.mixed(),
    "succeeded": samples.succeeded(5),
    "empty": samples.empty(),
    "planned": samples.planned(),
    "hostile": samples.hostile(),
    "guarded": samples.guarded(),
    "died": samples.died(),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_report_satisfies_the_schema(name: str, rendered: Rendered, schema: dict[str, Any]):
    # On disk a lone surrogate becomes "?", as `Folder.writing` encodes it.
    text = rendered(SOURCES[name], "json").encode("utf-8", "replace").decode()
    report = json.loads(text, parse_constant=pytest.fail)
    jsonschema_rs.validator_for(schema).validate(report)
    jsonschema.Draft202012Validator(schema, registry=Registry()).validate(report)


@pytest.mark.parametrize("size", [0, 7])
def test_a_large_plan_lists_its_first_rows_and_says_how_many_it_leaves_out(
    rendered: Rendered, schema: dict[str, Any], size: int
):
    """Row by row, and in groups of `size` rows that are alike."""
    count = MOST_PLANNED + 20
    [row, *_] = samples.planned().transfers()
    source = replace(
        samples.planned(),
        transfers=lambda: (row._replace(key=f"k{n}") for n in range(count)),
        groups=None if not size else lambda: _alike(row, count, size),
    )
    report = json.loads(rendered(source, "json"))
    jsonschema_rs.validator_for(schema).validate(report)
    assert report["transfers_omitted"] == 20
    keys = [each["key"] for each in report["transfers"]]
    assert (len(keys), keys[0], keys[-1]) == (MOST_PLANNED, "k0", f"k{MOST_PLANNED - 1}")
    assert report["summary"]["total"] == count


def _alike(row: TransferRecord, count: int, size: int) -> Iterator[TransferGroup]:
    for first in range(0, count, size):
        numbers = range(first, min(first + size, count))
        yield TransferGroup(row, [(f"k{n}", *row[1:4]) for n in numbers])


def test_a_run_s_report_lists_every_transfer(rendered: Rendered):
    report = json.loads(rendered(samples.bulk(MOST_PLANNED + 1), "json"))
    assert "transfers_omitted" not in report
    assert len(report["transfers"]) == MOST_PLANNED + 1


def test_the_schema_describes_everything_and_lets_nothing_else_in(schema: dict[str, Any]):
    jsonschema.Draft202012Validator.check_schema(schema)
    for place, part in _parts(schema, "$"):
        if "properties" in part:
            assert part["additionalProperties"] is False, place
            for name, inner in part["properties"].items():
                assert "$ref" in inner or inner.get("description"), f"{place}.{name}"


def test_a_field_too_many_or_too_few_is_noticed(rendered: Rendered, schema: dict[str, Any]):
    validator = jsonschema_rs.validator_for(schema)
    report = json.loads(rendered(samples.mixed(3), "json"))
    for place in (report, report["run"], report["summary"], report["transfers"][0]):
        place["surplus"] = 1
        assert not validator.is_valid(report)
        del place["surplus"]
        name, value = place.popitem()
        assert not validator.is_valid(report), name
        place[name] = value
    assert validator.is_valid(report)


def test_keys_stand_in_the_order_of_the_design(rendered: Rendered):
    keys = ["version", "run", "summary", "session", "timeline", "progress"]
    keys += ["next_steps", "transfers", "audit"]
    assert list(json.loads(rendered(samples.mixed(), "json"))) == keys
    keys[5] = "plan"
    assert list(json.loads(rendered(samples.planned(), "json"))) == keys


def test_a_transfer_has_every_field(rendered: Rendered):
    report = json.loads(rendered(samples.mixed(1), "json"))
    transfer = report["transfers"][0]
    assert list(transfer) == [
        "key",
        "source",
        "interaction_id",
        "destination_uri",
        "wave",
        "outcome",
        "reason",
        "reason_code",
        "message_id",
        "media_requested",
        "media_negotiated",
        "latency_ms",
        "attempts",
        "callbacks",
    ]
    assert transfer["source"] == "billing.csv:2"
    assert transfer["attempts"][1] == {
        "n": 2,
        "message_id": transfer["message_id"],
        "sent_at": "2026-12-01T21:00:02.000000Z",
        "settled_at": transfer["attempts"][1]["settled_at"],
        "latency_ms": 18.0,
        "status": "codec_negotiated",
        "reason": None,
    }


def test_audit_has_the_number_of_entries_and_the_last_hash(rendered: Rendered):
    *_, last = samples.audit()
    assert json.loads(rendered(samples.mixed(), "json"))["audit"] == {
        "entries": 5,
        "head": last.hash,
    }
    assert json.loads(rendered(samples.empty(), "json"))["audit"] == {
        "entries": 0,
        "head": "0" * 64,
    }
    assert json.loads(rendered(samples.planned(), "json"))["audit"] == {"entries": 0, "head": None}


def test_every_format_says_what_the_journal_may_have_lost(rendered: Rendered):
    source = samples.mixed(1)
    assert "caveats" not in json.loads(rendered(source, "json"))["run"]
    source = replace(source, run=replace(source.run, caveats=("restored <by> ann",)))
    assert json.loads(rendered(source, "json"))["run"]["caveats"] == ["restored <by> ann"]
    assert "restored &lt;by&gt; ann" in rendered(source, "html")
    assert "restored &lt;by&gt; ann" in rendered(source, "junit")
    assert "restored" in rendered(source, "md")


def test_what_a_run_that_died_did_not_keep_is_null(rendered: Rendered):
    report = json.loads(rendered(samples.died(), "json"))
    session, rate = report["session"], report["summary"]["rate"]
    assert (session["opened"], session["token_renewals"]) == (None, None)
    assert (rate["peak_in_any_second"], rate["throttled"]) == (None, None)


def test_an_explanation_is_there_only_when_there_is_one(rendered: Rendered):
    source = samples.mixed(1)
    assert "explanation" not in json.loads(rendered(source, "json"))["run"]
    source = replace(source, run=replace(source.run, explanation="the window closed"))
    assert json.loads(rendered(source, "json"))["run"]["explanation"] == "the window closed"


def test_one_line_a_transfer(rendered: Rendered):
    lines = rendered(samples.mixed(7), "json").splitlines()
    assert sum(line.startswith('{"key":') for line in lines) == 7


def test_transfers_are_written_as_they_are_read():
    written: list[str] = []
    behind: list[int] = []

    def transfers() -> Iterator[TransferRecord]:
        for number in range(50):
            behind.append(number - sum('{"key":' in part for part in written))
            yield samples.transfer(number)

    render_format(replace(samples.mixed(), transfers=transfers), "json", written.append)
    assert set(behind[50:]) == {0}  # the first pass counts, the second writes


def test_an_unknown_format_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="html, json, junit, csv"):
        render_format(samples.empty(), "pdf", print)


def _points(count: int) -> tuple[TimelinePoint, ...]:
    return tuple(TimelinePoint(float(n), 2, 1, n % 5, 10.0 - n % 3) for n in range(count))


@pytest.mark.parametrize("count", [0, 1, 600, 601, 5000])
def test_a_long_timeline_is_coarsened_and_loses_no_frame(count: int):
    bin_s, points = coarsened(_points(count), 1.0)
    assert len(points) <= TIMELINE_LIMIT
    assert sum(point.sent for point in points) == 2 * count
    assert sum(point.settled for point in points) == count
    assert all(point.t_s % bin_s == 0 for point in points)
    assert count < 5000 or {point.rate_per_s for point in points} == {10.0}


def test_a_timeline_with_holes_keeps_its_bins_apart():
    points = tuple(replace(point, t_s=point.t_s * 4) for point in _points(400))
    bin_s, merged = coarsened(points, 1.0)
    assert bin_s == 3.0
    assert len({point.t_s // bin_s for point in merged}) == len(merged) <= TIMELINE_LIMIT


def test_figures_are_rounded(rendered: Rendered):
    figures = Figures(timeline=(TimelinePoint(0.1 + 0.2, 1, 1, 0, 1 / 3),), timeline_bin_s=0.5)
    report = json.loads(rendered(replace(samples.empty(), figures=figures), "json"))
    assert report["timeline"] == {
        "bin_s": 0.5,
        "points": [{"t_s": 0.3, "sent": 1, "settled": 1, "in_flight": 0, "rate_per_s": 0.333}],
    }


def _parts(value: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield place, value
        for name, inner in value.items():
            yield from _parts(inner, f"{place}.{name}")


def test_each_field_of_a_transfer_is_in_the_report():
    record = samples.transfer(1)._replace(earlier=Earlier("r", "b", "k"), before="no reply")
    wire = transfer_json(record, {}, None)
    assert list(wire) == [name for name in record._fields if name != "origin_uri"]
