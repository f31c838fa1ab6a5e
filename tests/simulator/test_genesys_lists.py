"""Lists of the platform: queues and users by name, and conversations in a queue."""

from typing import Any

import pytest

from runner.simulator.genesys_cloud.conversation_store import waiting_id
from runner.simulator.genesys_cloud.entities import make_id
from tests.simulator.genesys_shell import (
    CONVERSATION,
    QUEUE,
    USER,
    Answered,
    GenesysShell,
    genesys_shell,
)

QUEUES = "/api/v2/routing/queues"
ACTIVITY = "/api/v2/analytics/conversations/activity/query"
DETAILS = "/api/v2/analytics/conversations/details/query"
OLD = make_id("queue", "billing-old")
WHOLE = "2026-11-01T00:00:00Z/2026-12-02T00:00:00Z"


def names(listing: Answered) -> list[str]:
    return [one["name"] for one in listing.body["entities"]]


def activity(shell: GenesysShell, *, page: int = 1, size: int = 100, **body: Any) -> Any:
    """Ask who waits in `billing-old`; return the one group."""
    asked = {
        "metrics": [{"metric": "oWaiting", "details": True}],
        "filter": {"type": "and", "predicates": [{"dimension": "queueId", "value": OLD}]},
    }
    query = {"pageNumber": [str(page)], "pageSize": [str(size)]}
    answered = shell.ask("POST", ACTIVITY, asked | body, query=query)
    assert answered.status == 200, answered
    return answered.body["results"]


def waiting(shell: GenesysShell, **more: Any) -> list[str]:
    return [one["conversationId"] for one in activity(shell, **more)[0]["entities"]]


def details(shell: GenesysShell, number: int = 1, size: int = 100, **body: Any) -> Answered:
    here = {"dimension": "queueId", "operator": "matches", "value": OLD}
    still = {"dimension": "segmentEnd", "operator": "notExists"}
    going_on = {"dimension": "conversationEnd", "operator": "notExists"}
    asked = {
        "interval": WHOLE,
        "order": "asc",
        "orderBy": "conversationStart",
        "paging": {"pageNumber": number, "pageSize": size},
        "segmentFilters": [{"type": "and", "predicates": [here, still]}],
        "conversationFilters": [{"type": "and", "predicates": [going_on]}],
    }
    return shell.ask("POST", DETAILS, asked | body)


def test_queues_are_found_by_exact_name_or_with_stars_whatever_the_case():
    shell = genesys_shell(
        queues=("Billing EU", "Billing EU", "Support EU"), waiting={"billing-old": 3}
    )

    assert names(shell.get(QUEUES)) == [
        *("Billing EU", "Billing EU", "billing-old", "origin", "Support EU"),
    ]
    assert names(shell.get(QUEUES, name="billing eu")) == ["Billing EU", "Billing EU"]
    assert names(shell.get(QUEUES, name="billing*")) == ["Billing EU", "Billing EU", "billing-old"]
    assert names(shell.get(QUEUES, name="* EU")) == ["Billing EU", "Billing EU", "Support EU"]
    assert names(shell.get(QUEUES, name="*pp*")) == ["Support EU"]
    assert names(shell.get(QUEUES, name="Billing")) == []
    twins = shell.get(QUEUES, name="Billing EU").body["entities"]
    assert {one["id"] for one in twins} == {
        make_id("queue", "Billing EU"),
        make_id("queue", "Billing EU", 2),
    }
    assert names(shell.get(QUEUES, id=f"{OLD},{QUEUE}")) == ["billing-old", f"queue {QUEUE[:8]}"]


def test_lists_come_in_pages():
    shell = genesys_shell(queues=tuple(f"queue {number:03}" for number in range(60)))

    first, last = shell.get(QUEUES), shell.get(QUEUES, pageNumber="3")

    assert len(names(first)) == 25
    assert {name: first.body[name] for name in first.body if name != "entities"} == {
        "pageSize": 25,
        "pageNumber": 1,
        "total": 61,
        "pageCount": 3,
        "firstUri": "/api/v2/routing/queues?pageSize=25&pageNumber=1",
        "selfUri": "/api/v2/routing/queues?pageSize=25&pageNumber=1",
        "nextUri": "/api/v2/routing/queues?pageSize=25&pageNumber=2",
        "lastUri": "/api/v2/routing/queues?pageSize=25&pageNumber=3",
    }
    assert len(names(last)) == 11
    assert last.body["previousUri"] == "/api/v2/routing/queues?pageSize=25&pageNumber=2"
    assert "nextUri" not in last.body
    for wrong in ("0", "x", "501"):
        assert shell.get(QUEUES, pageSize=wrong).code == "bad.request"


