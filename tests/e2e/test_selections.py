"""Who waits in a queue of the vendor's platform is found, frozen, moved once; names become ids."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from typing import Any

import pytest

from tests.e2e.harness import REPORT_SCHEMA, VOICE, Harness

SIMULATED: dict[str, Any] = {
    "driver": "simulator",
    "gateway": "edge",
    "limits": {"http_rate": "12000/min"},
    "simulator": {
        "platform": "genesys-cloud",
        "latency": "1ms",
        "seed": 5,
        "http_rate": "12000/min",
        "waiting": {"Billing EU": 40, "Elsewhere": 5},
        "queues": ["Overflow", "Twice", "Twice"],
    },
}
OVERFLOW = "genesys://queue/Overflow"


def evacuation(*transfers: dict[str, Any], **environments: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": 1,
        "name": "batch",
        "environment": "demo",
        "environments": {"demo": SIMULATED, **environments},
        "gateways": {
            "edge": {"max_bandwidth_kbps": 512, "supported_codecs": ["opus"], "max_fps": 30}
        },
        "media": {"voice": VOICE},
        "defaults": {"media": "voice"},
        "transfers": list(transfers),
    }


def selected(queue: str = "Billing EU", to: str = OVERFLOW, **select: Any) -> dict[str, Any]:
    return {"select": {"queue": queue, **select}, "destination_uri": to}


def moves(harness: Harness) -> Counter[str]:
    """Return how often each interaction was moved, by the embedded gateway's own ledger."""
    ledger = harness.folder / ".runner" / "demo.db.gateway.jsonl"
    lines = map(json.loads, ledger.read_text("utf-8").splitlines())
    return Counter(line["interaction_id"] for line in lines if "effect" in line)


def test_who_waits_is_moved_once_and_a_second_run_finds_none(harness: Harness):
    document = evacuation(selected())
    applied = harness.apply(document)
    assert applied.code == 0, applied.ended.err
    assert set(applied.outcomes().values()) == {"transferred"}
    assert len(applied.outcomes()) == 40
    assert moves(harness) == dict.fromkeys(applied.outcomes(), 1)
    assert "queue Billing EU: 40 selected" in applied.report.run["explanation"]
    assert "Billing EU" in applied.report.run["place_names"].values()
    destinations = {each["destination_uri"] for each in applied.report.by_id.values()}
    assert len(destinations) == 1
    assert "Overflow" not in destinations.pop()
    again = harness.apply(document)
    assert (again.code, again.outcomes()) == (0, {})
    assert sum(moves(harness).values()) == 40


def test_a_plan_freezes_who_was_found_and_apply_moves_exactly_those(harness: Harness):
    path = harness.write(evacuation(selected(limit=30, media_types=["call", "email"])))
    planned = harness.run("plan", path, "--preflight", "--out", "plan.json")
    assert planned.code == 0, planned.err
    assert "of another media type" in planned.out
    frozen = json.loads((harness.folder / "plan.json").read_text("utf-8"))["found"]["rows"]
    names = {row["interaction_id"] for row in frozen}
    assert harness.run("apply", path, "--limit", "3").code == 0
    assert harness.run("apply", "plan.json").code == 0
    assert moves(harness) == dict.fromkeys(names, 1)


def test_protected_interactions_do_not_keep_the_others_of_a_selection_back(harness: Harness):
    document = evacuation(selected(limit=2))
    planned = harness.run("plan", harness.write(document), "--preflight", "--out", "plan.json")
    assert planned.code == 0, planned.err
    frozen = json.loads((harness.folder / "plan.json").read_text("utf-8"))["found"]["rows"]
    first = [row["interaction_id"] for row in frozen]
    lines = ["interaction_id", *first]
    (harness.folder / "protected.csv").write_text("".join(f"{each}\n" for each in lines))
    applied = harness.apply(document | {"exclude_from": "protected.csv"})
    outcomes = applied.outcomes()
    assert [outcomes.pop(each) for each in first] == ["skipped"] * 2
    assert list(outcomes.values()) == ["transferred"] * 2


