"""Names and queues, asked of the embedded gateway that shows the platform's face.

What that one does not show is asked of literal answers.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from runner.app.system_clock import SystemClock
from runner.core.errors import GatewayError
from runner.core.manifest.model import (
    Environment,
    GatewayConstraints,
    Limits,
    RetryPolicy,
    SimulatorOptions,
)
from runner.core.manifest.queue_selection import Waiting
from runner.gateways.genesys_cloud.directory import GenesysDirectory
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.genesys_cloud.spec import SPEC as GENESYS_CLOUD
from runner.simulator.genesys_cloud.routes import PERMISSIONS
from runner.simulator.genesys_cloud.server import GenesysServer
from runner.simulator.loopback_server import ServerOptions
from tests.fakes.vendor_server import VendorServer, conversation, participant
from tests.fakes.wire_server import answer
from tests.gateways.harness import environment_of

EDGE = GatewayConstraints("edge", 2048, ("opus",), 30)
ACTIVITY = "POST /api/v2/analytics/conversations/activity/query"
RECORDS = "POST /api/v2/analytics/conversations/details/query"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@asynccontextmanager
async def directory(
    *, server_options: ServerOptions | None = None, **options: Any
) -> AsyncIterator[GenesysDirectory]:
    plain = SimulatorOptions(latency_s=0.0, platform="genesys-cloud", http_rate_per_s=10_000)
    server = GenesysServer(EDGE, replace(plain, **options), server_options=server_options)
    await server.start()
    environment = Environment(
        "test",
        GENESYS_CLOUD,
        "edge",
        Limits(http_rate_per_s=10_000),
        endpoints=server.endpoints,
        client_id=server.client_id,
        client_secret=server.client_secret,
    )
    try:
        async with directory_in(environment) as found:
            yield found
    finally:
        await server.stop()


@asynccontextmanager
async def directory_of(server: VendorServer) -> AsyncIterator[GenesysDirectory]:
    async with directory_in(environment_of(server, limits=Limits(http_rate_per_s=10_000))) as found:
        yield found


@asynccontextmanager
async def directory_in(environment: Environment) -> AsyncIterator[GenesysDirectory]:
    rest = GenesysRest(
        environment,
        RetryPolicy(2, 0.01, 0.02),
        SystemClock(),
        lambda: 0.5,
        lambda _wait_s, _why: None,
    )
    try:
        yield GenesysDirectory(rest)
    finally:
        await rest.close()


async def test_names_are_found_whatever_their_case_and_nothing_that_only_begins_so():
    async with directory(queues=("Billing EU", "Billing EU 2"), users=("Ada Lovelace",)) as asked:
        found = await asked.ids_of("queue", "billing eu")
        assert len(found) == 1
        assert ID.fullmatch(found[0])
        assert await asked.ids_of("queue", "Billing") == ()
        assert len(await asked.ids_of("user", "Ada Lovelace")) == 1
        assert await asked.ids_of("user", "Ada") == ()


@pytest.mark.parametrize(
    "name",
    ["営業\u3000東京", "Équipe\u00a0Nord", "x" * 600],
    ids=["ideographic space", "no-break space", "long"],
)
async def test_a_name_is_compared_as_the_platform_writes_it(name: str):
    """A space that is not that of ASCII is escaped only where it is shown."""
    entity = {"id": "q-1", "name": name}
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing["GET /api/v2/routing/queues?"] = answer(200, {"entities": [entity]})
        server.standing["POST /api/v2/users/search"] = answer(200, {"results": [entity]})
        assert await asked.ids_of("queue", name) == ("q-1",)
        assert await asked.ids_of("user", name) == ("q-1",)


async def test_an_address_is_compared_as_the_platform_writes_it():
    address = "sip:büro\u3000nord@example.net"
    row = {"conversationId": "c-1", "metric": "oWaiting", "addressFrom": address}
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing[ACTIVITY] = answer(200, {"results": [{"entities": [row]}]})
        assert (await asked.waiting("q-1")).rows[0].address_from == (address,)


async def test_every_address_is_seen_wherever_the_platform_shows_it():
    row = {"conversationId": "c-1", "metric": "oWaiting"}
    numbers = {"ani": "tel:+31201234567", "dnis": "tel:+31207654321"}
    caller, called = (("tel:+31201234567",), ("tel:+31207654321",))
    written = {"addressFrom": "a@example.net", "addressTo": "b@example.net"}
    async with VendorServer() as server, directory_of(server) as asked:
        for fields, expected in (
            ({}, ((), ())),
            (numbers | {"addressFrom": "", "addressTo": None}, (caller, called)),
            (numbers | {"addressFrom": numbers["ani"]}, (caller, called)),
            (numbers | written, (("a@example.net", *caller), ("b@example.net", *called))),
        ):
            server.standing[ACTIVITY] = answer(200, {"results": [{"entities": [row | fields]}]})
            (found,) = (await asked.waiting("q-1")).rows
            assert (found.address_from, found.address_to) == expected


async def test_a_number_of_the_records_is_seen_in_ani_and_dnis():
    page = recorded("c-1")
    page["conversations"][0]["participants"][0]["sessions"][0] |= {"ani": "tel:1", "dnis": "tel:2"}
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing[ACTIVITY] = answer(403, {"code": "missing.permissions"})
        server.standing[RECORDS] = answer(200, page)
        (found,) = (await asked.waiting("q-1")).rows
        assert (found.address_from, found.address_to) == (("tel:1",), ("tel:2",))


async def test_a_name_of_several_has_all_their_ids():
    async with directory(queues=("Twice", "Twice")) as asked:
        assert len(set(await asked.ids_of("queue", "Twice"))) == 2


async def listed(asked: GenesysDirectory, name: str) -> list[Waiting]:
    (queue_id,) = await asked.ids_of("queue", name)
    return list((await asked.waiting(queue_id)).rows)


async def test_everybody_who_waits_is_found_over_many_pages_with_age_and_media_type():
    async with directory(waiting={"Billing Old": 250, "Other": 3}) as asked:
        found = await listed(asked, "Billing Old")
    assert len({one.interaction_id for one in found}) == 250
    assert {one.media_type for one in found} == {"call", "callback", "email", "message"}
    assert all(one.since_s is not None and one.since_s <= time.time() for one in found)


async def test_nobody_is_missed_where_pages_shift_while_they_are_read():
    async with directory(waiting={"Billing Old": 450}, faults={"pages_shift": 1.0}) as asked:
        found = await listed(asked, "Billing Old")
    assert len({one.interaction_id for one in found}) == 450


async def test_without_the_right_to_observe_queues_the_records_tell():
    rights = PERMISSIONS - {"analytics:queueObservation:view"}
    by_records, by_sight = ServerOptions(permissions=rights), ServerOptions()
    seen = []
    for server_options in (by_records, by_sight):
        async with directory(waiting={"Billing Old": 120}, server_options=server_options) as asked:
            found = await listed(asked, "Billing Old")
            seen.append(sorted((one.interaction_id, one.media_type) for one in found))
    assert len(seen[0]) == 120
    assert seen[0] == seen[1]


def recorded(conversation_id: str, queue_id: str = "q-1") -> Any:
    """Return a page of the records with one e-mail that waits in a queue."""
    segment = {"queueId": queue_id, "segmentType": "interact"}
    session = {"mediaType": "email", "segments": [segment]}
    waiting = {"purpose": "acd", "sessions": [session]}
    return {"conversations": [{"conversationId": conversation_id, "participants": [waiting]}]}


@pytest.mark.parametrize(
    ("months", "read"),
    [({0}, 6), ({0, 4}, 6), ({5, 6, 7}, 9), (set(range(30)), 18)],
    ids=["most", "long ago", "as long as some are found", "as far back as the platform searches"],
)
async def test_the_records_are_read_back_month_by_month(months: set[int], read: int):
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing[ACTIVITY] = answer(403, {"code": "missing.permissions"})
        empty = answer(200, {"totalHits": 0})
        pages = (answer(200, recorded(f"c-{n}")) if n in months else empty for n in range(30))
        server.script(RECORDS, *pages)
        found = await asked.waiting("q-1")
        requests = server.asked(RECORDS.removeprefix("POST "))
    intervals = [json.loads(each.body)["interval"].split("/") for each in requests]
    spans = [(datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in intervals]
    assert {one.interaction_id for one in found.rows} == {f"c-{n}" for n in months if n < read}
    assert len(spans) == read
    assert all(end - begin == timedelta(days=31) for begin, end in spans)
    assert all(later[0] == earlier[1] for later, earlier in pairwise(spans))
    assert found.since_s is not None
    assert int(found.since_s) == spans[-1][0].timestamp()


async def test_what_is_seen_now_goes_back_without_end():
    async with directory(waiting={"Q": 1}) as asked:
        (queue_id,) = await asked.ids_of("queue", "Q")
        assert (await asked.waiting(queue_id)).since_s is None


async def test_without_any_right_the_error_names_what_is_missing():
    async with directory(
        waiting={"Q": 1}, server_options=ServerOptions(permissions=frozenset())
    ) as asked:
        with pytest.raises(GatewayError, match="routing:queue:view"):
            await asked.ids_of("queue", "Q")


async def test_a_list_that_is_cut_off_is_asked_for_in_parts_until_nobody_is_missing():
    async with directory(waiting={"Billing Old": 260}, faults={"truncated": 1.0}) as asked:
        found = await listed(asked, "Billing Old")
    assert len({one.interaction_id for one in found}) == 260


async def test_where_no_part_is_whole_and_the_records_are_forbidden_the_numbers_are_told():
    rights = PERMISSIONS - {
        "analytics:conversationDetail:view",
        "analytics:agentConversationDetail:view",
    }
    cut = {"truncated": 1.0}
    server_options = ServerOptions(permissions=rights)
    async with directory(waiting={"Q": 260}, faults=cut, server_options=server_options) as asked:
        with pytest.raises(GatewayError, match=r"shows 160 of 260 conversations in queue"):
            await listed(asked, "Q")


async def test_deleted_and_inactive_users_make_no_name_ambiguous():
    async with directory(users=("Ada",), former_users=("Ada", "Ada", "Bob")) as asked:
        assert len(await asked.ids_of("user", "Ada")) == 1
        assert await asked.ids_of("user", "Bob") == ()


async def test_what_agents_serve_is_found_with_the_participant_who_serves_it():
    async with directory(served={"Q": 3}, waiting={"Q": 2}) as asked:
        (queue_id,) = await asked.ids_of("queue", "Q")
        assert len((await asked.waiting(queue_id)).rows) == 2
        served = (await asked.connected(queue_id)).rows
        assert len(served) == 3
        for one in served:
            assert one.user_id is not None
            assert await asked.served_by(one.interaction_id, one.user_id)
        someone_else = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
        assert await asked.served_by(served[0].interaction_id, someone_else) is None


@pytest.mark.parametrize("order", [("u-1", "u-2"), ("u-2", "u-1")])
async def test_each_of_two_agents_in_a_conversation_is_found(order: tuple[str, str]):
    rows = [
        {"conversationId": "c-1", "metric": "oInteracting", "queueId": "q-1", "userId": user}
        for user in order
    ]
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing[ACTIVITY] = answer(200, {"results": [{"entities": rows}]})
        assert {one.user_id for one in (await asked.connected("q-1")).rows} == {"u-1", "u-2"}
        assert [one.user_id for one in (await asked.held_by("u-1")).rows] == ["u-1"]


@pytest.mark.parametrize("spell", [str.lower, str.upper])
async def test_ids_are_asked_for_in_lower_case_and_found_however_they_are_shown(
    spell: Callable[[str], str],
):
    shouted = [f"{letter * 8}-4F89-41D3-9A0C-0305E82C3301" for letter in "ABC"]
    conversation_id, queue_id, user_id = shouted
    agent = participant("agent", "p-1", userId=spell(user_id))
    row = {"conversationId": spell(conversation_id), "metric": "oInteracting"}
    entities = [{**row, "queueId": spell(queue_id), "userId": spell(user_id)}]
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing[ACTIVITY] = answer(200, {"results": [{"entities": entities}]})
        held = conversation(spell(conversation_id), agent)
        server.conversations[conversation_id.lower()] = held
        for found in (await asked.connected(queue_id), await asked.held_by(user_id)):
            [one] = found.rows
            assert (one.interaction_id, one.user_id) == (conversation_id.lower(), user_id.lower())
        assert await asked.served_by(conversation_id, user_id) == "p-1"
        server.standing[ACTIVITY] = answer(403, {"code": "missing.permissions"})
        server.standing[RECORDS] = answer(200, recorded(spell(conversation_id), spell(queue_id)))
        [one] = (await asked.waiting(queue_id)).rows
        assert one.interaction_id == conversation_id.lower()
        bodies = [each.body.decode() for each in server.asked("/api/v2/analytics/")]
    assert not [each for each in bodies if queue_id in each or user_id in each]


async def test_what_waits_is_listed_once_though_two_users_are_rung_for_it():
    rows = [
        {"conversationId": "c-1", "metric": "oWaiting", "queueId": "q-1", "userId": user}
        for user in ("u-1", "u-2")
    ]
    async with VendorServer() as server, directory_of(server) as asked:
        server.standing[ACTIVITY] = answer(200, {"results": [{"entities": rows}]})
        assert [one.user_id for one in (await asked.waiting("q-1")).rows] == [None]


async def test_what_is_not_shown_is_served_by_an_empty_name():
    async with directory(waiting={"Q": 1}, faults={"hidden": 1.0}) as asked:
        (one,) = await listed(asked, "Q")
        assert await asked.served_by(one.interaction_id, one.interaction_id) == ""


async def test_what_waits_is_listed_with_what_it_asks_for_by_sight_and_by_the_records():
    rights = PERMISSIONS - {"analytics:queueObservation:view"}
    asks = {"skills": ("Invoices",), "languages": ("German",), "waiting": {"Q": 40}}
    seen = []
    for server_options in (ServerOptions(), ServerOptions(permissions=rights)):
        async with directory(server_options=server_options, **asks) as asked:
            (skill,) = await asked.ids_of("skill", "invoices")
            (language,) = await asked.ids_of("language", "German")
            assert await asked.ids_of("skill", "Invoice") == ()
            found = sorted(await listed(asked, "Q"), key=lambda one: one.interaction_id)
        assert {one.skill_ids for one in found} == {(), (skill,)}
        assert {one.language_id for one in found} == {None, language}
        assert {one.direction for one in found} == {"inbound"}
        assert all(one.address_from and one.address_to for one in found)
        seen.append([replace(one, since_s=None) for one in found])
    assert {one.priority for one in seen[0]} >= {0, 5}
    assert {one.priority for one in seen[1]} == {None}  # the records do not have it
    assert [replace(one, priority=None) for one in seen[0]] == seen[1]


async def test_what_an_agent_holds_is_found_over_all_queues():
    rights = PERMISSIONS - {"analytics:queueObservation:view"}
    for server_options in (ServerOptions(), ServerOptions(permissions=rights)):
        async with directory(
            served={"Q": 3, "R": 2}, users=("an agent", "Bob"), server_options=server_options
        ) as asked:
            (user_id,) = await asked.ids_of("user", "an agent")
            (other,) = await asked.ids_of("user", "Bob")
            assert len((await asked.held_by(user_id)).rows) == 5
            assert (await asked.held_by(other)).rows == []
