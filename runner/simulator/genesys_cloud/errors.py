"""The platform's error bodies (genesys-cloud.md, "Error codes")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.simulator.genesys_cloud.actions import Decisions

_MALFORMED = "The request could not be understood by the server due to malformed syntax."

ERRORS: Mapping[str, tuple[int, str]] = {
    "bad.request": (400, _MALFORMED),
    "invalid.value": (
        400,
        "Value [{value}] is not valid for field type [{kind}]. Allowable values are: {allowed}",
    ),
    "invalid.date": (
        400,
        "Dates must be specified as ISO-8601 strings. For example: yyyy-MM-ddTHH:mm:ss.SSSZ",
    ),
    "conversations.error.transfer.not.connected": (
        400,
        "You can only transfer conversations that are in the connected state.",
    ),
    "conversations.error.transfer.same.party": (
        400,
        "The target of the transfer cannot be the same as the destination.",
    ),
    "conversations.error.transfer.destination.required": (
        400,
        "The destination is a required property for a transfer request.",
    ),
    "conversations.error.transfer.acd.call.unattended": (
        400,
        "An ACD call cannot be transferred unattended.",
    ),
    "conversations.error.queue.not.found": (
        400,
        "Interaction cannot be transferred to a queue that does not exist.",
    ),
    "notification.subscription.too.many.subscriptions": (400, "Too many subscriptions"),
    "notification.invalid.topic": (400, "The subscription topic is not valid."),
    "authentication.required": (
        401,
        "No authentication bearer token specified in authorization header.",
    ),
    "bad.credentials": (401, "Invalid login credentials."),
    "missing.permissions": (
        403,
        (
            "Unable to perform the requested action. "
            "You are missing the following permission(s): {permissions}"
        ),
    ),
    "missing.any.permissions": (
        403,
        (
            "Unable to perform the requested action. "
            "You must have at least one of the following permissions assigned: {permissions}"
        ),
    ),
    "not.authorized": (403, "You are not authorized to perform the requested action."),
    "not.found": (404, "The requested resource was not found."),
    "method.not.allowed": (405, "The requested method is not allowed for this resource."),
    "unsupported.media.type": (
        415,
        (
            "Unsupported Media Type - Unsupported or incorrect media type, "
            "such as an incorrect Content-Type value in the header."
        ),
    ),
    "too.many.requests": (
        429,
        "Rate limit exceeded the maximum [{allowed}] requests within [{seconds}] seconds",
    ),
    "rate.limited": (
        429,
        "Rate limit exceeded the maximum [{allowed}] requests within [{seconds}] seconds",
    ),
    "internal.server.error": (
        500,
        (
            "The server encountered an unexpected condition "
            "which prevented it from fulfilling the request."
        ),
    ),
    "service.unavailable": (
        503,
        (
            "Service Unavailable - The server is currently unavailable "
            "(because it is overloaded or down for maintenance)."
        ),
    ),
    "request.timeout": (504, "The request timed out."),
}
"""Status and text by code; the refusal's parameters fill the placeholders."""


class Refused(Exception):
    """The request is answered with an error; `retry_after_s` is a whole number of seconds."""

    def __init__(
        self,
        code: str,
        *,
        entity_id: str | None = None,
        field: str | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        **params: str,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = ERRORS[code][0]
        self.retry_after_s = retry_after_s
        self.headers = headers or {}
        self.decisions: Decisions = ()  # performed before the answer is sent
        self._entity_id = entity_id
        self._field = field
        self._params = params

    def to_body(self, context_id: str, **more: str) -> dict[str, Any]:
        """Return the error as the platform's JSON; `more` fills placeholders of the text."""
        text = ERRORS[self.code][1]
        params = {
            name: value for name, value in (more | self._params).items() if "{" + name + "}" in text
        }
        body: dict[str, Any] = {
            "message": text.format_map(params),
            "code": self.code,
            "status": self.status,
            "messageWithParams": text,
            "messageParams": params,
            "contextId": context_id,
            "details": self._details(),
            "errors": [],
        }
        return body | ({"entityId": self._entity_id} if self._entity_id else {})

    def _details(self) -> list[dict[str, str]]:
        return [{"errorCode": self.code, "fieldName": self._field}] if self._field else []


def missing_permissions(wanted: Sequence[str]) -> Refused:
    """Return the refusal of a client without any of the `wanted` permissions."""
    code = "missing.permissions" if len(wanted) == 1 else "missing.any.permissions"
    return Refused(code, permissions=f"[{', '.join(wanted)}]")
