"""Figures of queues and states of users: a query at first, events, and what is lost in gaps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import pytest

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.pacing.destinations import Figures
from runner.gateways.genesys_cloud.capacity import LAG_S, DestinationObserver
from runner.gateways.genesys_cloud.protocol.events import read_frame
from runner.gateways.genesys_cloud.protocol.observations import (
    Count,
    Observation,
    longest_wait_s,
    read_observation,
    results_of,
)
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.ports import Observed
from runner.testing.loop_clock import LoopClock
from tests.fakes.virtual import VirtualLoop

Q, U = str(uuid5(NAMESPACE_URL, "q")), str(uuid5(NAMESPACE_URL, "u"))
QUEUE, USER = f"genesys://queue/{Q}", f"genesys://user/{U}"


def figures(*counts: tuple[str, str | None, str | None, int]) -> dict[str, Any]:
    """Return a query's answer: metric, media type, qualifier, count."""
    return {
        "results": [
            {
                "group": {"queueId": Q} | ({"mediaType": media} if media else {}),
                "data": [
                    {"metric": metric, "stats": {"count": count}}
                    | ({"qualifier": qualifier} if qualifier else {})
                ],
            }
            for metric, media, qualifier, count in counts
        ]
    }


def event(media: str, waiting: int) -> Observation:
    metrics = [{"metric": "oWaiting", "stats": {"count": waiting}}]
    body = {"group": {"queueId": Q, "mediaType": media}, "data": [{"metrics": metrics}]}
    found = read_observation(f"v2.analytics.queues.{Q}.observations", body)
    assert found is not None
    return found


