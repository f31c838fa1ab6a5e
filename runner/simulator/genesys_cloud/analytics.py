"""The analytics queries (genesys-cloud.md, "Selecting from a queue")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from runner.core.frozen import frozen
from runner.simulator.genesys_cloud.conversations import Conversation, Participant
from runner.simulator.genesys_cloud.directory import read_page, whole
from runner.simulator.genesys_cloud.entities import make_id
from runner.simulator.genesys_cloud.errors import Refused
from runner.simulator.genesys_cloud.organisation import Organisation, Outcome
from runner.simulator.genesys_cloud.routes import Call
from runner.simulator.genesys_cloud.views import spell_time

_OK = 200
_LARGEST_PAGE = 100
_TRUNCATED = 40  # the entities of a truncated list
_DAY_S = 86_400
_MEDIA = {"call": "voice", "message": "message", "email": "email", "callback": "callback"}

_OBSERVED = (
    *("conversationId", "sessionId", "mediaType", "direction", "queueId", "userId"),
    *("addressFrom", "addressTo", "ani", "dnis", "requestedLanguageId"),
)
_SEGMENTS = (*_OBSERVED, "purpose", "segmentEnd")
_CONVERSATIONS = ("conversationId", "conversationStart", "conversationEnd", "originatingDirection")
"""The dimensions that are supported, of the platform's many."""

Fields = Mapping[str, str | None]
"""The values that predicates match, by dimension; None: absent."""


@frozen
class _Row:
    """A row of the activity query: an observed participant of a conversation."""

    metric: str
    at: float
    fields: Fields
    asked: Mapping[str, Any]  # skills and priority, which no predicate matches here


def query_activity(organisation: Organisation, call: Call) -> Outcome:
    """Return counts of waiting, alerting and connected conversations, and each one on request."""
    metrics = call.body.get("metrics")
    if not metrics:
        raise Refused("bad.request", field="metrics")
    asked = call.body.get("filter")
    filters = [asked] if asked else []
    _check_dimensions(filters, _OBSERVED)
    wanted = {metric["metric"]: bool(metric.get("details")) for metric in metrics if metric}
    rows = [
        row
        for row in _observe(organisation)
        if row.metric in wanted and _all_pass(row.fields, filters)
    ]
    backwards = call.body.get("order") == "desc"
    rows.sort(key=lambda row: (row.at, row.fields["conversationId"]), reverse=backwards)
    number, size = read_page(call, most=_LARGEST_PAGE)
    is_cut = organisation.chance.strikes("truncated", call.subject)
    start = _shift(organisation, call, number, (number - 1) * size)
    dimensions = call.body.get("groupBy") or []
    for dimension in dimensions:
        if dimension not in _OBSERVED:
            raise Refused("bad.request", field="groupBy")
    results = []
    for group, members in _grouped(rows, dimensions):
        counted = [
            {"metric": metric, "count": sum(row.metric == metric for row in members)}
            for metric in wanted
        ]
        detailed = [row for row in members if wanted[row.metric]]
        truncated = is_cut and len(detailed) > _TRUNCATED
        if truncated:  # the oldest and the newest are listed, as by the platform
            half = _TRUNCATED // 2
            detailed = detailed[:half] + detailed[-half:]
        entities = [_view_row(row) for row in detailed[start : start + size]]
        results.append(
            {"group": group, "data": counted, "truncated": truncated, "entities": entities}
        )
    return Outcome(_OK, {"results": results})


def query_details(organisation: Organisation, call: Call) -> Outcome:
    """Return a page of the conversations whose segments match the filters."""
    first_day, last_day = _read_interval(call)
    segment_filters = call.body.get("segmentFilters") or ()
    conversation_filters = call.body.get("conversationFilters") or ()
    _check_dimensions(segment_filters, _SEGMENTS)
    _check_dimensions(conversation_filters, _CONVERSATIONS)
    found = [
        conversation
        for conversation in organisation.conversations.known()
        if first_day <= conversation.started_at // _DAY_S <= last_day
        and _all_pass(_conversation_fields(conversation), conversation_filters)
        and any(
            _all_pass(_segment_fields(conversation, one), segment_filters)
            for one in conversation.participants
        )
    ]
    backwards = call.body.get("order") == "desc"
    found.sort(key=lambda one: (one.started_at, one.id), reverse=backwards)
    paging = call.body.get("paging") or {}
    number = whole(paging.get("pageNumber"), 1, "pageNumber")
    size = whole(paging.get("pageSize"), 25, "pageSize", most=_LARGEST_PAGE)
    start = _shift(organisation, call, number, (number - 1) * size)
    shown = found[start : start + size]
    body: dict[str, Any] = {"totalHits": len(found)}
    if shown:
        body["conversations"] = [_view_details(one) for one in shown]
    return Outcome(_OK, body)


def _shift(organisation: Organisation, call: Call, number: int, start: int) -> int:
    """Let a page begin earlier, as if conversations had been added before it since the last page."""
    if number == 1 or not organisation.chance.strikes("pages_shift", f"{call.subject} {number}"):
        return start
    return start - 1 - int(organisation.chance.draw("shift", call.subject) * min(3, start))


