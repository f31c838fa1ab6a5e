"""Looks interactions up by REST (protocol.md, "REST")."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import quote

from runner.core.diagnostics.diagnosis import Check, Health
from runner.core.errors import LookUpForbidden
from runner.core.pacing.retry_after import http_date_s
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import SERVER_TEXT_LIMIT, harmless
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import Place, shown, wanted_scope
from runner.gateways.http.retrying_client import IdempotentRequest, RetryingClient

DOCTOR_PATH = "/api/v2/interactions/runner-doctor"
"""The look-up of `doctor`: no interaction has this id."""

URI_LIMIT = 2048
"""Characters kept of a destination or an id in an answer."""


class LookUps:
    """Looks up interactions, many at a time."""

    def __init__(self, retrying_client: RetryingClient) -> None:
        self._retrying_client = retrying_client

    async def look_up(self, interaction_id: str) -> Interaction:
        """Return an interaction. Raises what the port's `look_up` raises."""

        def read(answer: Answer, place: Place) -> Interaction | None:
            return _seen(interaction_id, answer, place)

        path = f"/api/v2/interactions/{quote(interaction_id, safe='')}"
        return await self._retrying_client.ask(IdempotentRequest(path), read)


def _seen(interaction_id: str, answer: Answer, place: Place) -> Interaction | None:
    """Return the interaction in a final answer; None for any other answer."""
    date_s = http_date_s(answer.headers.get("Date", ""))
    match answer.status:
        case HTTPStatus.FORBIDDEN:
            raise _forbidden(answer, place, date_s)
        case HTTPStatus.NOT_FOUND:
            return Interaction(interaction_id, found=False, date_s=date_s)
        case HTTPStatus.OK:
            return _interaction(interaction_id, answer, date_s)
        case _:
            return None


def _forbidden(answer: Answer, place: Place, date_s: float | None) -> LookUpForbidden:
    scope = wanted_scope(answer.headers.get("WWW-Authenticate", "")) or "interaction:view"
    error = place.error_of(
        LookUpForbidden,
        f"look-ups are forbidden (403): the token lacks the scope {scope}",
        f"have {scope} added to the client's role and to `scopes`",
    )
    error.date_s = date_s
    return error


def _interaction(interaction_id: str, answer: Answer, date_s: float | None) -> Interaction | None:
    """Read the body; None unless it describes the interaction that was asked for."""
    body = answer.json_object() or {}
    id_, state = body.get("id"), body.get("state")
    if not isinstance(id_, str) or not isinstance(state, str):
        return None
    if canonical_interaction(id_) != canonical_interaction(interaction_id):
        return None
    destination_uri, last_transfer_id = body.get("destination_uri"), body.get("last_transfer_id")
    if not isinstance(destination_uri, str | None) or not isinstance(last_transfer_id, str | None):
        return None
    return Interaction(
        interaction_id,
        found=True,
        state=harmless(state, SERVER_TEXT_LIMIT),
        destination_uri=_kept(destination_uri),
        last_transfer_id=_kept(last_transfer_id and canonical_interaction(last_transfer_id)),
        date_s=date_s,
        shows_effects=not body.keys().isdisjoint(("destination_uri", "last_transfer_id")),
    )


def _kept(text: str | None) -> str | None:
    return None if text is None else harmless(text, URI_LIMIT)


def check_lookup(answer: Answer, url: str) -> Check:
    """Return the check of the client's rights, from the answer to the look-up of `DOCTOR_PATH`."""
    if answer.status in {200, 404}:
        return Check("look-up", Health.OK, f"interactions may be looked up ({answer.status})")
    if answer.status == 403:  # noqa: PLR2004 - forbidden
        scope = wanted_scope(answer.headers.get("WWW-Authenticate", "")) or "interaction:view"
        seen = f"look-ups are forbidden (403): the token lacks the scope {scope}"
        fix = f"have {scope} added to the client's role and to `scopes`"
        return Check("look-up", Health.FAILED, seen, fix)
    seen = f"the gateway answers {answer.status} to a look-up"
    fix = f"check `region` and `endpoints`: does {shown(url)} belong to this gateway?"
    return Check("look-up", Health.FAILED, seen, fix)
