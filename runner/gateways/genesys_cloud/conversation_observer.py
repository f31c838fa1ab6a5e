"""Observes conversations: by events, and by look-ups where no event came."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from runner.core.errors import GatewayError, LookUpFailed
from runner.core.pacing.retry_after import http_date_s
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import GatewayNote
from runner.gateways.genesys_cloud.move_tracker import Move, MoveTracker
from runner.gateways.genesys_cloud.protocol.conversation import (
    Reading,
    read_conversation,
    respelled,
)
from runner.gateways.genesys_cloud.protocol.events import Changed
from runner.gateways.genesys_cloud.rest import GenesysRest
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import Place
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.ports import Clock

ANSWER_GRACE_S = 1.0
"""The wait of an observed effect for the command's answer, which has the correlation id."""


class ConversationObserver:
    """Passes observations to `moves`. `spelled`: the manifest's places, by their lower-case form.

    Ids of conversations are canonical.
    """

    def __init__(
        self,
        rest: GenesysRest,
        moves: MoveTracker,
        clock: Clock,
        spelled: Mapping[str, str],
        *,
        start: Callable[[Coroutine[Any, Any, None]], None],
        note: Callable[[GatewayNote], None],
        give_up: Callable[[Exception], None],
    ) -> None:
        self._rest = rest
        self._moves = moves
        self._clock = clock
        self._spelled = spelled
        self._start = start
        self._note = note
        self._give_up = give_up

    async def observe(self, conversation_id: str) -> None:
        """Read a conversation and pass what it shows to the tracker."""
        try:
            reading = await self.read(conversation_id, Priority.RECONCILIATION)
        except LookUpFailed:
            return  # nothing is reported, and at the time-out it is in doubt
        except GatewayError as error:
            self._give_up(error)
            return
        self._seen(conversation_id, reading)

    def changed(self, change: Changed) -> None:
        """Take an event; most concern conversations that this run does not move."""
        if not self._moves.knows(change.conversation_id):
            return
        reading = read_conversation(change.body, change.conversation_id)
        if reading is None:
            self._note(GatewayNote("an unreadable event", change.conversation_id))
            return
        self._seen(change.conversation_id, respelled(reading, self._spelled))

    def _seen(self, conversation_id: str, reading: Reading) -> None:
        for move in self._moves.observed(conversation_id, reading):
            self._start(self._released(move))

    async def _released(self, move: Move) -> None:
        await self._clock.sleep(ANSWER_GRACE_S)
        self._moves.release(move)

    async def read(self, conversation_id: str, priority: Priority) -> Reading:
        """Look a conversation up. Raises what the port's `look_up` raises."""
        request = IdempotentRequest(
            f"/api/v2/conversations/{quote(conversation_id, safe='')}", priority=priority
        )

        def read(answer: Answer, place: Place) -> Reading | None:
            date_s = http_date_s(answer.headers.get("Date", ""))
            if answer.status == HTTPStatus.NOT_FOUND:
                return Reading(Interaction(conversation_id, found=False, date_s=date_s))
            if answer.status == HTTPStatus.FORBIDDEN:
                fault = self._rest.fault_of(answer)
                if fault.is_about_one:
                    return Reading(
                        Interaction(
                            conversation_id, found=True, date_s=date_s, refusal=fault.sentence
                        )
                    )
            if answer.status != HTTPStatus.OK:
                self._rest.refuse(answer, place, request)
                return None
            return read_conversation(answer.json_object(), conversation_id, date_s)

        return respelled(await self._rest.retrying_client.ask(request, read), self._spelled)
