"""`plan --preflight`: the gateway is asked about everything, and nothing is submitted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import HERE, Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.script import MUTE_BUT_MOVED, Interaction
from tests.foreign.wire import WebResponse


def plan_report(harness: Harness) -> dict[str, Any]:
    [folder] = (harness.folder / "reports" / "batch").glob("plan-*")
    result: dict[str, Any] = json.loads((folder / "report.json").read_text("utf-8"))
    return result


def seen(gateway: Gateway, interaction_id: str, **result: Any) -> None:
    gateway.interactions[interaction_id] = Interaction(interaction_id, **result)


def test_it_shows_the_expected_outcome_of_each_row(gateway: Gateway, harness: Harness):
    keys = ("fit", "ended", "there", "missing", "strange", "doubtful")
    rows = {key: transfer(key=key) for key in keys}
    ids = {key: row["interaction_id"] for key, row in rows.items()}
    gateway.scripts[ids["doubtful"]] = [MUTE_BUT_MOVED]
    gateway.shows_effects = False
    assert harness.apply(manifest(gateway, [rows["doubtful"]])).code == 6
    gateway.show_effects()
    seen(gateway, ids["ended"], state="completed")
    seen(gateway, ids["there"], destination_uri=HERE)
    seen(gateway, ids["strange"], state="paused")
    gateway.missing.add(ids["missing"])
    path = harness.write(manifest(gateway, list(rows.values()), preflight=True))
    events = journal_size(harness)
    ended = harness.run("plan", path, "--preflight", "--detailed-exitcode", "--env", "foreign")
    assert ended.code == 10, ended.err
    report = plan_report(harness)
    reasons = {each["key"]: each["reason"] for each in report["transfers"]}
    assert reasons == {
        "doubtful": "in doubt: seen by its id, apply would settle it as transferred",
        "fit": "would be sent: active",
        "ended": "would be skipped: interaction is completed",
        "there": "would be skipped: already there",
        "missing": "would be rejected: interaction not found",
        "strange": "would be rejected: interaction is in the unknown state paused",
    }
    result = {each["key"]: each["reason_code"] for each in report["transfers"]}
    assert result == {
        "doubtful": "found_carried_out",
        "fit": "planned",
        "ended": "interaction_ended",
        "there": "already_there",
        "missing": "interaction_missing",
        "strange": "interaction_state_unknown",
    }
    [doubtful] = [each for each in report["transfers"] if each["key"] == "doubtful"]
    assert (doubtful["earlier"]["batch"], doubtful["earlier"]["key"]) == ("batch", "doubtful")
    assert report["plan"]["send"] == 1
    assert (report["run"]["outcome"], report["run"]["exit_code"]) == ("planned", 10)
    assert len(gateway.frames) == 1  # of the apply before
    assert journal_size(harness) == events
    assert "the gateway was only queried" in ended.out


def journal_size(harness: Harness) -> int:
    return len((harness.folder / ".runner" / "foreign.db").read_bytes())


def test_without_a_session_it_exits_4_and_leaves_a_report(gateway: Gateway, harness: Harness):
    gateway.token_answers = [WebResponse(401, {"error": "invalid_client"})] * 9
    path = harness.write(manifest(gateway, [transfer()]))
    ended = harness.run("plan", path, "--preflight")
    assert ended.code == 4
    assert "invalid_client" in ended.err
    report = plan_report(harness)
    assert report["transfers"][0]["reason"] == "planned: would be sent"
    assert (report["run"]["outcome"], report["run"]["exit_code"]) == ("planned", 4)
    assert not Path(harness.folder / ".runner").exists()
    assert not gateway.frames


FORBIDDEN = WebResponse(403, headers={"WWW-Authenticate": 'Bearer scope="interaction:view"'})


def test_one_that_may_not_be_seen_would_be_rejected_and_the_others_are_looked_at(
    gateway: Gateway, harness: Harness
):
    rows = [transfer(key=key) for key in ("fit", "hidden", "doubtful")]
    gateway.scripts[rows[2]["interaction_id"]] = [MUTE_BUT_MOVED]
    gateway.shows_effects = False
    assert harness.apply(manifest(gateway, rows[2:])).code == 6
    for row in rows[1:]:
        gateway.look_up_answers[row["interaction_id"]] = [FORBIDDEN] * 9
    path = harness.write(manifest(gateway, rows, preflight=True))
    ended = harness.run("plan", path, "--preflight", "--detailed-exitcode", "--env", "foreign")
    assert ended.code == 10, ended.err
    report = plan_report(harness)
    why = "the interaction may not be seen by this client"
    assert {each["key"]: each["reason"] for each in report["transfers"]} == {
        "fit": "would be sent: active",
        "hidden": f"would be rejected: {why}",
        "doubtful": f"in doubt: {why}",
    }
    assert report["plan"]["send"] == 1


@pytest.mark.parametrize("number", [1, 3, 200])
def test_where_none_may_be_seen_the_right_is_missing(
    gateway: Gateway, harness: Harness, number: int
):
    rows = [transfer() for _ in range(number)]
    for row in rows:
        gateway.look_up_answers[row["interaction_id"]] = [FORBIDDEN] * 9
    path = harness.write(manifest(gateway, rows, preflight=True))
    ended = harness.run("plan", path, "--preflight", "--env", "foreign")
    assert ended.code == 4
    assert "look-ups are forbidden (403): the token lacks the scope interaction:view" in ended.err
    assert len(gateway.look_ups) < 200
