"""The platform's routes: paths, methods, permissions, query parameters and body fields.

The vendor's SDK is tested against this table (tests/judge). Anything else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from runner.core.frozen import frozen
from runner.simulator.genesys_cloud.actions import Request
from runner.simulator.genesys_cloud.errors import Refused

Shape = type | tuple[str, ...] | list[Any] | dict[str, Any]
"""The shape of a value: a type, one of some texts, a list of a shape, an object of shapes."""

_TRANSFER: dict[str, Shape] = {
    "transferType": ("Attended", "Unattended"),
    "keepInternalMessageAlive": bool,
}
_RANGE: dict[str, Shape] = {"gt": float, "gte": float, "lt": float, "lte": float}
_OPERATORS = ("matches", "exists", "notExists")


def _filters(predicate: dict[str, Shape]) -> dict[str, Shape]:
    kinds = ("and", "or")
    clause: dict[str, Shape] = {"type": kinds, "predicates": [predicate]}
    return clause | {"clauses": [clause]}


_ACTIVITY_PREDICATE: dict[str, Shape] = {
    "type": ("dimension", "property", "metric"),
    "dimension": str,
    "operator": _OPERATORS,
    "value": str,
}
_DETAIL_PREDICATE = _ACTIVITY_PREDICATE | {"metric": str, "range": _RANGE}
_METRICS = ("oAlerting", "oInteracting", "oLongestInteracting", "oLongestWaiting", "oWaiting")
_QUEUE_METRICS = (
    *("oActiveUsers", "oAlerting", "oInteracting", "oMemberUsers", "oOffQueueUsers"),
    *("oOnQueueUsers", "oUserPresences", "oUserRoutingStatuses", "oWaiting"),
)
_ACTIVITY_QUERY: dict[str, Shape] = {
    "metrics": [{"metric": _METRICS, "details": bool}],
    "groupBy": [str],
    "filter": _filters(_ACTIVITY_PREDICATE),
    "order": ("asc", "desc", "unordered"),
}
_DETAILS_QUERY: dict[str, Shape] = {
    "conversationFilters": [_filters(_DETAIL_PREDICATE)],
    "segmentFilters": [
        _filters(_DETAIL_PREDICATE | {"propertyType": str, "property": str}),
    ],
    "order": ("asc", "desc", "unordered"),
    "orderBy": ("conversationStart", "conversationEnd", "segmentStart", "segmentEnd"),
    "interval": str,
    "paging": {"pageSize": int, "pageNumber": int},
}
_SEARCH: dict[str, Shape] = {
    "sortOrder": ("ASC", "DESC", "SCORE"),
    "sortBy": str,
    "pageSize": int,
    "pageNumber": int,
    "query": [
        {
            "type": ("EXACT", "STARTS_WITH", "CONTAINS"),
            "fields": [str],
            "value": str,
            "values": [str],
            "operator": ("AND",),
        }
    ],
    "enforcePermissions": bool,
}
_PAGES = frozenset({"pageNumber", "pageSize"})
_TRANSFERS = "conversation:communication:blindTransfer"
VIEW = "conversation:communication:view"
VIEW_USERS = "directory:user:view"
QUEUE_FIGURES = "analytics:queueObservation:view"


@frozen
class Route:
    """An operation; it needs any one of `permissions`, or none if there are none."""

    name: str
    method: str
    path: str
    permissions: tuple[str, ...] = ()
    query: frozenset[str] = frozenset()
    body: Shape | None = None
    changes: bool = False  # it is a command that moves a conversation

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path's parameters; None if the path does not match."""
        wanted, given = self.path.split("/"), path.split("/")
        if len(wanted) != len(given):
            return None
        params = {}
        for expected, part in zip(wanted, given, strict=True):
            if expected.startswith("{") and part:
                params[expected[1:-1]] = part
            elif expected != part:
                return None
        return params


_CONVERSATION = "/api/v2/conversations/{conversationId}"
_PARTICIPANT = _CONVERSATION + "/participants/{participantId}"
_CHANNELS = "/api/v2/notifications/channels"
_SUBSCRIPTIONS = _CHANNELS + "/{channelId}/subscriptions"
_IGNORES = frozenset({"ignoreErrors"})
_TOPICS: list[Any] = [{"id": str, "state": str, "selfUri": str}]

