"""Notification channels and their topics (genesys-cloud.md, "Socket" and "Order of work")."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.simulator.genesys_cloud.actions import Decisions, Hangup, Send
from runner.simulator.genesys_cloud.entities import is_missing
from runner.simulator.genesys_cloud.errors import Refused
from runner.simulator.genesys_cloud.views import encode, spell_time

MOST_CHANNELS = 20
MOST_TOPICS = 1000
_LIFE_S = 24 * 3600.0
_TOPIC = re.compile(
    r"v2\.(?:(?:routing\.queues|users)\.([0-9a-fA-F-]{36})\.conversations"
    r"|analytics\.queues\.([0-9a-fA-F-]{36})\.observations"
    r"|users\.([0-9a-fA-F-]{36})\.(?:presence|routingStatus))"
)
_GOING_AWAY = 1001
HEARTBEAT = encode(
    {"topicName": "channel.metadata", "eventBody": {"message": "WebSocket Heartbeat"}}
)
PONG = encode({"topicName": "channel.metadata", "eventBody": {"message": "pong"}})


def topic_entity(topic: str) -> str:
    """Return the id of the queue or user in `topic`. Raises `Refused` for an invalid topic."""
    match = _TOPIC.fullmatch(topic)
    entity_id = None if match is None else match[match.lastindex or 0]
    if entity_id is None or is_missing(entity_id):
        raise Refused("notification.invalid.topic", field="id")
    return entity_id


@dataclass(slots=True)
class Channel:
    """One channel; times are seconds since the epoch."""

    id: str
    token: str = field(repr=False)
    expires_at: float
    used_at: float
    topics: dict[str, None] = field(default_factory=dict)  # in order of subscription
    connection: int = 0  # counts the sockets it has had
    connected: bool = False


@dataclass(slots=True)
class Channels:
    """The channels of one application."""

    streaming_url: str = "ws://127.0.0.1"
    _open: dict[str, Channel] = field(default_factory=dict)

    def create(self, channel_id: str, token: str, now: float) -> tuple[Channel, Decisions]:
        """Create a channel; the twenty-first evicts the least recently used one."""
        evicted: Decisions = ()
        if len(self._open) >= MOST_CHANNELS:
            oldest = min(self._open.values(), key=lambda one: (one.connected, one.used_at))
            evicted = self.evict(oldest, "another_channel_subscribed")
        channel = Channel(channel_id, token, now + _LIFE_S, now)
        self._open[channel_id] = channel
        return channel, evicted

    def find(self, channel_id: str, now: float) -> Channel | None:
        """Return the channel of that id; None if it is gone or has expired."""
        channel = self._open.get(channel_id)
        return channel if channel is not None and now < channel.expires_at else None

    def get(self, channel_id: str, now: float) -> Channel:
        """Return the channel of that id and mark it as used. Raises `Refused` (`not.found`)."""
        channel = self.find(channel_id, now)
        if channel is None:
            raise Refused("not.found", entity_id=channel_id)
        channel.used_at = now
        return channel

    def all(self) -> Sequence[Channel]:
        """Return the channels, oldest first."""
        return tuple(self._open.values())

    def subscribe(self, channel: Channel, topics: Iterable[str], now: float) -> None:
        """Replace the channel's topics, for another day. Raises `Refused` for too many."""
        wanted = dict.fromkeys(topics)
        if len(wanted) > MOST_TOPICS:
            raise Refused("notification.subscription.too.many.subscriptions")
        channel.topics = wanted
        channel.expires_at = now + _LIFE_S

    def connect(self, channel_id: str, now: float) -> int | None:
        """Connect a socket and return its number; None if there is no such channel.

        It replaces the earlier socket.
        """
        channel = self.find(channel_id, now)
        if channel is None:
            return None
        channel.connected, channel.used_at = True, now
        channel.connection += 1
        return channel.connection

    def disconnect(self, channel_id: str, connection: int) -> None:
        """Disconnect the channel's socket of that number."""
        channel = self._open.get(channel_id)
        if channel is not None and channel.connection == connection:
            channel.connected = False

    def following(self, topics: Iterable[str]) -> Iterator[tuple[Channel, str]]:
        """Yield each connected channel with each of `topics` that it is subscribed to."""
        ordered = sorted(topics)
        for channel in self._open.values():
            if channel.connected:
                yield from ((channel, topic) for topic in ordered if topic in channel.topics)

    def beat(self, now: float) -> Decisions:
        """Return heartbeats for the connected channels, and the closing of expired ones."""
        decisions: list[tuple[float, Send | Hangup]] = []
        for channel in self.all():
            if now >= channel.expires_at:
                del self._open[channel.id]
                decisions.append((0.0, Hangup(channel.id, _GOING_AWAY, "the channel has expired")))
            elif channel.connected:
                decisions.append((0.0, Send(channel.id, HEARTBEAT)))
        return tuple(decisions)

    def evict(self, channel: Channel, reason: str) -> Decisions:
        """Close a channel that was evicted or whose token was revoked."""
        del self._open[channel.id]
        kind = "token_revoked" if reason == "user_tokens_revoked" else "no_longer_subscribed"
        text = _system(channel.id, kind, {"reason": reason, "systemTopicType": kind})
        return (
            (0.0, Send(channel.id, text)),
            (0.0, Hangup(channel.id, _GOING_AWAY, kind.replace("_", " "))),
        )

    def evict_all(self, token: str, reason: str = "another_channel_subscribed") -> Decisions:
        """Close the channels that were created with `token`."""
        gone = [channel for channel in self.all() if channel.token == token]
        return tuple(decision for channel in gone for decision in self.evict(channel, reason))

    def revoke(self, token: str) -> Decisions:
        """Close the channels of a revoked token."""
        return self.evict_all(token, "user_tokens_revoked")

    def announce_closing(self, token: str, after_s: float) -> Decisions:
        """Announce that the sockets of `token` close after `after_s` seconds."""
        body = {"message": "The socket is closing; please reconnect", "data": {}}
        return tuple(
            decision
            for channel in self.all()
            if channel.token == token and channel.connected
            for decision in (
                (0.0, Send(channel.id, _named("v2.system.socket_closing", body))),
                (
                    after_s,
                    Hangup(channel.id, _GOING_AWAY, "the socket is closing", channel.connection),
                ),
            )
        )

    def view(self, channel: Channel) -> dict[str, Any]:
        """Return the channel as REST shows it."""
        return {
            "id": channel.id,
            "connectUri": f"{self.streaming_url}/channels/{channel.id}",
            "expires": spell_time(channel.expires_at),
        }


def _system(channel_id: str, kind: str, body: dict[str, Any]) -> str:
    return _named(f"v2.system.{kind}.{channel_id}", {"channelId": channel_id} | body)


def _named(topic: str, body: dict[str, Any]) -> str:
    return encode({"topicName": topic, "version": "2", "eventBody": body, "metadata": {}})
