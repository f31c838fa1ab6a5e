"""Reads the vendor's error answers and adds help for the operator (genesys-cloud.md, "Error codes")."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from runner.core.frozen import frozen
from runner.core.transfer.message import SERVER_TEXT_LIMIT, harmless

CODE_LIMIT = 100
"""Characters kept of a code."""

MOST_PERMISSIONS = 20
"""The most permissions in a sentence."""

_PERMISSION = re.compile(
    r"(?<![\w:])[A-Za-z][A-Za-z0-9]{1,40}:[A-Za-z0-9*]{1,60}:[A-Za-z0-9*]{1,60}(?![\w:])", re.ASCII
)

_NOT_CONNECTED = (
    "no participant is connected that could be replaced: the customer has left, or an agent's "
    "phone is ringing; apply again once it waits or is being talked to"
)
_NEEDS_ROLE = "add it to a role, and grant that role to the OAuth client, in the right division"

HELP: Mapping[str, str] = MappingProxyType(
    {
        "conversations.error.transfer.not.connected": _NOT_CONNECTED,
        "postino.error.transfer.not.connected": _NOT_CONNECTED,
        "conversations.error.transfer.same.party": "it is with that very party already; "
        "name another destination, or leave it out",
        "conversations.error.transfer.destination.required": "the destination does not exist; "
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
        "not.a.user": "the platform requires a user's own login for this; a client cannot do it",
        "not.found": "the conversation or the participant does not exist, or this client may not "
        "see it; "
        "it may have ended, or the region is wrong",
        "unsupported.media.type": "the platform did not take the request's form; something on the "
        "way changes the headers: check proxies",
        "too.many.requests": "the token's allowance is used up; give this run less "
        "(`limits.http_rate`) if others use the same client",
        "rate.limited": "the token's allowance is used up; give this run less "
        "(`limits.http_rate`) if others use the same client",
        "bad.credentials": "the token is not accepted; check the client and the region",
        "authentication.required": "the token is not accepted; check the client and the region",
        "notification.subscription.too.many.subscriptions": "a channel has no more room; "
        "report this, for more channels should have been made",
        "request.timeout": "the platform gave up on it; a look-up shows whether it was done",
        "internal.server.error": "the platform failed; check its status page",
        "service.unavailable": "the platform is overloaded or down; check its status page",
    }
)
"""Help by code."""


@frozen
class VendorFault:
    """An error answer: HTTP status, the vendor's code and message, and the permissions in it."""

    status: int
    code: str
    message: str | None = None
    permissions: tuple[str, ...] = ()

    @property
    def said(self) -> str:
        """The code and the vendor's message."""
        said = f"{self.code} ({self.status})"
        return f"{said}: {self.message.rstrip('. ')}" if self.message else said

    @property
    def sentence(self) -> str:
        """The code, the message and the help."""
        return f"{self.said}; {self.help}" if self.help else self.said

    @property
    def help(self) -> str:
        """What to do about it; empty for an unknown code."""
        if self.permissions and self.is_about_client:
            joint = " or " if self.code == "missing.any.permissions" else " and "
            return f"the client's roles lack {joint.join(self.permissions)}: {_NEEDS_ROLE}"
        return HELP.get(self.code, "")

    @property
    def is_about_client(self) -> bool:
        """Whether the client lacks a permission for every request of this kind."""
        return self.code in _ABOUT_PERMISSIONS

    @property
    def is_about_one(self) -> bool:
        """Whether a refusal (403) concerns this one thing, not the client as a whole."""
        return not self.is_about_client and not self.code.startswith("http ")


_ABOUT_PERMISSIONS = frozenset({"missing.permissions", "missing.any.permissions"})


def read_fault(status: int, body: Mapping[str, object] | None) -> VendorFault:
    """Read the body of an error answer; malformed fields are left out, never an error."""
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
    """Return the permissions in a body, each once, in order."""
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