def test_a_plan_that_is_written_down_offline_is_refused_with_the_fix(harness: Harness):
    path = harness.write(evacuation(selected()))
    refused = harness.run("plan", path, "--out", "plan.json")
    assert refused.code == 2
    assert "add --preflight" in refused.err
    assert not (harness.folder / "plan.json").exists()


def test_offline_a_selection_and_a_name_are_reported_as_not_known_yet(harness: Harness):
    path = harness.write(evacuation(selected()))
    checked = harness.run("apply", path, "--validate-only")
    assert checked.code == 0
    assert checked.out.startswith(
        "valid: 0 of 0 transfers would be sent, and what 1 selection will find\n"
    )
    offered = checked.out.splitlines()
    look = next(number for number, line in enumerate(offered) if line.endswith(" --preflight"))
    assert offered[look - 1] == "  see whom the selections find now; nobody is moved:"
    assert offered[look + 1] == "  carry it out:"
    [page] = harness.folder.glob("reports/batch/plan-*/report.html")
    assert "and what 1\N{NO-BREAK SPACE}selection will find" in page.read_text("utf-8")
    assert "Nothing is left to do" not in page.read_text("utf-8")
    [result] = harness.folder.glob("reports/batch/plan-*/report.json")
    REPORT_SCHEMA.validate(json.loads(result.read_text("utf-8")))
    assert harness.run("plan", path, "--detailed-exitcode").code == 10
    assert "what 1 selection will find is not known yet" in checked.out
    assert not (harness.folder / ".runner").exists()


def test_unknown_and_ambiguous_names_exit_3_with_their_place_and_move_nothing(harness: Harness):
    document = evacuation(
        selected(to="genesys://queue/Overfull"),
        {"interaction_id": "3f2504e0-4f89-41d3-9a0c-0305e82c3301", "destination_uri": OVERFLOW},
        selected(queue="Twice"),
    )
    refused = harness.run("apply", harness.write(document))
    assert refused.code == 3
    assert "error[R001]: no queue is named `Overfull`" in refused.err
    assert "error[R001]: 2 queues are named `Twice`" in refused.err
    assert refused.err.count("--> batch.yaml:") == 2
    assert not moves(harness)


def test_a_platform_that_cannot_be_asked_is_4_with_a_report(harness: Harness):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{unused.getsockname()[1]}"
        silent = {
            "driver": "genesys-cloud",
            "gateway": "edge",
            "endpoints": {"token_url": f"{origin}/oauth/token", "api_url": origin},
            "credentials": {
                "client_id": {"env": "FOREIGN_ID"},
                "client_secret": {"env": "FOREIGN_SECRET"},
            },
        }
        listed = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
        document = evacuation(
            selected(), {"interaction_id": listed, "destination_uri": OVERFLOW}, silent=silent
        ) | {"policy": {"retry": {"attempts": 2, "base": "10ms", "cap": "20ms"}}}
        applied = harness.apply(document, "--env", "silent")
    assert applied.code == 4
    assert applied.outcomes() == {listed: "unattempted"}
    assert "the connection was refused" in applied.report.run["explanation"]


def situated(*transfers: dict[str, Any], **simulator: Any) -> dict[str, Any]:
    """Return an evacuation in which people do something meanwhile."""
    document = evacuation(*transfers)
    demo = {**SIMULATED, "simulator": {**SIMULATED["simulator"], **simulator}}
    return {**document, "environments": {"demo": demo}}


@pytest.mark.parametrize("fault", ["answered", "moved", "consulting"])
def test_what_no_longer_waits_when_its_turn_comes_is_skipped(harness: Harness, fault: str):
    applied = harness.apply(situated(selected(), faults={fault: "40%"}))
    assert applied.code == 0, applied.ended.err
    outcomes = applied.outcomes()
    assert Counter(outcomes.values()).keys() == {"transferred", "skipped"}
    skipped = {key for key, outcome in outcomes.items() if outcome == "skipped"}
    reasons = {applied.report.by_id[key]["reason"] for key in skipped}
    assert reasons == {"no longer waiting in Billing EU"}
    assert moves(harness).keys() == outcomes.keys() - skipped


