"""Runs on the vendor's platform as the embedded gateway shows it: plan, outcomes, report, journal."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from tests.e2e.harness import VOICE, Harness
from tests.e2e.platform_builders import NUMBER, QUEUE, USER, conversation, document


def test_a_plan_says_once_that_the_platform_takes_no_codec_and_counts_two_requests_each(
    harness: Harness,
):
    rows = [{"interaction_id": conversation(n)} for n in range(40)]
    path = harness.write(document(*rows))
    planned = harness.run("plan", path, "--report-dir", "planned")
    assert planned.code == 0, planned.err
    assert planned.out.count("genesys-cloud takes no codec with a transfer") == 1
    (report,) = (harness.folder / "planned").glob("batch/plan-*/report.json")
    assert json.loads(report.read_text("utf-8"))["plan"]["estimate_s"] == 0.4


def test_queues_users_and_numbers_are_moved_to_and_each_delivery_can_be_found_again(
    harness: Harness,
):
    rows = [
        {"interaction_id": conversation(n), "destination_uri": to}
        for n, to in enumerate([QUEUE, USER, NUMBER] * 8)
    ]
    applied = harness.apply(document(*rows))
    result = applied.report.by_id
    refused = {name for name, each in result.items() if each["outcome"] == "rejected"}
    for name in refused:  # one in four is a callback
        assert result[name]["destination_uri"] == NUMBER
        assert result[name]["reason"] == (
            "a callback cannot go to an outside number; write a queue or a user"
        )
        assert result[name]["attempts"] == []
    assert 0 < len(refused) < 8
    assert applied.code == 1
    moved = [each for name, each in result.items() if name not in refused]
    assert {each["outcome"] for each in moved} == {"transferred"}
    correlations = [attempt["correlation_id"] for each in moved for attempt in each["attempts"]]
    assert len(set(correlations)) == len(moved)
    audit = (applied.report.folder / "audit.jsonl").read_text("utf-8")
    assert all(correlation in audit for correlation in correlations)
    again = harness.apply(document(*rows))
    assert set(again.outcomes().values()) == {"unchanged", "rejected"}


def test_a_refusal_says_the_vendors_code_and_what_to_do(harness: Harness):
    rows = [
        {"interaction_id": "00000404-0000-4000-8000-000000000001"},
        {
            "interaction_id": conversation(1),
            "destination_uri": "genesys://queue/00000404-0000-4000-8000-000000000002",
        },
    ]
    applied = harness.apply(document(*rows))
    first, second = (applied.report.by_id[row["interaction_id"]] for row in rows)
    assert (first["outcome"], first["reason"]) == ("rejected", "interaction not found")
    assert second["outcome"] == "rejected"
    assert second["reason"].startswith("conversations.error.queue.not.found (400)")
    assert "there is no such queue" in second["reason"]


def test_what_the_platform_refuses_is_rejected(
    harness: Harness,
):
    applied = harness.apply(
        document({"interaction_id": conversation(1)}, faults={"rejected": "100%"})
    )
    (result,) = applied.report.by_id.values()
    assert result["outcome"] == "rejected"
    assert applied.code == 1


def test_the_journal_belongs_to_the_embedded_gateway_and_holds_what_was_said(harness: Harness):
    harness.apply(document({"interaction_id": conversation(1)}))
    with closing(sqlite3.connect(harness.folder / ".runner" / "demo.db")) as journal:
        ((origin,),) = journal.execute("SELECT value FROM meta WHERE name = 'origin'").fetchall()
        bodies = [json.loads(body) for (body,) in journal.execute("SELECT body FROM events")]
    assert origin == "simulator"
    (intent,) = [body for body in bodies if body["event"] == "intent"]
    said = json.loads(intent["message"])
    assert said["method"] == "POST"
    assert said["path"].endswith("/replace/queue")
    assert said["media_matrix"] == VOICE
    assert intent["baseline"]["arrivals"]