ROUTES = (
    Route("conversation", "GET", _CONVERSATION, (VIEW,)),
    Route(
        "replace_queue",
        "POST",
        _PARTICIPANT + "/replace/queue",
        (_TRANSFERS, _TRANSFERS + "Queue"),
        body=_TRANSFER | {"queueId": str, "queueName": str},
        changes=True,
    ),
    Route(
        "replace_agent",
        "POST",
        _PARTICIPANT + "/replace/agent",
        (_TRANSFERS, _TRANSFERS + "Agent"),
        body=_TRANSFER
        | {"userId": str, "userName": str, "userDisplayName": str, "voicemail": bool},
        changes=True,
    ),
    Route(
        "transfer",
        "POST",
        _PARTICIPANT + "/transfer",
        (_TRANSFERS,),
        body=_TRANSFER | {"address": str},
        changes=True,
    ),
    Route("create_channel", "POST", _CHANNELS),
    Route("channels", "GET", _CHANNELS, query=frozenset({"includechannels"})),
    Route("verify_channel", "HEAD", _CHANNELS + "/{channelId}"),
    Route("subscriptions", "GET", _SUBSCRIPTIONS),
    Route("replace_subscriptions", "PUT", _SUBSCRIPTIONS, query=_IGNORES, body=_TOPICS),
    Route("add_subscriptions", "POST", _SUBSCRIPTIONS, query=_IGNORES, body=_TOPICS),
    Route("drop_subscriptions", "DELETE", _SUBSCRIPTIONS),
    Route(
        "queues",
        "GET",
        "/api/v2/routing/queues",
        ("routing:queue:view",),
        query=_PAGES | {"name", "id", "sortOrder"},
    ),
    Route("queue", "GET", "/api/v2/routing/queues/{queueId}", ("routing:queue:view",)),
    Route(
        "skills",
        "GET",
        "/api/v2/routing/skills",
        ("routing:skill:view",),
        query=_PAGES | {"name", "id"},
    ),
    Route(
        "languages", "GET", "/api/v2/routing/languages", query=_PAGES | {"name", "id", "sortOrder"}
    ),
    Route(
        "users",
        "GET",
        "/api/v2/users",
        (VIEW_USERS,),
        query=_PAGES | {"id", "sortOrder", "state", "expand"},
    ),
    Route("search_users", "POST", "/api/v2/users/search", (VIEW_USERS,), body=_SEARCH),
    Route("user", "GET", "/api/v2/users/{userId}", (VIEW_USERS,)),
    Route(
        "activity",
        "POST",
        "/api/v2/analytics/conversations/activity/query",
        ("analytics:queueObservation:view",),
        query=_PAGES,
        body=_ACTIVITY_QUERY,
    ),
    Route(
        "details",
        "POST",
        "/api/v2/analytics/conversations/details/query",
        ("analytics:conversationDetail:view", "analytics:agentConversationDetail:view"),
        body=_DETAILS_QUERY,
    ),
    Route(
        "queue_figures",
        "POST",
        "/api/v2/analytics/queues/observations/query",
        (QUEUE_FIGURES,),
        body={
            "filter": _filters(_ACTIVITY_PREDICATE),
            "metrics": [_QUEUE_METRICS],
            "detailMetrics": [_QUEUE_METRICS],
        },
    ),
    Route(
        "estimated_wait",
        "GET",
        "/api/v2/routing/queues/{queueId}/estimatedwaittime",
        ("routing:queue:view",),
        query=frozenset({"conversationId"}),
    ),
    Route(
        "subject",
        "GET",
        "/api/v2/authorization/subjects/me",
        query=frozenset({"includeDuplicates", "includeFullRoles"}),
    ),
    Route("token", "GET", "/api/v2/tokens/me", query=frozenset({"preserveIdleTTL"})),
    Route("verify_token", "HEAD", "/api/v2/tokens/me"),
)

PERMISSIONS = frozenset(permission for route in ROUTES for permission in route.permissions)
"""All permissions; each route needs one of its own."""


@frozen
class Call:
    """A checked request; `body` has the route's shape."""

    route: Route
    params: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: Any
    token: str = field(repr=False)
    subject: str
    now: float

    def first(self, name: str) -> str | None:
        """Return the first value of the query parameter `name`, or None."""
        values = self.query.get(name)
        return values[0] if values else None


def find_route(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """Return the route and the path's parameters.

    Raises `Refused`: `not.found` for an unknown path, `method.not.allowed` for a known one.
    """
    allowed = []
    for route in ROUTES:
        params = route.match(path)
        if params is not None and route.method == method:
            return route, params
        if params is not None:
            allowed.append(route.method)
    if allowed:
        raise Refused("method.not.allowed", headers={"Allow": ", ".join(sorted(set(allowed)))})
    raise Refused("not.found")


def read_body(route: Route, request: Request) -> Any:
    """Return the request's body. Raises `Refused` if it has not the route's shape."""
    for name in request.query:
        if name not in route.query:
            raise Refused("bad.request", field=name)
    if route.body is None:
        if request.body.strip() not in {b"", b"null"}:
            raise Refused("bad.request")
        return None
    if request.content_type != "application/json":
        raise Refused("unsupported.media.type")
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise Refused("bad.request") from error
    _check(body, route.body, "body")
    return body


def _check(value: Any, shape: Shape, where: str) -> None:
    match shape:
        case dict():
            _require(isinstance(value, dict), where)
            for name, inner in value.items():
                _require(name in shape, name)
                if inner is not None:
                    _check(inner, shape[name], name)
        case list():
            _require(isinstance(value, list), where)
            for inner in value:
                _check(inner, shape[0], where)
        case tuple():
            if value not in shape:
                allowed = ", ".join(shape)
                raise Refused(
                    "invalid.value", field=where, value=str(value), allowed=allowed, kind=where
                )
        case _:
            wanted = (int, float) if shape is float else shape
            whole = not isinstance(value, bool) or shape is bool
            _require(isinstance(value, wanted) and whole, where)


def _require(condition: bool, field: str) -> None:  # noqa: FBT001 - reads as an assertion
    if not condition:
        raise Refused("bad.request", field=field)
