"""The look-ups: conversations, queues, users, and the token's rights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from runner.simulator.genesys_cloud.entities import Entity, EntityList, make_id
from runner.simulator.genesys_cloud.errors import Refused
from runner.simulator.genesys_cloud.organisation import Organisation, Outcome
from runner.simulator.genesys_cloud.routes import Call
from runner.simulator.genesys_cloud.simulated_people import (
    LONG_TEXT,
    act_before_look_up,
    check_division,
)
from runner.simulator.genesys_cloud.views import HOME_DIVISION, spell_time

_OK = 200
_PAGE_SIZE = 25
_LARGEST_PAGE = 500
_ORGANISATION = {"id": make_id("organisation"), "name": "Simulated"}


def read_page(call: Call, *, most: int = _LARGEST_PAGE) -> tuple[int, int]:
    """Return page number (from 1) and page size. Raises `Refused` if they are not valid."""
    return (
        whole(call.first("pageNumber"), 1, "pageNumber"),
        whole(call.first("pageSize"), _PAGE_SIZE, "pageSize", most=most),
    )


def whole(given: str | int | None, default: int, field: str, most: int = 1 << 31) -> int:
    """Return `given` as a whole number from 1 to `most`. Raises `Refused` if it is not one."""
    if given is None:
        return default
    text = str(given)
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise Refused("bad.request", field=field)
    return int(text)


def get_conversation(organisation: Organisation, call: Call) -> Outcome:
    """Return a conversation."""
    check_division(organisation, call.params["conversationId"])
    conversation = organisation.conversations.get(call.params["conversationId"])
    decisions = act_before_look_up(organisation, conversation, call.now)
    shown = organisation.view(conversation, call.now)
    if organisation.chance.strikes("long", conversation.id):
        customer, *others = shown["participants"]
        customer = customer | {"attributes": {"transcript": LONG_TEXT}}
        shown = shown | {"participants": [customer, *others]}
    return Outcome(_OK, shown, decisions)


def list_queues(organisation: Organisation, call: Call) -> Outcome:
    """Return the queues by name, or by the requested ids."""
    queues = organisation.conversations.queues
    found = _by_ids(queues, call) or list(queues.matching(call.first("name")))
    return Outcome(_OK, _listing(found, call, "/api/v2/routing/queues", _view_queue))


def get_queue(organisation: Organisation, call: Call) -> Outcome:
    """Return one queue."""
    return Outcome(_OK, _view_queue(organisation.conversations.queues.find(call.params["queueId"])))


def list_skills(organisation: Organisation, call: Call) -> Outcome:
    """Return the skills whose names begin as asked for."""
    skills = organisation.conversations.skills
    name = call.first("name")
    found = _by_ids(skills, call) or list(skills.matching(name and f"{name}*"))
    return Outcome(_OK, _listing(found, call, "/api/v2/routing/skills", _view_asked_for("skills")))


def list_languages(organisation: Organisation, call: Call) -> Outcome:
    """Return the languages by name, or by the requested ids."""
    languages = organisation.conversations.languages
    found = _by_ids(languages, call) or list(languages.matching(call.first("name")))
    view = _view_asked_for("languages")
    return Outcome(_OK, _listing(found, call, "/api/v2/routing/languages", view))


def list_users(organisation: Organisation, call: Call) -> Outcome:
    """Return all users, or those with the requested ids."""
    users = organisation.conversations.users
    found = _by_ids(users, call) or list(users.matching(None))
    expand = frozenset(one for value in call.query.get("expand", ()) for one in value.split(","))

    def view(user: Entity) -> dict[str, Any]:
        return _view_user(user) | _state_of(organisation, user, expand)

    return Outcome(_OK, _listing(found, call, "/api/v2/users", view))


def get_user(organisation: Organisation, call: Call) -> Outcome:
    """Return one user."""
    return Outcome(_OK, _view_user(organisation.conversations.users.find(call.params["userId"])))


def search_users(organisation: Organisation, call: Call) -> Outcome:
    """Return the users that match every criterion; criteria can test name and e-mail address."""
    found = list(organisation.conversations.users.entries)
    for criterion in call.body.get("query") or ():
        found = [user for user in found if _meets(user, criterion)]
    number = whole(call.body.get("pageNumber"), 1, "pageNumber")
    size = whole(call.body.get("pageSize"), _PAGE_SIZE, "pageSize", most=_LARGEST_PAGE)
    return Outcome(
        _OK,
        {
            "total": len(found),
            "pageCount": -(-len(found) // size),
            "pageSize": size,
            "pageNumber": number,
            "types": ["users"],
            "results": [_view_user(user) for user in _cut_out(found, number, size)],
        },
    )


def get_subject(organisation: Organisation, call: Call) -> Outcome:
    """Return the client's roles; their policies only on request."""
    full = call.first("includeFullRoles") == "true"
    role: dict[str, Any] = {"id": make_id("role"), "name": "Simulated role"}
    if full:
        role["policies"] = [_policy(permission) for permission in sorted(organisation.permissions)]
    subject = make_id("client", organisation.tokens.client_id)
    home = HOME_DIVISION | {"homeDivision": True}
    return Outcome(
        _OK,
        {
            "id": subject,
            "name": "Simulated client",
            "grants": [{"subjectId": subject, "division": home, "role": role}],
            "version": 1,
        },
    )