def _observe(organisation: Organisation) -> Iterable[_Row]:
    """Yield the observed participants; the platform notices late that one has left."""
    for conversation in organisation.conversations.known():
        for one in conversation.holders() or organisation.conversations.last_seen(conversation):
            if one.purpose in {"acd", "agent"}:
                metric = "oAlerting" if one.state == "alerting" else "oInteracting"
                yield _Row(
                    "oWaiting" if one.purpose == "acd" else metric,
                    one.started_at,
                    _segment_fields(conversation, one),
                    _skills(conversation) | {"routingPriority": conversation.priority},
                )


def _skills(conversation: Conversation) -> dict[str, Any]:
    skill_id = conversation.skill_id
    return {} if skill_id is None else {"requestedRoutingSkillIds": [skill_id]}


def _segment_fields(conversation: Conversation, one: Participant) -> dict[str, str | None]:
    return {
        **dict.fromkeys(_OBSERVED),
        **_addresses(conversation),
        "conversationId": conversation.id,
        "sessionId": make_id(one.id, "session"),
        "mediaType": _MEDIA[conversation.media],
        "direction": "inbound",
        "queueId": one.queue_id,
        "userId": one.user_id,
        "requestedLanguageId": conversation.language_id,
        "purpose": one.purpose,
        "segmentEnd": None if one.ended_at is None else spell_time(one.ended_at),
    }


def _addresses(conversation: Conversation) -> dict[str, str]:
    """Return who wrote or called whom; the platform shows a call's numbers in `ani` and `dnis`."""
    is_call = conversation.media == "call"
    names = ("ani", "dnis") if is_call else ("addressFrom", "addressTo")
    return dict(zip(names, (conversation.address_from, conversation.address_to), strict=True))


def _conversation_fields(conversation: Conversation) -> Fields:
    ended_at = conversation.ended_at
    return {
        "conversationId": conversation.id,
        "conversationStart": spell_time(conversation.started_at),
        "conversationEnd": None if ended_at is None else spell_time(ended_at),
        "originatingDirection": "inbound",
    }


def _check_dimensions(filters: Iterable[Mapping[str, Any]], known: Sequence[str]) -> None:
    for asked in filters:
        for predicate in asked.get("predicates") or ():
            if predicate.get("dimension") not in known:
                raise Refused("bad.request", field=predicate.get("dimension") or "dimension")
        _check_dimensions(asked.get("clauses") or (), known)


def _all_pass(fields: Fields, filters: Iterable[Mapping[str, Any]]) -> bool:
    return all(_meets(fields, one) for one in filters)


def _meets(fields: Fields, asked: Mapping[str, Any]) -> bool:
    join: Callable[[Iterable[bool]], bool] = any if asked.get("type") == "or" else all
    predicates = [_holds(fields, one) for one in asked.get("predicates") or ()]
    clauses = [_meets(fields, one) for one in asked.get("clauses") or ()]
    return join([*predicates, *clauses])


def _holds(fields: Fields, predicate: Mapping[str, Any]) -> bool:
    value = fields[predicate["dimension"]]
    match predicate.get("operator") or "matches":
        case "exists":
            return value is not None
        case "notExists":
            return value is None
        case _:
            return value == predicate.get("value")


def _grouped(
    rows: list[_Row], dimensions: Sequence[str]
) -> Iterable[tuple[dict[str, str], list[_Row]]]:
    def key(row: _Row) -> tuple[str, ...]:
        return tuple(row.fields.get(dimension) or "" for dimension in dimensions)

    if not dimensions:
        yield {}, rows
        return
    for values, members in groupby(sorted(rows, key=key), key=key):
        yield dict(zip(dimensions, values, strict=True)), list(members)


def _view_row(row: _Row) -> dict[str, Any]:
    fields = {name: row.fields[name] for name in _OBSERVED if row.fields[name] is not None}
    return {"activityDate": spell_time(row.at), "metric": row.metric, **fields, **row.asked}


def _read_interval(call: Call) -> tuple[float, float]:
    """Return the first and last day of the interval, in days since the epoch."""
    begin, _, end = (call.body.get("interval") or "").partition("/")
    try:
        days = [
            datetime.fromisoformat(text).astimezone(UTC).timestamp() // _DAY_S
            for text in (begin, end)
        ]
    except ValueError as error:
        raise Refused("invalid.date", field="interval") from error
    if days[0] > days[1]:
        raise Refused("bad.request", field="interval")
    return days[0], days[1]


def _view_details(conversation: Conversation) -> dict[str, Any]:
    shown = _conversation_fields(conversation)
    fields = {name: value for name, value in shown.items() if value is not None}
    return fields | {
        "participants": [_view_participant(conversation, one) for one in conversation.participants]
    }


def _view_participant(conversation: Conversation, one: Participant) -> dict[str, Any]:
    fields = _segment_fields(conversation, one)
    segment = {"segmentStart": spell_time(one.started_at), "segmentType": "interact"}
    parts = ("queueId", "segmentEnd", "requestedLanguageId")
    segment |= {name: value for name in parts if (value := fields[name])} | _skills(conversation)
    shown = {"participantId": one.id, "purpose": one.purpose}
    shown |= {"userId": one.user_id} if one.user_id else {}
    named = ("sessionId", "mediaType", "direction", "addressFrom", "addressTo", "ani", "dnis")
    session = {name: fields[name] for name in named if fields[name] is not None}
    return shown | {"sessions": [session | {"segments": [segment]}]}