def test_one_queue_and_one_user_are_looked_up_by_id():
    shell = genesys_shell(waiting={"billing-old": 1}, users=("Ada Lovelace",))
    ada = make_id("user", "Ada Lovelace")

    assert shell.get(f"{QUEUES}/{OLD}").body["name"] == "billing-old"
    assert shell.get(f"{QUEUES}/{QUEUE}").body["name"] == f"queue {QUEUE[:8]}"
    assert shell.get(f"/api/v2/users/{ada}").body["email"] == "ada.lovelace@example.net"
    assert shell.get(f"/api/v2/users/{USER}").body["state"] == "active"
    assert shell.get("/api/v2/users/00000404-0000-4000-8000-000000000001").status == 404


@pytest.mark.parametrize(
    ("criterion", "found"),
    [
        ({"type": "EXACT", "fields": ["name"], "value": "ada lovelace"}, ["Ada Lovelace"]),
        ({"type": "EXACT", "fields": ["name"], "value": "ada"}, []),
        (
            {"type": "STARTS_WITH", "fields": ["name"], "value": "ada"},
            ["Ada Byron", "Ada Lovelace"],
        ),
        (
            {"type": "CONTAINS", "fields": ["name", "email"], "values": ["hopper@"]},
            ["Grace Hopper"],
        ),
        ({"fields": ["department"], "value": "Ada Byron"}, []),
    ],
)
def test_users_are_searched_by_name_and_address(criterion: dict[str, Any], found: list[str]):
    shell = genesys_shell(users=("Ada Lovelace", "Grace Hopper", "Ada Byron"))

    listing = shell.ask("POST", "/api/v2/users/search", {"query": [criterion], "pageSize": 10})

    assert [one["name"] for one in listing.body["results"]] == found
    assert listing.body["total"] == len(found)
    assert names(shell.get("/api/v2/users")) == ["Ada Byron", "Ada Lovelace", "Grace Hopper"]


def test_who_waits_is_listed_from_the_oldest_on_in_pages():
    shell = genesys_shell(waiting={"billing-old": 250, "other": 5})

    pages = [waiting(shell, page=number) for number in (1, 2, 3, 4)]
    (group,) = activity(shell)

    assert [len(page) for page in pages] == [100, 100, 50, 0]
    everybody = [one for page in pages for one in page]
    assert set(everybody) == {waiting_id("billing-old", number) for number in range(250)}
    assert group["data"] == [{"metric": "oWaiting", "count": 250}]
    dates = [one["activityDate"] for one in group["entities"]]
    assert dates == sorted(dates)
    assert {one["mediaType"] for one in group["entities"]} == {
        *("voice", "message", "email", "callback"),
    }
    assert {one["queueId"] for one in group["entities"]} == {OLD}
    assert waiting(shell, order="desc") == everybody[:-101:-1]


def test_who_has_been_moved_is_listed_where_it_is_now():
    shell = genesys_shell(waiting={"billing-old": 3})
    first = waiting(shell)[0]
    shell.replace(conversation_id=first, queueId=QUEUE)
    shell.replace(conversation_id=CONVERSATION, queueId=OLD)
    shell.replace("replace/agent", conversation_id=waiting(shell)[0], userId=USER)

    there = {"type": "and", "predicates": [{"dimension": "queueId", "value": QUEUE}]}
    at_work = {"type": "and", "predicates": [{"dimension": "userId", "operator": "exists"}]}

    assert first not in waiting(shell)
    assert CONVERSATION in waiting(shell)
    assert waiting(shell, filter=there) == [first]
    (group,) = activity(shell, filter=at_work, metrics=[{"metric": "oInteracting"}])
    assert group["data"] == [{"metric": "oInteracting", "count": 1}]
    assert group["entities"] == []  # details were not asked for