def test_a_frozen_plan_is_held_to_where_it_found_each(harness: Harness):
    """The plan's look-ups are the first, so that people act between query and look-up."""
    path = harness.write(situated(selected(limit=20), faults={"answered": "30%"}))
    assert harness.run("plan", path, "--preflight", "--out", "plan.json").code == 0
    frozen = json.loads((harness.folder / "plan.json").read_text("utf-8"))["found"]["rows"]
    assert {row["found_at"]["name"] for row in frozen} == {"Billing EU"}
    assert harness.run("apply", "plan.json").code == 0
    assert 0 < len(moves(harness)) < 20


def test_what_agents_serve_is_moved_from_those_agents_alone(harness: Harness):
    applied = harness.apply(situated(selected(state="connected"), served={"Billing EU": 6}))
    assert applied.code == 0, applied.ended.err
    assert Counter(applied.outcomes().values()) == {"transferred": 6}
    assert moves(harness) == dict.fromkeys(applied.outcomes(), 1)


def test_conversations_of_other_divisions_are_rejected_one_by_one(harness: Harness):
    applied = harness.apply(situated(selected(), faults={"hidden": "20%"}))
    assert applied.code == 1, applied.ended.err
    outcomes = Counter(applied.outcomes().values())
    assert outcomes["transferred"] + outcomes["rejected"] == 40
    assert outcomes["rejected"] > 0
    rejected = [r for r in applied.report.by_id.values() if r["outcome"] == "rejected"]
    assert all(r["reason"].startswith("not.authorized (403)") for r in rejected)


def test_a_list_that_is_cut_off_leaves_no_interaction_behind(harness: Harness):
    applied = harness.apply(
        situated(selected(), waiting={"Billing EU": 200}, faults={"truncated": "100%"})
    )
    assert applied.code == 0, applied.ended.err
    assert Counter(applied.outcomes().values()) == {"transferred": 200}


def test_hang_ups_just_before_the_command_are_skipped(harness: Harness):
    applied = harness.apply(situated(selected(limit=10), faults={"hung_up": "40%"}))
    assert applied.code == 0, applied.ended.err
    assert Counter(applied.outcomes().values()).keys() == {"transferred", "skipped"}


def test_a_slow_answer_and_a_move_by_a_colleague_are_distinguished(harness: Harness):
    to_ada = selected(to="genesys://user/Ada Lovelace", limit=6)
    people = {"users": ["Ada Lovelace"], "former_users": ["Ada Lovelace"]}
    late = situated(
        to_ada, faults={"answer_late": "100%", "long": "30%"}, latency="100ms", **people
    )
    applied = harness.apply(late)  # 2 s, and a reply may take 1 s
    assert applied.code == 0, applied.ended.err
    assert Counter(applied.outcomes().values()) == {"transferred": 6}


def test_what_one_agent_holds_and_asks_for_a_skill_is_moved_and_nothing_else(harness: Harness):
    organisation = SIMULATED["simulator"] | {
        "served": {"Billing EU": 12, "Elsewhere": 9},
        "users": ["an agent"],
        "skills": ["Invoices"],
    }
    demo = SIMULATED | {"simulator": organisation}
    held = {"held_by": "an agent", "skill": "Invoices"}
    document = evacuation({"select": held, "destination_uri": OVERFLOW}, demo=demo)
    applied = harness.apply(document)
    assert applied.code == 0, applied.ended.err
    told = applied.report.run["explanation"]
    assert re.search(r"user an agent: \d+ selected, left out: \d+ without the skill", told)
    assert 0 < len(applied.outcomes()) < 21
    assert moves(harness) == dict.fromkeys(applied.outcomes(), 1)
