"""What a probe keeps of a conversation names no person, no number and no id."""

from __future__ import annotations

import json

from runner.core.exit_code import ExitCode
from runner.gateways.genesys_cloud.protocol.probe_findings import (
    Attempt,
    End,
    Findings,
    Masks,
    answers,
    sketch,
    sketch_subject,
)

QUEUE = "2d3ee6a1-59fa-5fd6-a1ae-3a3a9c8c8c01"
SECRETS = ("Ada Customer", "+31205550123", "ada@example.org", QUEUE, "c-12345", "Salary question")

BODY = {
    "id": "c-12345",
    "address": "+31205550123",
    "participants": [
        {
            "id": "p-1",
            "name": "Ada Customer",
            "purpose": "customer",
            "address": "tel:+31205550123",
            "attributes": {"subject": "Salary question"},
            "emails": [{"state": "connected", "subject": "Salary question"}],
        },
        {"id": "p-2", "purpose": "acd", "queueId": QUEUE, "consultParticipantId": "p-1"},
        {"id": "p-3", "purpose": "Ada Customer", "address": "ada@example.org"},
    ],
    "recentTransfers": [
        {
            "id": "t-1",
            "state": "Complete",
            "destination": {"address": QUEUE},
            "initiator": {"userId": "u-1", "name": "Ada Customer"},
        }
    ],
}


def test_a_sketch_holds_words_of_the_platform_and_numbers_only():
    told = sketch(BODY, Masks())
    text = json.dumps(told)
    assert not [secret for secret in SECRETS if secret in text]
    customer, waiting, odd = told["participants"]
    assert customer["address"] == "tel:+11 digits"
    assert (waiting["queue"], waiting["consult_participant"]) == ("queue-1", "participant-1")
    assert (odd["purpose"], odd["address"]) == ("odd", "15 characters")


def test_an_address_that_is_a_queue_s_id_is_seen_to_be_that():
    [transfer] = sketch(BODY, Masks())["recent_transfers"]
    assert transfer["destination"] == {"address": "queue-1"}
    assert transfer["initiator"]["userId"] == "user-1"


def test_what_is_no_conversation_is_sketched_without_an_error():
    odd = {"participants": [7, {"calls": "x", "queue": 3}], "recentTransfers": "none"}
    assert sketch(odd, Masks())["recent_transfers"] is None


def test_the_subject_s_names_are_left_out():
    policy = {"domain": "conversation", "entityName": "communication", "actions": ["view"]}
    body = {"id": "s-1", "name": "Ada Customer", "grants": [{"role": {"policies": [policy]}}]}
    told = sketch_subject(200, body)
    assert told == {
        "status": 200,
        "fields": ["grants", "id", "name"],
        "grants": 1,
        "permissions": 1,
    }
    assert sketch_subject(404, None)["grants"] == 0


def test_the_code_says_whether_it_came_back():
    findings = Findings({})
    assert findings.code is ExitCode.FAILURES
    findings.there = Attempt("replace/queue", "acd", ("calls",), "queue-2")
    assert findings.code is ExitCode.IN_DOUBT, "it may be on its way"
    findings.there.end = End.ARRIVED
    assert findings.code is ExitCode.FAILURES, "it is still there"
    findings.back = Attempt("replace/queue", "acd", ("calls",), "queue-1", end=End.REFUSED)
    assert findings.code is ExitCode.FAILURES
    findings.back.end = End.IN_DOUBT
    assert findings.code is ExitCode.IN_DOUBT
    findings.back.end = End.ARRIVED
    assert findings.code is ExitCode.OK


def test_every_question_has_an_answer_before_anything_was_asked():
    assert set(answers(Findings({})).values()) == {
        "not asked",
        "not asked: the destination was no address",
    }