def get_token(organisation: Organisation, call: Call) -> Outcome:
    """Return the owner and expiry of the token."""
    grant = organisation.tokens.find(call.token, call.now)
    if grant is None:
        raise Refused("bad.credentials")
    return Outcome(
        _OK,
        {
            "organization": _ORGANISATION,
            "homeOrganization": _ORGANISATION,
            "authorizedScope": [],
            "dateTokenIdles": spell_time(grant.expires_at),
            "OAuthClient": {
                "id": make_id("client", organisation.tokens.client_id),
                "name": "Simulated client",
                "organization": _ORGANISATION,
            },
        },
    )


def verify_token(_organisation: Organisation, _call: Call) -> Outcome:
    """Confirm by the status that the token is valid."""
    return Outcome(_OK)


def _by_ids(names: EntityList, call: Call) -> list[Entity]:
    ids = [one for value in call.query.get("id", ()) for one in value.split(",")]
    return [names.find(entity_id) for entity_id in ids]


def _cut_out(found: Sequence[Entity], number: int, size: int) -> Sequence[Entity]:
    return found[(number - 1) * size : number * size]


def _listing(found: Sequence[Entity], call: Call, path: str, view: Any) -> dict[str, Any]:
    number, size = read_page(call)
    count = -(-len(found) // size)
    page = f"{path}?pageSize={size}&pageNumber="
    listing = {
        "entities": [view(entry) for entry in _cut_out(found, number, size)],
        "pageSize": size,
        "pageNumber": number,
        "total": len(found),
        "firstUri": f"{page}1",
        "selfUri": f"{page}{number}",
        "lastUri": f"{page}{max(count, 1)}",
        "pageCount": count,
    }
    if number < count:
        listing["nextUri"] = f"{page}{number + 1}"
    if number > 1:
        listing["previousUri"] = f"{page}{number - 1}"
    return listing


def _view_queue(queue: Entity) -> dict[str, Any]:
    return {
        "id": queue.id,
        "name": queue.name,
        "division": HOME_DIVISION,
        "memberCount": 1,
        "selfUri": f"/api/v2/routing/queues/{queue.id}",
    }


def _view_asked_for(kind: str) -> Callable[[Entity], dict[str, Any]]:
    """Return the view of a skill or language."""

    def view(entity: Entity) -> dict[str, Any]:
        uri = f"/api/v2/routing/{kind}/{entity.id}"
        return {"id": entity.id, "name": entity.name, "state": entity.state, "selfUri": uri}

    return view


def _email(user: Entity) -> str:
    return f"{user.name.lower().replace(' ', '.')}@example.net"


def _view_user(user: Entity) -> dict[str, Any]:
    return {
        "id": user.id,
        "name": user.name,
        "division": HOME_DIVISION,
        "email": _email(user),
        "username": _email(user),
        "state": user.state,
        "version": 1,
        "selfUri": f"/api/v2/users/{user.id}",
    }


def _state_of(organisation: Organisation, user: Entity, expand: frozenset[str]) -> dict[str, Any]:
    """Return the parts of a user's state that are asked for."""
    word = organisation.options.presence.get(user.name, "available")
    shown = {
        "presence": {
            "source": "PURECLOUD",
            "presenceDefinition": {
                "id": make_id("presence", word),
                "systemPresence": word.replace("_", " ").title(),
            },
        },
        "routingStatus": {"userId": user.id, "status": "OFF_QUEUE"},
    }
    return {name: value for name, value in shown.items() if name in expand}


def _meets(user: Entity, criterion: dict[str, Any]) -> bool:
    value = criterion.get("value")
    wanted = [*(criterion.get("values") or ()), *([value] if value is not None else [])]
    fields = {"name": user.name, "email": _email(user)}
    given = [fields[name].lower() for name in criterion.get("fields") or () if name in fields]
    test = _TESTS[criterion.get("type") or "EXACT"]
    return any(test(one, text.lower()) for one in given for text in wanted)


_TESTS: dict[str, Callable[[str, str], bool]] = {
    "EXACT": str.__eq__,
    "STARTS_WITH": str.startswith,
    "CONTAINS": str.__contains__,
}


def _policy(permission: str) -> dict[str, Any]:
    domain, entity, action = permission.split(":")
    return {"domain": domain, "entityName": entity, "actions": [action]}
