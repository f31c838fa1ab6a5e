"""The platform's own mind: tokens, look-ups, commands, channels and queries, without a network."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import formatdate
from functools import partial
from typing import Any

from tests.simulation.platform_delivery_faults import FINE_DAY, PlatformDeliveryFaults
from tests.simulation.platform_ledger import Post, PostBook
from tests.simulation.platform_org import Conversation, Organisation
from tests.simulation.platform_views import shown, spelt
from tests.simulation.simulation import EPOCH_S

ALLOWED = 300
MOST_CHANNELS = 20

LONGEST_S = 60.0
"""What was not acted upon by then never will be."""

_COMMAND = re.compile(r"/api/v2/conversations/([^/]+)/participants/([^/]+)/(.+)")
_CHANNELS = "/api/v2/notifications/channels"


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer before it is on its way."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it arrives."""

    method: str
    path: str
    query: Mapping[str, str]
    token: str
    content: str
    post: Post | None = None


@dataclass(slots=True)
class Channel:
    """One notifications channel; `push` hands a frame to whoever is connected."""

    id: str
    token: str
    topics: dict[str, None] = field(default_factory=dict)
    socket: Any = None


class Refusal(Exception):
    """Why a request is not acted upon."""

    def __init__(
        self, status: int, code: str, wait_s: int | None = None, message: str = ""
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.wait_s = wait_s
        self.message = message


@dataclass(frozen=True, slots=True)
class Analytics:
    """How the platform lists what waits: `most` rows, the rest is truncated."""

    most: int | None = None
    observes: bool = True  # the activity query may be asked


class PlatformMind:
    """Acts upon requests. `arrive` is called when a request has reached the platform."""

    def __init__(
        self,
        organisation: Organisation,
        delivery_faults: PlatformDeliveryFaults,
        analytics: Analytics,
    ) -> None:
        self.organisation = organisation
        self.simulation = organisation.simulation
        self.delivery_faults = delivery_faults
        self.analytics = analytics
        self.book = PostBook()
        self.channels: dict[str, Channel] = {}
        self.stalled_until = 0.0
        self.ambushes: dict[str, list[Callable[[], None]]] = {}
        self.calls: dict[str, tuple[float, Callable[[], None]]] = {}  # how long after a look-up
        self.requests: list[tuple[float, str]] = []  # when each was acted upon, and its token
        self._chance: random.Random = self.simulation.chance("platform")
        self._tokens: dict[str, float] = {}
        self._given = 0
        self._windows: dict[str, tuple[float, int]] = {}
        self._views: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        organisation.changed = self._changed

    def heal(self) -> None:
        """Let the day be fine from here on."""
        self.delivery_faults = FINE_DAY
        self.stalled_until = 0.0

    # Tokens

    def revoke(self) -> None:
        """Make every token worthless, and say so on the channels."""
        self.simulation.note("revoked")
        gone, self._tokens = set(self._tokens), {}
        for channel in [one for one in self.channels.values() if one.token in gone]:
            self.drop(channel, "token_revoked")

    def _new_token(self) -> Answered:
        self._given += 1
        token, life_s = f"token-{self._given:06}", self._chance.choice((300, 3600, 86_400))
        self._tokens[token] = self.simulation.now + life_s
        return Answered(200, {"access_token": token, "token_type": "bearer", "expires_in": life_s})

    # Requests

    def arrive(self, asked: Asked, answer: Callable[[Answered], None]) -> None:
        """Act upon a request in a while."""
        wait_s = max(0.0, self.stalled_until - self.simulation.now) + self._chance.uniform(
            0.005, 0.06
        )
        if self._strikes(self.delivery_faults.slow_acts):
            wait_s += self._chance.choice((1.0, 4.0, 9.5, 20.0))
        self.simulation.after(wait_s, partial(self._act, asked, answer, self.simulation.now))

    def _act(self, asked: Asked, answer: Callable[[Answered], None], came_at: float) -> None:
        if asked.path == "/oauth/token":
            answer(self._new_token())
            return
        try:
            answered = self._answer(asked, self.simulation.now - came_at)
        except Refusal as refusal:
            answered = self._refused(refusal)
        if asked.post is not None:
            asked.post.answer = answered.status
        headers = {
            **self._limits(asked.token),
            "Date": formatdate(self.organisation.wall(), usegmt=True),
        }
        headers["ININ-Correlation-Id"] = self.organisation.new_id()
        answer(Answered(answered.status, answered.body, {**headers, **answered.headers}))

    def _answer(self, asked: Asked, waited_s: float) -> Answered:
        delivery_faults = self.delivery_faults
        if waited_s > LONGEST_S:
            raise Refusal(504, "request.timeout")
        if self._tokens.get(asked.token, -1.0) <= self.simulation.now:
            raise Refusal(401, "bad.credentials")
        self._count(asked.token)
        if self._strikes(delivery_faults.limited):
            raise Refusal(429, "too.many.requests", self._chance.choice((1, 5, 20)))
        if self._strikes(delivery_faults.errors_before):
            raise Refusal(self._chance.choice((500, 503, 503, 502)), "service.unavailable")
        if asked.post is not None and self._strikes(delivery_faults.refusals):
            raise Refusal(400, "conversations.error.transfer.acd.call.unattended")
        answered = self._done(asked)
        if self._strikes(delivery_faults.errors_after):
            status = self._chance.choice((500, 503, 504, 408))
            self.simulation.note("error after the effect", asked.method, asked.path[-12:])
            raise Refusal(status, "request.timeout" if status == 504 else "internal.server.error")
        return answered

    def _refused(self, refusal: Refusal) -> Answered:
        headers = {} if refusal.wait_s is None else {"Retry-After": str(refusal.wait_s)}
        body = {"status": refusal.status, "code": refusal.code, "message": refusal.message}
        return Answered(refusal.status, body, headers)

    def _done(self, asked: Asked) -> Answered:
        path, method = asked.path, asked.method
        if asked.post is not None and (found := _COMMAND.fullmatch(path)) is not None:
            return self._command(asked.post, found[1], found[2])
        if path.startswith("/api/v2/conversations/") and method == "GET":
            return self._look_up(path.rpartition("/")[2])
        if path.startswith(_CHANNELS):
            return self._about_channels(asked)
        if path == "/api/v2/analytics/conversations/activity/query":
            return self._activity(asked)
        if path == "/api/v2/analytics/conversations/details/query":
            return self._details(asked)
        raise Refusal(404, "not.found")

    # Conversations

    def _visible(self, conversation_id: str) -> Conversation:
        one = self.organisation.conversations.get(conversation_id)
        if one is None:
            raise Refusal(404, "not.found")
        if one.is_hidden:
            raise Refusal(403, "not.authorized", message="You are not authorized in this division")
        return one

    def _look_up(self, conversation_id: str) -> Answered:
        one = self._visible(conversation_id)
        for action in self.ambushes.pop(conversation_id, ()):
            self.simulation.after(self._chance.choice((0.01, 0.05, 0.2, 0.6)), action)
        if (call := self.calls.pop(conversation_id, None)) is not None:
            self.simulation.after(*call)
        views = self._views.get(conversation_id)
        if views is None:
            return Answered(200, shown(one, self.organisation.customs))
        lag_s = 0.0
        if self.delivery_faults is not FINE_DAY and self._chance.random() < 0.5:
            lag_s = self._chance.uniform(0, self.organisation.customs.visible_s)
        seen = [body for at, body in views if at <= self.simulation.now - lag_s]
        return Answered(200, seen[-1] if seen else views[0][1])

    def _changed(self, one: Conversation, topics: frozenset[str]) -> None:
        customs = self.organisation.customs
        self._views.setdefault(one.id, []).append((self.simulation.now, shown(one, customs)))
        body = shown(one, customs, as_event=True)
        for channel in self.channels.values():
            for topic in sorted(topics & channel.topics.keys()):
                self._notify(channel, {"topicName": topic, "version": "2", "eventBody": body})

    def remember(self) -> None:
        """Take every conversation as it is for the state in which look-ups begin to show it."""
        for one in self.organisation.conversations.values():
            self._views[one.id] = [(-1e9, shown(one, self.organisation.customs))]

    def _notify(self, channel: Channel, told: Mapping[str, Any]) -> None:
        if self._strikes(self.delivery_faults.events_lost):
            self.simulation.note("event lost")
            return
        copies = 2 if self._strikes(self.delivery_faults.events_doubled) else 1
        for _ in range(copies):
            wait_s = self._chance.uniform(0.005, 0.1)
            if self._strikes(self.delivery_faults.events_late):
                self.simulation.note("event late")
                wait_s += self._chance.choice((0.5, 5.0, 30.0))
            self.simulation.after(wait_s, partial(self._push, channel, json.dumps(told)))

    @staticmethod
    def _push(channel: Channel, text: str) -> None:
        if channel.socket is not None:
            channel.socket.push(text)

    def _command(self, post: Post, conversation_id: str, leg_id: str) -> Answered:
        one = self._visible(conversation_id)
        leg = one.find(leg_id)
        post.acted_at = self.simulation.now
        if leg is None:
            raise Refusal(404, "not.found")
        if one.ended_at is not None or not leg.is_live:
            raise Refusal(400, "conversations.error.transfer.not.connected")
        if leg.purpose == "customer":
            raise Refusal(400, "postino.error.transfer.replace.external")
        if leg.place == post.destination_uri:
            raise Refusal(400, "conversations.error.transfer.same.party")
        if one.media == "callback" and not post.destination_uri.startswith("genesys://"):
            raise Refusal(400, "bad.request")
        if one.is_consulted(leg):
            post.wrongly = "a consulted leg"
        elif leg.state == "alerting":
            post.wrongly = "a leg that is being rung"
        self._judge_selected(one, leg.place, leg.purpose, post)
        post.move = self.organisation.take(one, leg, post.destination_uri, post=post.number)
        return Answered(202)

    selected: Mapping[str, str] = {}
    """The places where selected conversations were found to wait, by conversation."""

    def _judge_selected(
        self, one: Conversation, place: str | None, purpose: str, post: Post
    ) -> None:
        source = self.selected.get(one.id)
        if source is not None and (purpose != "acd" or place != source):
            post.wrongly = (
                f"it was selected waiting in {source[-12:]}, and is with {purpose} {place}"
            )

    # Channels

    def _about_channels(self, asked: Asked) -> Answered:
        parts = asked.path.removeprefix(_CHANNELS).strip("/").split("/")
        if parts == [""]:
            if asked.method == "POST":
                return self._made(asked.token)
            told = [self._told(one) for one in self.channels.values()]
            return Answered(200, {"entities": told})
        channel = self.channels.get(parts[0])
        if channel is None:
            raise Refusal(404, "not.found")
        if parts[1:] != ["subscriptions"]:
            return Answered(200)
        if asked.method == "GET":
            return Answered(200, {"entities": [{"id": topic} for topic in channel.topics]})
        if asked.method in {"PUT", "DELETE"}:
            channel.topics.clear()
        if asked.method != "DELETE":
            channel.topics.update(dict.fromkeys(each["id"] for each in json.loads(asked.content)))
        return Answered(200, {"entities": [{"id": topic} for topic in channel.topics]})

    def _made(self, token: str) -> Answered:
        if len(self.channels) >= MOST_CHANNELS:
            self.drop(next(iter(self.channels.values())), "no_longer_subscribed")
        channel = Channel(self.organisation.new_id(), token)
        self.channels[channel.id] = channel
        return Answered(200, self._told(channel))

    def _told(self, channel: Channel) -> dict[str, str]:
        return {
            "id": channel.id,
            "connectUri": f"wss://streaming.example/channels/{channel.id}",
            "expires": spelt(self.simulation.now + 86_400),
        }

    def drop(self, channel: Channel, kind: str) -> None:
        """Drop a channel: it is told, then closed."""
        self.channels.pop(channel.id, None)
        if channel.socket is not None:
            channel.socket.push(json.dumps({"topicName": f"v2.system.{kind}", "eventBody": {}}))
            channel.socket.end(1001, kind)

    # What waits

    def _activity(self, asked: Asked) -> Answered:
        if not self.analytics.observes:
            raise Refusal(403, "missing.permissions", message="analytics:queueObservation:view")
        wanted = _wanted(json.loads(asked.content)["filter"])
        rows = [
            {
                "metric": "oWaiting",
                "conversationId": one.id,
                "queueId": queue_id,
                "mediaType": "voice" if one.media == "call" else one.media,
                "activityDate": spelt(since),
            }
            for one, queue_id, since in self._waiting(wanted)
        ]
        most = self.analytics.most
        cut = rows if most is None else rows[:most]
        size, number = int(asked.query["pageSize"]), int(asked.query["pageNumber"])
        page = cut[(number - 1) * size : number * size]
        result = {"entities": page, "truncated": len(cut) < len(rows)}
        return Answered(200, {"results": [result]})

    def _details(self, asked: Asked) -> Answered:
        body = json.loads(asked.content)
        wanted: dict[str, set[str]] = {}
        for each in body.get("segmentFilters", ()):
            wanted |= _wanted(each)
        since, until = (_moment(text) for text in body["interval"].split("/"))
        found = [
            self._detail(one, queue_id, at)
            for one, queue_id, at in self._waiting(wanted)
            if one.began_at <= until and self.simulation.now >= since
        ]
        size, number = body["paging"]["pageSize"], body["paging"]["pageNumber"]
        page = found[(number - 1) * size : number * size]
        return Answered(200, {"conversations": page, "totalHits": len(found)})

    def _detail(self, one: Conversation, queue_id: str, at: float) -> dict[str, Any]:
        segment = {"queueId": queue_id, "segmentStart": spelt(at), "segmentType": "interact"}
        media = "voice" if one.media == "call" else one.media
        session = {"mediaType": media, "segments": [segment]}
        return {
            "conversationId": one.id,
            "conversationStart": spelt(one.began_at),
            "participants": [{"purpose": "acd", "sessions": [session]}],
        }

    def _waiting(self, wanted: Mapping[str, set[str]]) -> list[tuple[Conversation, str, float]]:
        found = []
        for one in self.organisation.conversations.values():
            media = "voice" if one.media == "call" else one.media
            if "mediaType" in wanted and media not in wanted["mediaType"]:
                continue
            found += [
                (one, leg.queue_id, leg.began_at)
                for leg in one.live("acd")
                if leg.queue_id in wanted["queueId"] and one.ended_at is None
            ]
        return found

    # Chance and limits

    def _strikes(self, share: float) -> bool:
        return share > 0 and self.delivery_faults is not FINE_DAY and self._chance.random() < share

    def _count(self, token: str) -> None:
        began, count = self._windows.get(token, (self.simulation.now, 0))
        if self.simulation.now - began >= 60:
            began, count = self.simulation.now, 0
        if count >= ALLOWED:
            raise Refusal(429, "too.many.requests", max(1, int(began + 61 - self.simulation.now)))
        self._windows[token] = (began, count + 1)
        self.requests.append((self.simulation.now, token))

    def _limits(self, token: str) -> dict[str, str]:
        began, count = self._windows.get(token, (self.simulation.now, 0))
        left_s = max(0, int(began + 60 - self.simulation.now))
        return {
            "inin-ratelimit-count": str(count),
            "inin-ratelimit-allowed": str(ALLOWED),
            "inin-ratelimit-reset": str(left_s),
        }


def _wanted(told: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return what a filter's predicates ask for; clauses that are joined by `or` add up."""
    wanted: dict[str, set[str]] = {}
    for each in (*told.get("predicates", ()), *_of_clauses(told)):
        if each.get("operator", "matches") == "matches" and "value" in each:
            wanted.setdefault(each["dimension"], set()).add(each["value"])
    return wanted


def _of_clauses(told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [each for clause in told.get("clauses", ()) for each in clause.get("predicates", ())]


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() - EPOCH_S
