"""The figures of queues by REST: a query, and the estimated wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runner.simulator.genesys_cloud.actions import Decisions
from runner.simulator.genesys_cloud.entities import is_foreign, require
from runner.simulator.genesys_cloud.errors import Refused
from runner.simulator.genesys_cloud.organisation import Organisation, Outcome
from runner.simulator.genesys_cloud.queues import MEDIA
from runner.simulator.genesys_cloud.routes import Call

_OK = 200


def query_queues(organisation: Organisation, call: Call) -> Outcome:
    """Return the figures of the queues that the filter names; queues of other divisions are left out."""
    metrics = call.body.get("metrics") or []
    ids = list(dict.fromkeys(_queue_ids(call.body.get("filter") or {})))
    if not ids or not metrics:
        raise Refused("bad.request", field="filter" if metrics else "metrics")
    results: list[dict[str, Any]] = []
    decisions: Decisions = ()
    for queue_id in (require(each) for each in ids if not is_foreign(each)):
        queue = organisation.queues.find(queue_id, call.now)
        group = {"queueId": queue_id}
        if "oOnQueueUsers" in metrics:
            idle = queue.agents - queue.busy
            data = [_figure("oOnQueueUsers", queue.busy, "INTERACTING")]
            data.append(_figure("oOnQueueUsers", idle, "IDLE"))
            results.append({"group": group, "data": data})
        if "oWaiting" in metrics:
            counts = queue.waiting_by_kind()
            results += [
                {"group": group | {"mediaType": name}, "data": [_figure("oWaiting", counts[kind])]}
                for kind, name in MEDIA.items()
            ]
        decisions = (*decisions, *organisation.queues.follow(queue_id, call.now))
    return Outcome(_OK, {"results": results}, decisions)


def get_estimated_wait(organisation: Organisation, call: Call) -> Outcome:
    """Return how long the next interaction would wait; nothing where no agent is on queue."""
    queue_id = require(call.params["queueId"])
    queue = organisation.queues.find(queue_id, call.now)
    results = []
    if queue.agents:
        rounds = max(0, queue.waiting + 1 - (queue.agents - queue.busy)) / queue.agents
        wait_s = round(rounds * organisation.options.handle_time_s)
        results.append({"intent": "ALL", "formula": "SIMPLE", "estimatedWaitTimeSeconds": wait_s})
    return Outcome(_OK, {"results": results})


def _queue_ids(asked: dict[str, Any]) -> Iterator[str]:
    for predicate in asked.get("predicates") or ():
        if predicate.get("dimension") != "queueId" or not predicate.get("value"):
            raise Refused("bad.request", field="predicates")
        yield predicate["value"]
    for clause in asked.get("clauses") or ():
        yield from _queue_ids(clause)


def _figure(metric: str, count: int, qualifier: str | None = None) -> dict[str, Any]:
    named = {} if qualifier is None else {"qualifier": qualifier}
    return {"metric": metric, **named, "stats": {"count": count}}
