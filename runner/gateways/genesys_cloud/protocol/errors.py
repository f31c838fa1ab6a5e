"""The vendor's error answers, in words that an operator can act on (genesys-cloud.md, "Error codes")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from runner.core.transfer.message import SERVER_TEXT_LIMIT, harmless

CODE_LIMIT = 100
"""Characters kept of a code."""

MOST_PERMISSIONS = 20
"""Permissions that a sentence names."""

_PERMISSION = re.compile(
    r"(?<![\w:])[A-Za-z][A-Za-z0-9]{1,40}:[A-Za-z0-9*]{1,60}:[A-Za-z0-9*]{1,60}(?![\w:])", re.ASCII
)

_NOT_CONNECTED = (
    "nobody is connected who could be replaced: the customer has left, or an agent is being rung; "
    "apply again once it waits or is being talked to"
)
_NEEDS_ROLE = "add it to a role, and grant that role to the OAuth client, in the right division"

HELP: Mapping[str, str] = MappingProxyType(
    {
        "conversations.error.transfer.not.connected": _NOT_CONNECTED,
        "postino.error.transfer.not.connected": _NOT_CONNECTED,
        "conversations.error.transfer.same.party": "it is with that very party already; "
        "name another destination, or leave it out",
        "conversations.error.transfer.destination.required": "the destination names nobody; "
        "check the id in `destination_uri`",
        "conversations.error.transfer.acd.call.unattended": "this organisation does not let a call "
        "from a queue be moved unattended; move it by hand, or ask the administrator",
        "conversations.error.transfer.chat.external": "a chat cannot go to an outside address; "
        "name a queue or a user",
        "conversations.error.transfer.chat.voicemail": "a chat cannot go to voicemail; "
        "name a queue or a user",
        "conversations.error.queue.not.found": "there is no such queue, or the client may not see "
        "it; check the id in `destination_uri` and the client's divisions",
        "postino.error.transfer.replace.external": "the customer's own side cannot be replaced; "
        "report this, for it should not have been tried",
        "missing.permissions": f"the client's roles lack a permission: {_NEEDS_ROLE}",
        "missing.any.permissions": f"the client's roles lack a permission: {_NEEDS_ROLE}",
        "not.authorized": "the client's roles do not reach the division of this conversation or of "
        "its destination; grant the role in that division",
        "not.a.user": "the platform wants a user's own login for this; a client cannot do it",
        "not.found": "the conversation or the participant is not there, or not for this client; "
        "it may have ended, or the region be another",
        "unsupported.media.type": "the platform did not take the request's form; something on the "
        "way changes the headers: check proxies",
        "too.many.requests": "the token's allowance is used up; give this run less "
        "(`limits.http_rate`) if others use the same client",
        "rate.limited": "the token's allowance is used up; give this run less "
        "(`limits.http_rate`) if others use the same client",
        "bad.credentials": "the token is not taken; check the client and the region",
        "authentication.required": "the token is not taken; check the client and the region",
        "notification.subscription.too.many.subscriptions": "a channel has no more room; "
        "report this, for more channels should have been made",
        "request.timeout": "the platform gave up on it; whether it was done is looked up",
        "internal.server.error": "the platform failed; check its status page",
        "service.unavailable": "the platform is overloaded or down; check its status page",
    }
)
"""What to do about a code, by the code."""


@dataclass(frozen=True, slots=True)
class VendorFault:
    """An error answer: its HTTP status, the vendor's code and message, the permissions it names."""

    status: int
    code: str
    message: str | None = None
    permissions: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The code, and what the vendor says to it."""
        said = f"{self.code} ({self.status})"
        return f"{said}: {self.message.rstrip('. ')}" if self.message else said

    @property
    def sentence(self) -> str:
        """What was said, and what to do."""
        return f"{self.said}; {self.help}" if self.help else self.said

    @property
    def help(self) -> str:
        """What to do about it; empty where nothing is known of the code."""
        if self.permissions and self.code in _ABOUT_PERMISSIONS:
            joint = " or " if self.code == "missing.any.permissions" else " and "
            return f"the client's roles lack {joint.join(self.permissions)}: {_NEEDS_ROLE}"
        return HELP.get(self.code, "")

    @property
    def is_about_one(self) -> bool:
        """Whether a refusal (403) is of this one thing, not of the client as a whole."""
        return self.code not in _ABOUT_PERMISSIONS and not self.code.startswith("http ")


_ABOUT_PERMISSIONS = frozenset({"missing.permissions", "missing.any.permissions"})


def read_fault(status: int, body: Mapping[str, object] | None) -> VendorFault:
    """Read an error answer's body; whatever is odd in it is left out, never an error."""
    fields = body or {}
    code = fields.get("code")
    message = fields.get("message")
    return VendorFault(
        status,
        harmless(code, CODE_LIMIT) if isinstance(code, str) and code else f"http {status}",
        harmless(message, SERVER_TEXT_LIMIT) if isinstance(message, str) and message else None,
        _permissions(fields),
    )


def _permissions(body: Mapping[str, object]) -> tuple[str, ...]:
    """Return the permissions that a body names, each once, in its order."""
    found = dict.fromkeys(
        name
        for text in _texts(body)
        for name in _PERMISSION.findall(text[: 10 * SERVER_TEXT_LIMIT])
    )
    return tuple(found)[:MOST_PERMISSIONS]


def _texts(body: Mapping[str, object]) -> Iterator[str]:
    parameters = body.get("messageParams")
    found = [body.get("message"), body.get("messageWithParams")]
    if isinstance(parameters, dict):
        found += parameters.values()
    return (text for text in found if isinstance(text, str))