class FakeRest:
    """Answers by the path's last part; an answer may be an error."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[IdempotentRequest] = []
        self.meanwhile: Callable[[], None] = lambda: None

    async def ask(self, request: IdempotentRequest) -> Mapping[str, Any]:
        """Answer."""
        self.asked.append(request)
        self.meanwhile()
        await asyncio.sleep(0)
        answer = self.answers[request.path.partition("?")[0].rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return cast("Mapping[str, Any]", answer)


class Watched:
    """An observer of a queue and a user, what it told, and the session that is open."""

    def __init__(self, rest: FakeRest, *uris: str) -> None:
        self.generation: int | None = 1
        self.observed: list[Observed] = []
        self.observer = DestinationObserver(
            cast("GenesysRest", rest), LoopClock(), lambda: self.generation
        )
        self.observer.observe(uris or (QUEUE,), self.observed.append)

    @property
    def told(self) -> list[tuple[str, Figures | None]]:
        return [(each.uri, each.figures) for each in self.observed]


def virtually(work: Any) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


ANSWER = figures(
    ("oWaiting", "voice", None, 3),
    ("oWaiting", "email", None, 2),
    ("oOnQueueUsers", None, "IDLE", 4),
    ("oOnQueueUsers", None, "INTERACTING", 2),
)


def test_a_query_then_events_by_media_type():
    rest = FakeRest(query=ANSWER)

    async def work() -> None:
        watched = Watched(rest)
        assert watched.observer.topics == [f"v2.analytics.queues.{Q}.observations"]
        watched.observer.heard(event("voice", 9))  # before the query: not told alone
        await watched.observer.begin()
        watched.observer.heard(event("callback", 1))
        keeping = asyncio.create_task(watched.observer.keep())
        await asyncio.sleep(44)
        watched.observer.heard(event("voice", 1))
        await asyncio.sleep(5)
        assert [told for _, told in watched.told] == [
            {"waiting": 11.0, "on_queue": 6.0},
            {"waiting": 12.0, "on_queue": 6.0},
            {"waiting": 12.0, "on_queue": 6.0},
            {"waiting": 6.0, "on_queue": 6.0},  # nothing was heard: the nine are past
        ]
        asked = json.loads(rest.asked[0].content or "")
        assert asked["filter"]["predicates"][0]["value"] == Q
        keeping.cancel()

    virtually(work())


def test_figures_say_that_they_may_be_older_than_when_they_were_asked_for():
    rest = FakeRest(query=ANSWER, users={"entities": []})

    async def work() -> None:
        watched = Watched(rest, QUEUE, USER)
        began = asyncio.get_running_loop().time()
        await watched.observer.begin()
        at = pytest.approx(began - LAG_S, abs=0.01)
        assert [each.at for each in watched.observed] == [at, at]
        await asyncio.sleep(3)
        watched.observer.heard(event("voice", 1))
        assert watched.observed[-1].at == at
        later = await watched.observer.figures_of(USER)
        assert later.at == pytest.approx(began + 3 - LAG_S, abs=0.01)

    virtually(work())


def test_what_a_query_says_late_counts_beside_what_was_heard_meanwhile():
    rest = FakeRest(query=ANSWER)

    async def work() -> None:
        watched = Watched(rest)
        rest.meanwhile = lambda: watched.observer.heard(event("voice", 7))
        await watched.observer.begin()
        assert watched.told[-1][1] == {"waiting": 9.0, "on_queue": 6.0}

    virtually(work())


def test_an_answer_without_a_count_is_no_empty_queue():
    rest = FakeRest(query=ANSWER)

    async def work() -> None:
        watched = Watched(rest)
        await watched.observer.begin()
        keeping = asyncio.create_task(watched.observer.keep())
        rest.answers["query"] = figures(("oWaiting", "voice", None, 3))
        await asyncio.sleep(61)
        assert watched.told[-1][1] == {
            "waiting": "the platform gives no number for email",
            "on_queue": "the platform gives no number",
        }
        keeping.cancel()

    virtually(work())


def test_figures_are_lost_with_the_session_and_asked_for_again_with_the_next():
    rest = FakeRest(query=ANSWER, users={"entities": [
        {"id": U, "presence": {"presenceDefinition": {"systemPresence": "On Queue"}},
         "routingStatus": {"status": "IDLE"}}]})  # fmt: skip

    async def work() -> None:
        watched = Watched(rest, QUEUE, USER)
        await watched.observer.begin()
        keeping = asyncio.create_task(watched.observer.keep())
        watched.observed.clear()
        watched.generation = None
        await asyncio.sleep(1)
        assert watched.told == [(QUEUE, None), (USER, None)]
        watched.generation = 2
        await asyncio.sleep(1)
        assert watched.told[2:] == [
            (QUEUE, {"waiting": 5.0, "on_queue": 6.0}),
            (USER, {"presence": "on_queue", "routing_status": "idle"}),
        ]
        keeping.cancel()

    virtually(work())


def test_figures_are_lost_with_a_channel_that_another_replaces():
    rest = FakeRest(query=ANSWER)

    async def work() -> None:
        watched = Watched(rest)
        await watched.observer.begin()
        keeping = asyncio.create_task(watched.observer.keep())
        watched.observed.clear()
        watched.generation = 2
        await asyncio.sleep(0.6)
        assert watched.told == [(QUEUE, None), (QUEUE, {"waiting": 5.0, "on_queue": 6.0})]
        keeping.cancel()

    virtually(work())


def test_figures_are_asked_for_every_minute_and_sooner_where_they_are_wanted():
    rest = FakeRest(query=ANSWER)

    async def work() -> None:
        watched = Watched(rest)
        await watched.observer.begin()
        keeping = asyncio.create_task(watched.observer.keep())
        await asyncio.sleep(59)
        assert len(rest.asked) == 1
        await asyncio.sleep(2)
        assert len(rest.asked) == 2
        watched.observer.ask_again()
        await asyncio.sleep(6)
        assert len(rest.asked) == 3
        keeping.cancel()

    virtually(work())


def test_figures_that_cannot_be_asked_for_again_grow_old():
    rest = FakeRest(query=ANSWER)

    async def work() -> None:
        watched = Watched(rest)
        began = asyncio.get_running_loop().time()
        await watched.observer.begin()
        keeping = asyncio.create_task(watched.observer.keep())
        rest.answers["query"] = LookUpFailed(
            environment="e", url="u", what="no answer", check="try later"
        )
        await asyncio.sleep(190)
        assert len(rest.asked) == 4
        at = pytest.approx(began - LAG_S, abs=0.01)
        assert [each.at for each in watched.observed] == [at]
        keeping.cancel()

    virtually(work())


def test_a_missing_permission_is_an_error_and_another_divisions_queue_is_not_known():
    async def work() -> None:
        with pytest.raises(GatewayError, match="missing"):
            await Watched(
                FakeRest(
                    query=GatewayError(environment="e", url="u", what="missing", check="add it")
                )
            ).observer.begin()
        watched = Watched(FakeRest(query={"results": []}))
        await watched.observer.begin()
        assert watched.told == [(QUEUE, None)]

    virtually(work())


def test_a_gate_asks_for_the_estimated_wait_too():
    rest = FakeRest(
        query=ANSWER,
        estimatedwaittime={"results": [{"estimatedWaitTimeSeconds": 30}, {}, {"estimatedWaitTimeSeconds": 90}]},
        users={"entities": []},
    )  # fmt: skip

    async def work() -> None:
        observer = Watched(rest).observer
        found = await observer.figures_of(QUEUE)
        assert found.figures == {"waiting": 5.0, "on_queue": 6.0, "estimated_wait": 90.0}
        assert (await observer.figures_of(USER)).figures is None
        assert (await observer.figures_of("tel:+31201234567")).figures is None

    virtually(work())


def test_a_gate_compares_what_was_asked_for_now():
    rest = FakeRest(query=figures(("oWaiting", "voice", None, 9)), estimatedwaittime={})

    async def work() -> None:
        observer = Watched(rest).observer
        await observer.figures_of(QUEUE)
        rest.answers["query"] = figures(("oWaiting", "voice", None, 1))
        await asyncio.sleep(30)
        found = (await observer.figures_of(QUEUE)).figures
        assert found is not None
        assert found["waiting"] == 1

    virtually(work())


def user_event(topic: str, body: dict[str, Any]) -> Observation:
    frame = json.dumps({"topicName": f"v2.users.{U}.{topic}", "eventBody": body})
    found = read_frame(frame)
    assert isinstance(found, Observation)
    return found


def test_nothing_is_known_of_a_user_from_a_gap_to_the_next_answer():
    available = {"presenceDefinition": {"systemPresence": "Available"}}
    rest = FakeRest(users={"entities": [{"id": U, "presence": available}]})

    async def work() -> None:
        watched = Watched(rest, USER)
        watched.observer.heard(user_event("presence", available))
        await watched.observer.begin()
        keeping = asyncio.create_task(watched.observer.keep())
        watched.generation = None
        await asyncio.sleep(1)
        watched.observer.heard(user_event("presence", available))
        watched.generation = 2
        await asyncio.sleep(1)
        known = {"presence": "available", "routing_status": None}
        assert [told for _, told in watched.told] == [known, None, known]
        keeping.cancel()

    virtually(work())


def test_a_users_presence_and_routing_status_come_as_events():
    async def work() -> None:
        watched = Watched(FakeRest(users={"entities": [{"id": U}]}), USER)
        await watched.observer.begin()
        for topic, body in (
            ("presence", {"presenceDefinition": {"systemPresence": "BUSY"}}),
            ("routingStatus", {"routingStatus": {"status": "NOT_RESPONDING"}}),
        ):
            watched.observer.heard(user_event(topic, body))
        assert watched.told[-1] == (USER, {"presence": "busy", "routing_status": "not_responding"})

    virtually(work())


@pytest.mark.parametrize("odd", [None, 7, "many", [], {"results": 7}, {"results": [7, {"group": 7}]},
                                 {"results": [{"group": {"queueId": 7}}]}])  # fmt: skip
def test_odd_answers_are_read_as_nothing(odd: Any):
    assert results_of(odd if isinstance(odd, dict) else {"results": odd}) == {}
    assert longest_wait_s({"results": odd if isinstance(odd, list) else [odd]}) is None


def test_odd_counts_are_no_numbers():
    data = [
        {"metric": "oWaiting", "stats": {"count": count}} for count in (True, -1, 1e300, "3", None)
    ]
    answer = {"results": [{"group": {"queueId": Q}, "data": [*data, {"metric": 7}, {"stats": 7}]}]}
    assert results_of(answer) == {Q: [Count("oWaiting", None, None, None)] * 5}
