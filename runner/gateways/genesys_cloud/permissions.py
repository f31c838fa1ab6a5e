"""Compares the permissions that a batch needs with those that the client has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from runner.core.diagnostics.diagnosis import Check, Health, Permission, check_permissions
from runner.core.manifest.queue_selection import is_id, named_in
from runner.drivers import PlannedUse
from runner.gateways.connection_check import Judge
from runner.gateways.http.client import Answer

SUBJECT_PATH = "/api/v2/authorization/subjects/me?includeFullRoles=true"
"""The path that lists the client's own roles."""

_MOVES = "conversation:communication:blindTransfer"
_QUEUES = "routing:queue:view"
_USERS = "directory:user:view"
_QUEUE_FIGURES = "analytics:queueObservation:view"
RECORDS = ("analytics:conversationDetail:view", "analytics:agentConversationDetail:view")
"""Any one of these opens the records, which complete a truncated list."""


class Need(NamedTuple):
    """Something that a batch may do, and the permissions of which any one allows it."""

    action: str
    permissions: tuple[str, ...]
    is_in: Callable[[PlannedUse], bool]


def _goes_to(*starts: str) -> Callable[[PlannedUse], bool]:
    return lambda use: any(uri.startswith(starts) for uri in use.destinations)


def _observes(start: str) -> Callable[[PlannedUse], bool]:
    return lambda use: any(uri.startswith(start) for uri in use.observed)


def _names(kind: str, field: str) -> Callable[[PlannedUse], bool]:
    """Return whether a queue or user is given by name, also in a selection's `field`."""

    def is_in(use: PlannedUse) -> bool:
        uris = (*use.destinations, *use.named)
        named = any(found[0] == kind for found in map(named_in, uris) if found)
        return named or _selects_by_name(use, field)

    return is_in


def _selects_by_name(use: PlannedUse, field: str) -> bool:
    names = (getattr(each, field) for each in use.selections)
    return any(name is not None and not is_id(name) for name in names)


NEEDS = (
    Need("looking interactions up", ("conversation:communication:view",), lambda _use: True),
    Need(
        "moving them to genesys://queue/…", (_MOVES, f"{_MOVES}Queue"), _goes_to("genesys://queue/")
    ),
    Need(
        "moving them to genesys://user/…", (_MOVES, f"{_MOVES}Agent"), _goes_to("genesys://user/")
    ),
    Need("moving them to tel: or sip:", (_MOVES,), _goes_to("tel:", "sip:", "sips:")),
    Need("finding queues by name", (_QUEUES,), _names("queue", "queue")),
    Need("finding users by name", (_USERS,), _names("user", "held_by")),
    Need(
        "finding skills by name",
        ("routing:skill:view",),
        lambda use: _selects_by_name(use, "skill"),
    ),
    Need(
        "selecting what waits in a queue",
        (_QUEUE_FIGURES, *RECORDS),
        lambda use: bool(use.selections),
    ),
    Need(
        "selecting by priority",
        (_QUEUE_FIGURES,),
        lambda use: any(each.priority is not None for each in use.selections),
    ),
    Need("observing queues (while)", (_QUEUE_FIGURES,), _observes("genesys://queue/")),
    Need("observing users (while)", (_USERS,), _observes("genesys://user/")),
    Need("figures for gates", (_QUEUE_FIGURES,), lambda use: bool(use.asked_by_gates)),
    Need("estimated waits for gates", (_QUEUES,), lambda use: bool(use.asked_by_gates)),
)
"""All that needs a permission (from the platform's documentation); languages need none."""


def permissions_check(use: PlannedUse) -> Judge:
    """Return the judge that compares the client's roles with the needs of a batch."""
    needed = [Permission(each.action, each.permissions) for each in NEEDS if each.is_in(use)]

    def judge(answer: Answer, _url: str) -> Check:
        body = answer.json_object()
        if answer.status != 200 or body is None:  # noqa: PLR2004 - OK
            seen = f"the platform does not list them ({answer.status})"
            fix = "compare the client's roles with docs/genesys-cloud.md; the first transfer will show"
            return Check("permissions", Health.WARNING, seen, fix)
        return check_permissions(needed, frozenset(_granted(body)))

    return judge


def _granted(subject: Mapping[str, Any]) -> Iterator[str]:
    """Yield the permissions of every granted role."""
    for grant in _objects(subject, "grants"):
        role = grant.get("role")
        for policy in _objects(role, "policies") if isinstance(role, dict) else ():
            domain, entity = policy.get("domain"), policy.get("entityName")
            actions = policy.get("actions")
            for action in actions if isinstance(actions, list) else ():
                yield f"{domain}:{entity}:{action}"


def _objects(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = body.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