def test_who_waits_is_counted_by_group():
    shell = genesys_shell(waiting={"billing-old": 40})

    groups = activity(shell, groupBy=["queueId", "mediaType"])

    assert [one["group"]["mediaType"] for one in groups] == [
        *("callback", "email", "message", "voice"),
    ]
    assert sum(one["data"][0]["count"] for one in groups) == 40


def test_filters_join_predicates_and_clauses():
    shell = genesys_shell(waiting={"billing-old": 40})
    media = [{"dimension": "mediaType", "value": one} for one in ("email", "message")]
    both = {
        "type": "and",
        "predicates": [{"dimension": "queueId", "value": OLD}],
        "clauses": [{"type": "or", "predicates": media}],
    }

    entities = activity(shell, filter=both)[0]["entities"]

    assert {one["mediaType"] for one in entities} == {"email", "message"}


def test_who_has_left_is_still_counted_as_waiting_but_no_more_in_details():
    shell = genesys_shell(waiting={"billing-old": 40}, ended_share=1.0)
    listed = waiting(shell)
    assert set(listed) == {waiting_id("billing-old", number) for number in range(40)}
    assert shell.look(listed[0])["endTime"]
    assert details(shell).body == {"totalHits": 0}


def test_details_tell_of_participants_sessions_and_segments():
    shell = genesys_shell(waiting={"billing-old": 30})

    first, second = details(shell, 1, 20).body, details(shell, 2, 20).body

    assert (first["totalHits"], len(second["conversations"])) == (30, 10)
    shown = [one["conversationId"] for page in (first, second) for one in page["conversations"]]
    assert set(shown) == set(waiting(shell))
    conversation = first["conversations"][0]
    acd = conversation["participants"][-1]
    assert acd["purpose"] == "acd"
    (segment,) = acd["sessions"][0]["segments"]
    assert segment["queueId"] == OLD
    assert "segmentEnd" not in segment
    assert "conversationEnd" not in conversation


def test_queries_that_are_not_right_are_refused():
    shell = genesys_shell()

    assert shell.ask("POST", ACTIVITY, {}).code == "bad.request"
    assert details(shell, interval="yesterday").code == "invalid.date"
    assert details(shell, interval="2026-12-02T00:00:00Z/2026-12-01T00:00:00Z").status == 400
    assert details(shell, 1, 101).code == "bad.request"
    metric = [{"metric": "oBored"}]
    assert shell.ask("POST", ACTIVITY, {"metrics": metric}).code == "invalid.value"
    colour = [{"type": "and", "predicates": [{"dimension": "colour", "value": "red"}]}]
    assert details(shell, segmentFilters=colour).code == "bad.request"


def test_only_days_that_the_interval_touches_are_told_of():
    shell = genesys_shell(waiting={"billing-old": 5})
    before = details(shell, interval="2026-11-01T00:00:00Z/2026-11-20T00:00:00Z")
    assert before.body["totalHits"] == 0


def test_pages_may_shift_while_they_are_read():
    shell = genesys_shell(waiting={"billing-old": 250}, faults={"pages_shift": 1.0})

    pages = [waiting(shell, page=number) for number in (1, 2, 3)]

    seen = [one for page in pages for one in page]
    assert len(seen) > len(set(seen))
    assert set(pages[0]) & set(pages[1])


def test_a_calls_numbers_are_shown_as_ani_and_dnis_and_other_addresses_as_written():
    shell = genesys_shell(waiting={"billing-old": 40})
    shown = {
        (one["mediaType"], "ani" in one, "dnis" in one, "addressFrom" in one, "addressTo" in one)
        for one in activity(shell)[0]["entities"]
    }
    assert ("voice", True, True, False, False) in shown
    assert {each[1:] for each in shown if each[0] != "voice"} == {(False, False, True, True)}
    sessions = [
        (session["mediaType"] == "voice", "ani" in session, "addressFrom" in session)
        for conversation in details(shell).body["conversations"]
        for participant in conversation["participants"]
        for session in participant["sessions"]
    ]
    assert set(sessions) == {(True, True, False), (False, False, True)}
