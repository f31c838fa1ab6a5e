"""Compares the permissions that a batch needs with those that the client has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.core.diagnostics.diagnosis import Check, Health, Permission, check_permissions
from runner.core.manifest.queue_selection import named_in
from runner.drivers import PlannedUse
from runner.gateways.connection_check import Judge
from runner.gateways.http.client import Answer

SUBJECT_PATH = "/api/v2/authorization/subjects/me?includeFullRoles=true"
"""The path that lists the client's own roles."""

_MOVES = "conversation:communication:blindTransfer"
_DESTINATIONS = {
    "genesys://queue/": f"{_MOVES}Queue",
    "genesys://user/": f"{_MOVES}Agent",
    "tel:": _MOVES,
    "sip:": _MOVES,
}
"""The permission for each kind of destination, as an alternative to `_MOVES`."""

QUEUE_FIGURES = "analytics:queueObservation:view"
_OBSERVING = (
    QUEUE_FIGURES,
    "analytics:conversationDetail:view",
    "analytics:agentConversationDetail:view",
)


def permissions_check(use: PlannedUse) -> Judge:
    """Return the judge that compares the client's roles with the needs of a batch."""
    needed = tuple(_needed(use))

    def judge(answer: Answer, _url: str) -> Check:
        body = answer.json_object()
        if answer.status != 200 or body is None:  # noqa: PLR2004 - OK
            seen = f"the platform does not list them ({answer.status})"
            fix = "compare the client's roles with docs/genesys-cloud.md; the first transfer will show"
            return Check("permissions", Health.WARNING, seen, fix)
        return check_permissions(needed, frozenset(_granted(body)))

    return judge


def _needed(use: PlannedUse) -> Iterator[Permission]:
    """Yield the permissions that a manifest needs (from the platform's documentation)."""
    destinations = use.destinations
    yield Permission("looking interactions up", ("conversation:communication:view",))
    for start, name in _DESTINATIONS.items():
        if any(uri.startswith(start) for uri in destinations):
            yield Permission(f"moving them to {start}…", tuple(dict.fromkeys((_MOVES, name))))
    named = {kind for kind, _ in filter(None, map(named_in, destinations))}
    queues = {each.queue for each in use.selections} - {None}
    users = {each.held_by for each in use.selections} - {None}
    if "queue" in named or any(named_in(f"genesys://queue/{name}") for name in queues):
        yield Permission("finding queues by name", ("routing:queue:view",))
    if "user" in named or any(named_in(f"genesys://user/{name}") for name in users):
        yield Permission("finding users by name", ("directory:user:view",))
    if any(uri.startswith("genesys://queue/") for uri in use.observed):
        yield Permission("observing queues", (QUEUE_FIGURES,))
    if any(uri.startswith("genesys://user/") for uri in use.observed):
        yield Permission("observing users", ("directory:user:view",))
    if use.selections:
        yield Permission("selecting what waits in a queue", _OBSERVING)


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
