"""Simulated people act during a batch; none of it is a client's move."""

from __future__ import annotations

from typing import Any

import pytest

from runner.simulator.genesys_cloud.conversation_store import waiting_id
from runner.simulator.genesys_cloud.entities import make_id
from tests.simulator.genesys_shell import QUEUE, USER, GenesysShell, genesys_shell

ACTIVITY = "/api/v2/analytics/conversations/activity/query"
NOT_CONNECTED = "conversations.error.transfer.not.connected"
MINE = waiting_id("Q", 0)


def shell(number: int = 1, **faults: float) -> GenesysShell:
    return genesys_shell(waiting={"Q": number}, faults=faults)


def active(shell: GenesysShell, conversation_id: str = MINE) -> list[dict[str, Any]]:
    participants = shell.look(conversation_id)["participants"]
    return [one for one in participants if "endTime" not in one and one["purpose"] != "customer"]


def listed(shell: GenesysShell, metric: str = "oWaiting", **more: Any) -> Any:
    body = {"metrics": [{"metric": metric, "details": True}], **more}
    return shell.ask("POST", ACTIVITY, body, query={"pageSize": ["100"]}).body["results"][0]


def test_an_agent_answers_after_it_was_listed_and_before_it_is_looked_up():
    answered = shell(answered=1.0)
    assert [row["conversationId"] for row in listed(answered)["entities"]] == [MINE]
    (agent,) = active(answered)
    assert (agent["purpose"], agent["queueId"]) == ("agent", make_id("queue", "Q"))
    assert not listed(answered)["entities"]
    assert active(answered) == [agent]  # once
    assert not answered.records


def test_a_colleague_moves_it_by_a_command_that_bears_his_name():
    moved = shell(moved=1.0)
    (acd,) = active(moved)
    assert acd["queueId"] != make_id("queue", "Q")
    (transfer,) = moved.look(MINE)["recentTransfers"]
    assert transfer["state"] == "Complete"
    assert transfer["initiator"]["userId"]
    assert not moved.records


def test_agents_consult_colleagues_queues_and_numbers():
    kinds = set()
    consulting = shell(30, consulting=1.0)
    for number in range(30):
        agent, asked = active(consulting, waiting_id("Q", number))
        assert "consultParticipantId" not in agent
        assert asked["consultParticipantId"] == agent["id"]
        kinds.add(asked["purpose"])
    assert kinds == {"agent", "acd", "external"}


def test_to_replace_a_consulted_leg_leaves_the_customer_with_the_agent():
    consulting = shell(consulting=1.0)
    agent, asked = active(consulting)
    body = {"conversation_id": MINE, "participant_id": asked["id"], "queueId": QUEUE}
    assert consulting.replace(**body).status == 202
    assert next(one["id"] for one in active(consulting)) == agent["id"]
    assert asked["id"] not in [one["id"] for one in active(consulting)]


def test_a_conversation_of_another_division_is_refused_by_itself():
    hidden = shell(hidden=1.0)
    path = f"/api/v2/conversations/{MINE}"
    assert hidden.get(path).code == "not.authorized"
    command = f"{path}/participants/{QUEUE}/replace/queue"
    assert hidden.ask("POST", command, {"queueId": QUEUE}).code == "not.authorized"
    assert hidden.get("/api/v2/routing/queues").status == 200


def test_a_long_conversation_is_longer_than_a_megabyte():
    assert len(str(shell(long=1.0).look(MINE))) > 1_000_000


@pytest.mark.parametrize("fault", ["hung_up", "outrun"])
def test_what_changes_just_before_a_command_makes_it_refused(fault: str):
    certain: dict[str, Any] = {fault: 1.0}
    struck = shell(**certain)
    assert struck.replace(conversation_id=MINE, queueId=QUEUE).code == NOT_CONNECTED
    assert not struck.records
    assert [one.get("queueId") for one in active(struck)] == ([QUEUE] if fault == "outrun" else [])


def test_a_user_who_is_slow_to_answer_rings_until_he_does():
    slow = genesys_shell(waiting={"Q": 1}, latency_s=1.0, faults={"answer_late": 1.0})
    slow.replace("replace/agent", conversation_id=MINE, userId=USER, wait=False)
    slow.run(for_s=14)
    (rung,) = (one for one in active_now(slow) if one.state == "alerting")
    assert rung.user_id == USER
    slow.run()
    (held,) = active_now(slow)
    assert held.state == "connected"


def active_now(shell: GenesysShell) -> Any:
    return shell.model.organisation.conversations.get(MINE).holders()


def test_a_list_that_is_cut_off_says_so_and_counts_all():
    cut = listed(shell(100, truncated=1.0))
    assert (cut["truncated"], len(cut["entities"])) == (True, 40)
    assert cut["data"][0]["count"] == 100
    whole = listed(shell(40, truncated=1.0))
    assert (whole["truncated"], len(whole["entities"])) == (False, 40)


def test_those_who_are_served_are_with_an_agent_and_keep_their_queue():
    served = genesys_shell(served={"Q": 3}, queues=["Q"])
    rows = listed(served, "oInteracting")["entities"]
    assert {row["queueId"] for row in rows} == {make_id("queue", "Q")}
    assert len({row["conversationId"] for row in rows}) == 3
    (agent,) = active(served, rows[0]["conversationId"])
    assert agent["userId"] == rows[0]["userId"]


def test_former_users_are_found_and_said_to_be_gone():
    names = genesys_shell(users=["Ada"], former_users=["Ada", "Ada"])
    query = {"query": [{"type": "EXACT", "fields": ["name"], "value": "Ada"}]}
    found = names.ask("POST", "/api/v2/users/search", query).body["results"]
    assert sorted(one["state"] for one in found) == ["active", "deleted", "inactive"]
