"""Reads what the platform says of queues and users (genesys-cloud.md, "Observing destinations").

Pure: the requests are made by `capacity`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from runner.core.frozen import frozen
from runner.core.manifest.queue_selection import is_id
from runner.core.pacing.destinations import LARGEST

WAITING, ON_QUEUE = "oWaiting", "oOnQueueUsers"
QUERY = "/api/v2/analytics/queues/observations/query"

_TOPIC = re.compile(
    r"v2\.(?:analytics\.queues\.(?P<queue>[^.]+)\.observations"
    r"|users\.(?P<user>[^.]+)\.(?P<what>presence|routingStatus))"
)
_QUEUE, _USER = "genesys://queue/", "genesys://user/"


@frozen
class Observation:
    """An event about a queue or a user; `what` is `observations`, `presence` or `routingStatus`."""

    entity_id: str
    what: str
    body: Mapping[str, Any]


@frozen
class Count:
    """One figure of a queue: of a metric, by media type (None: of the queue) and qualifier.

    `count` None: the platform names it and gives no number.
    """

    metric: str
    media_type: str | None
    qualifier: str | None
    count: float | None


def read_observation(topic: str, body: object) -> Observation | None:
    """Return the event of a topic about a queue's figures or a user's state; None: another one."""
    match = _TOPIC.fullmatch(topic)
    if match is None or not isinstance(body, Mapping):
        return None
    if match["queue"] is not None:
        return Observation(match["queue"].lower(), "observations", body)
    return Observation(match["user"].lower(), match["what"], body)


def topics_of(destination: str) -> list[str]:
    """Return the topics about the capacity of a queue or user given by its id."""
    kind, entity_id = split(destination)
    if kind == "queue":
        return [f"v2.analytics.queues.{entity_id}.observations"]
    if kind == "user":
        return [f"v2.users.{entity_id}.presence", f"v2.users.{entity_id}.routingStatus"]
    return []


def split(destination: str) -> tuple[str | None, str]:
    """Return the kind of a destination, "queue" or "user", and its id; None: it has no capacity."""
    for kind, start in (("queue", _QUEUE), ("user", _USER)):
        if destination.startswith(start) and is_id(entity_id := destination.removeprefix(start)):
            return kind, entity_id.lower()
    return None, ""


def query_of(queue_ids: list[str]) -> dict[str, Any]:
    """Return the body of a query for the figures of these queues."""
    predicates = [
        {"type": "dimension", "dimension": "queueId", "operator": "matches", "value": each}
        for each in queue_ids
    ]
    return {
        "filter": {"type": "or", "predicates": predicates},
        "metrics": [WAITING, ON_QUEUE],
    }


def results_of(answer: Mapping[str, Any]) -> dict[str, list[Count]]:
    """Return the figures of a query's answer by queue; a queue that it does not name is absent.

    A medium that is named without a count of who waits has one that is no number.
    """
    found: dict[str, list[Count]] = {}
    media: dict[str, dict[str | None, None]] = {}  # by queue, in order
    for result in _objects(answer.get("results")):
        group = result.get("group")
        queue_id = group.get("queueId") if isinstance(group, Mapping) else None
        if isinstance(queue_id, str):
            media_type = _text(group, "mediaType")
            counts = found.setdefault(queue_id.lower(), [])
            counts += _counts(_objects(result.get("data")), media_type)
            media.setdefault(queue_id.lower(), {})[media_type] = None
    for queue_id, named in media.items():
        counted = {each.media_type for each in found[queue_id] if each.metric == WAITING}
        bare = [each for each in named if each is not None and each not in counted]
        found[queue_id] += [Count(WAITING, each, None, None) for each in bare]
    return found


def counts_of(body: Mapping[str, Any]) -> list[Count]:
    """Return the figures of an event; those over an interval are left out."""
    media_type = _text(body.get("group"), "mediaType")
    return [
        count
        for data in _objects(body.get("data"))
        for count in _counts(_objects(data.get("metrics")), media_type)
    ]


def presence_of(body: object) -> str | None:
    """Return the system presence of a user's presence, as manifests write it."""
    definition = body.get("presenceDefinition") if isinstance(body, Mapping) else None
    return _as_word(_text(definition, "systemPresence"))


def routing_status_of(body: object) -> str | None:
    """Return a user's routing status, as manifests write it."""
    inner = body.get("routingStatus") if isinstance(body, Mapping) else None
    return _as_word(_text(inner, "status") or _text(body, "status"))


def longest_wait_s(answer: Mapping[str, Any]) -> float | None:
    """Return the longest estimated wait of an answer, in seconds; None: there is none."""
    waits = [
        wait_s
        for each in _objects(answer.get("results"))
        if (wait_s := _number(each.get("estimatedWaitTimeSeconds"))) is not None
    ]
    return max(waits, default=None)


def _counts(data: list[Mapping[str, Any]], media_type: str | None) -> Iterator[Count]:
    for each in data:
        metric, stats = each.get("metric"), each.get("stats")
        count = _number(stats.get("count") if isinstance(stats, Mapping) else None)
        if isinstance(metric, str) and metric in {WAITING, ON_QUEUE}:
            yield Count(metric, media_type, _text(each, "qualifier"), count)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < LARGEST else None


def _text(holder: object, name: str) -> str | None:
    found = holder.get(name) if isinstance(holder, Mapping) else None
    return found if isinstance(found, str) and found else None


def _as_word(text: str | None) -> str | None:
    return None if text is None else text.strip().lower().replace(" ", "_")


def _objects(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
