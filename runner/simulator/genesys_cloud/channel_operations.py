"""The operations on notification channels."""

from __future__ import annotations

from typing import Any

from runner.simulator.genesys_cloud.channels import topic_entity
from runner.simulator.genesys_cloud.entities import is_foreign
from runner.simulator.genesys_cloud.errors import Refused, missing_permissions
from runner.simulator.genesys_cloud.organisation import Organisation, Outcome
from runner.simulator.genesys_cloud.routes import QUEUE_FIGURES, VIEW, VIEW_USERS, Call

_OK = 200


def create_channel(organisation: Organisation, call: Call) -> Outcome:
    """Create a channel."""
    channel, evicted = organisation.channels.create(organisation.new_id(), call.token, call.now)
    return Outcome(_OK, organisation.channels.view(channel), evicted)


def list_channels(organisation: Organisation, call: Call) -> Outcome:
    """Return the channels that have not expired."""
    views = [
        organisation.channels.view(channel)
        for channel in organisation.channels.all()
        if call.now < channel.expires_at
    ]
    return Outcome(_OK, {"entities": views})


def verify_channel(organisation: Organisation, call: Call) -> Outcome:
    """Confirm by the status that the channel exists."""
    organisation.channels.get(call.params["channelId"], call.now)
    return Outcome(_OK)


def list_subscriptions(organisation: Organisation, call: Call) -> Outcome:
    """Return the topics of a channel."""
    channel = organisation.channels.get(call.params["channelId"], call.now)
    return Outcome(_OK, {"entities": [_permitted(topic) for topic in channel.topics]})


def subscribe(organisation: Organisation, call: Call) -> Outcome:
    """Replace the topics of a channel, or add to them."""
    channel = organisation.channels.get(call.params["channelId"], call.now)
    asked = list(dict.fromkeys(topic.get("id") or "" for topic in call.body))
    answers = [_judge(organisation, topic, lenient=_is_lenient(call)) for topic in asked]
    topics = [answer["id"] for answer in answers if answer["state"] == "Permitted"]
    kept = channel.topics if call.route.name == "add_subscriptions" else ()
    organisation.channels.subscribe(channel, [*kept, *topics], call.now)
    return Outcome(_OK, {"entities": answers})


def drop_subscriptions(organisation: Organisation, call: Call) -> Outcome:
    """Remove all topics of a channel."""
    channel = organisation.channels.get(call.params["channelId"], call.now)
    organisation.channels.subscribe(channel, (), call.now)
    return Outcome(_OK)


def _is_lenient(call: Call) -> bool:
    return call.first("ignoreErrors") == "true"


def _permitted(topic: str) -> dict[str, Any]:
    return {"id": topic, "state": "Permitted"}


def _judge(organisation: Organisation, topic: str, *, lenient: bool) -> dict[str, Any]:
    """Permit a topic, or raise `Refused`; a `lenient` caller gets the refusal in the answer."""
    refusal: Refused | None = None
    wanted = VIEW_USERS if topic.startswith("v2.users.") else VIEW
    if topic.startswith("v2.analytics."):
        wanted = QUEUE_FIGURES
    lacking = [wanted] if wanted not in organisation.permissions else []
    if is_foreign(topic_entity(topic)):
        refusal = Refused("not.authorized", field="id")
    elif lacking:
        refusal = missing_permissions(lacking)
    if refusal is None:
        return _permitted(topic)
    if not lenient:
        raise refusal
    reason = {"rejectionReason": refusal.code, "missingPermissions": lacking}
    return {"id": topic, "state": "Rejected"} | reason
