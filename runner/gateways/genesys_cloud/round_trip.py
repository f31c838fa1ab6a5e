"""Moves one conversation there and back, once each, and records what the platform shows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from runner.core.errors import GatewayError
from runner.core.manifest.media import MediaMatrix
from runner.core.timestamps import timestamp
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.lookup_verdict import PARTICIPANT, judge_lookup
from runner.core.transfer.message import Draft, GatewayNote, Unfit, harmless
from runner.gateways.genesys_cloud.permissions import SUBJECT_PATH
from runner.gateways.genesys_cloud.protocol.command import (
    build_command,
    command_of,
    find_command_fault,
    topic_of,
)
from runner.gateways.genesys_cloud.protocol.conversation import (
    Reading,
    read_conversation,
    respelled,
)
from runner.gateways.genesys_cloud.protocol.events import Changed
from runner.gateways.genesys_cloud.protocol.observations import Observation
from runner.gateways.genesys_cloud.protocol.outcome import find_failure, has_moved
from runner.gateways.genesys_cloud.protocol.probe_findings import (
    Attempt,
    End,
    Findings,
    Masks,
    sketch,
    sketch_subject,
)
from runner.gateways.genesys_cloud.rest import GenesysRest, NoAnswer, NotSent
from runner.gateways.genesys_cloud.session import GenesysOpener
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import ConnectionFailed, Place
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import IdempotentRequest
from runner.gateways.websocket.supervisor import FAREWELL, NORMAL_CLOSURE
from runner.gateways.websocket.transport import Dial
from runner.ports import GatewayListener, SessionLost, SessionOpened

LOOK_EVERY_S = 2.0

WATCHED_S = 70.0
"""How long a move is watched: longer than the platform's own time-out of 60 s."""

SETTLED_S = 3.0
"""How long it is watched after its arrival: events come late."""


class RoundTrip:
    """One probe. `keep` makes the findings durable, and is called before each command is sent.

    `say` shows a sentence to the operator. `why_shut` returns why nothing may be moved there now.
    `media` completes the draft; the platform ignores it.
    """

    def __init__(
        self,
        rest: GenesysRest,
        dial: Dial,
        findings: Findings,
        *,
        media: MediaMatrix,
        new_id: Callable[[], str],
        keep: Callable[[], None],
        say: Callable[[str], None],
        why_shut: Callable[[], str | None],
    ) -> None:
        self._rest = rest
        self._dial = dial
        self._findings = findings
        self._media = media
        self._new_id = new_id
        self._keep = keep
        self._say = say
        self._why_shut = why_shut
        self._clock = rest.waiter.clock
        self._masks = Masks()
        self._conversation_id = ""
        self._spelled: dict[str, str] = {}
        self._attempt: Attempt | None = None
        self._left_at = 0.0
        self._latest: Reading | None = None
        self._last: dict[str, Any] | None = None

    async def run(self, conversation_id: str, destination_uri: str) -> None:
        """Move, watch, and move back if possible; the findings have the outcome.

        Raises `GatewayError` if the platform cannot be reached or observed; then nothing was moved.
        """
        self._conversation_id = canonical_interaction(conversation_id)
        self._say("looking it up")
        await self._ask_subject()
        body, before = await self._read()
        origin_uri = before.interaction.destination_uri
        self._findings.before = sketch(body, self._masks) if body else None
        self._spelled = {uri.casefold(): uri for uri in (destination_uri, origin_uri) if uri}
        if (unfit := self._unfit(before, destination_uri)) is not None:
            self._findings.unfit = unfit
            return
        topics = [topic for uri in self._spelled.values() if (topic := topic_of(uri)) is not None]
        opener = GenesysOpener(self._rest, self._dial, self._clock, lambda: topics, self._changed)
        try:
            session = await opener.open(_IgnoringListener())
        except ConnectionFailed as error:
            raise self._rest.place.error(error.what, error.check) from error
        try:
            self._findings.there = attempt = self._begun(body, before, destination_uri)
            await self._move(attempt, before, destination_uri)
            if attempt.end is End.ARRIVED:
                await self._move_back(origin_uri)
            else:
                self._findings.not_back = f"it was not seen to arrive ({attempt.end})"
        except GatewayError as error:  # the customer may have moved: the findings matter now
            self._say(f"a look-up failed: {error.what}")  # the platform's words may name ids
            self._findings.not_back = "it could not be looked up any more"
        finally:
            await session.close(NORMAL_CLOSURE, FAREWELL)

    async def _move_back(self, origin_uri: str | None) -> None:
        if origin_uri is None:
            self._findings.not_back = "it was with no queue and no agent before"
            return
        body, now = await self._read()
        if (unfit := self._unfit(now, origin_uri)) is not None:
            self._findings.not_back = unfit
            return
        self._findings.back = attempt = self._begun(body, now, origin_uri)
        await self._move(attempt, now, origin_uri)

    # Before a command

    async def _ask_subject(self) -> None:
        def read(answer: Answer, _place: Place) -> dict[str, Any] | None:
            return sketch_subject(answer.status, answer.json_object())

        request = IdempotentRequest(SUBJECT_PATH, thing="subject")
        self._findings.subject = await self._rest.retrying_client.ask(request, read)

    async def _read(self) -> tuple[dict[str, Any], Reading]:
        path = f"/api/v2/conversations/{quote(self._conversation_id, safe='')}"
        body = await self._rest.get(path, "conversation", Priority.RECONCILIATION)
        reading = read_conversation(body, self._conversation_id)
        if reading is None:
            raise self._rest.place.error(
                "the conversation's description is not as the documents say", "report this"
            )
        return body, respelled(reading, self._spelled)

    def _unfit(self, seen: Reading, destination_uri: str) -> str | None:
        """Return why it must not or cannot be moved there; None: it can."""
        event, reason = judge_lookup(
            seen.interaction,
            destination_uri=destination_uri,
            message_ids=frozenset(),
            preflight=True,
        )
        if event.event is not None:
            return reason or str(event)
        if any(
            not arrival.is_done
            for arrival in seen.interaction.arrivals
            if _is_move(arrival.id, seen)
        ):
            return "a move of it is under way; wait for its end"
        try:
            message = build_command(self._draft(seen, destination_uri))
        except Unfit as unfit:
            return str(unfit)
        return find_command_fault(message, self._media)

    def _draft(self, seen: Reading, destination_uri: str) -> Draft:
        at = timestamp(self._clock.wall())
        return Draft(
            self._new_id(),
            self._conversation_id,
            destination_uri,
            self._media,
            at,
            seen.interaction,
        )

    def _begun(self, body: Mapping[str, Any], seen: Reading, destination_uri: str) -> Attempt:
        command = command_of(build_command(self._draft(seen, destination_uri)))
        replaced = self._masks.of("participant", (seen.interaction.handles or {})[PARTICIPANT])
        shown = sketch(body, self._masks)
        legs = [each for each in shown["participants"] if each.get("participant") == replaced]
        kind, _, place = destination_uri.removeprefix("genesys://").partition("/")
        masked = (
            self._masks.of(kind, place)
            if destination_uri.startswith("genesys://")
            else self._masks.address(destination_uri)
        )
        leg = legs[-1] if legs else {}
        return Attempt(
            operation="/".join(command.path.split("/")[7:]),
            leg=str(leg.get("purpose", seen.interaction.state)),
            media=tuple(medium for medium, states in leg.get("media", {}).items() if states),
            destination=masked,
        )

    # A command, once

    async def _move(self, attempt: Attempt, before: Reading, destination_uri: str) -> None:
        """Post once, and watch until the outcome is known or time is up."""
        command = command_of(build_command(self._draft(before, destination_uri)))
        self._attempt, self._latest, self._last = attempt, None, None
        self._keep()  # a command under way is on record, even if this process dies
        while (wait_s := self._rest.rate_limiter.due_in(0)) > 0:
            await self._clock.sleep(wait_s)
        is_there = attempt is self._findings.there  # who was moved is moved back in any case
        if is_there and (why := self._why_shut()) is not None:
            attempt.end, attempt.lost = End.NOT_SENT, why
            self._keep()
            return
        self._rest.rate_limiter.take()
        self._left_at = self._clock.now()
        self._say(f"asking the platform: {attempt.operation} to {attempt.destination}")
        try:
            _, answer = await self._rest.command(command.path, command.content, self._left_at)
        except NotSent as unsent:
            attempt.end, attempt.lost = End.NOT_SENT, str(unsent)
        except NoAnswer as lost:
            attempt.lost = str(lost)
        else:
            self._answered(attempt, answer)
        self._keep()
        if attempt.end is None:
            await self._watch(attempt, before, destination_uri)
        attempt.took_s = round(self._clock.now() - self._left_at, 1)
        self._keep()

    def _answered(self, attempt: Attempt, answer: Answer) -> None:
        fault = None if httpx.codes.is_success(answer.status) else self._rest.fault_of(answer)
        correlation_id = answer.headers.get("ININ-Correlation-Id")
        attempt.answer = {
            "status": answer.status,
            "code": None if fault is None else fault.code,
            "permissions": [] if fault is None else list(fault.permissions),
            "correlation_id": harmless(correlation_id, 128) if correlation_id else None,
            "after_s": round(self._clock.now() - self._left_at, 3),
        }
        is_definite = 400 <= answer.status < 500 and answer.status != httpx.codes.REQUEST_TIMEOUT  # noqa: PLR2004
        if is_definite:
            attempt.end = End.REFUSED

    async def _watch(self, attempt: Attempt, before: Reading, destination_uri: str) -> None:
        """Watch until it has arrived or failed and `SETTLED_S` longer, or until time is up."""
        self._say(f"watching what the platform shows, for {WATCHED_S:.0f} s at most")
        until = self._left_at + WATCHED_S
        while attempt.end is None and self._clock.now() < until:
            await self._observe()
            attempt.end = self._judged(attempt, before, destination_uri)
            if attempt.end is None:
                await self._clock.sleep(LOOK_EVERY_S)
        if attempt.end is None:
            attempt.end = End.IN_DOUBT
            return
        self._keep()
        await self._clock.sleep(SETTLED_S)
        await self._observe()

    async def _observe(self) -> None:
        try:
            body, reading = await self._read()
        except GatewayError as error:
            self._say(f"a look-up failed: {error.what}")
            return
        self._note("look-up", body)
        self._latest = reading

    def _judged(self, attempt: Attempt, before: Reading, destination_uri: str) -> End | None:
        """Return the outcome that the latest reading shows; None: none yet."""
        latest = self._latest
        if latest is None:
            return None
        was_taken = attempt.answer is not None and attempt.answer["status"] < 300  # noqa: PLR2004
        if was_taken and find_failure(before, latest, destination_uri) is not None:
            return End.REFUSED
        return End.ARRIVED if has_moved(before, latest, destination_uri) else None

    def _changed(self, change: Changed | Observation) -> None:
        if isinstance(change, Changed) and change.conversation_id == self._conversation_id:
            self._note("event", change.body)

    def _note(self, how: str, body: Mapping[str, Any]) -> None:
        """Record an observation if it differs from the one before."""
        if self._attempt is None:
            return
        shown = sketch(body, self._masks)
        entry = {"how": how, **json.loads(json.dumps(shown))}
        if entry != self._last:
            self._last = entry
            after_s = round(self._clock.now() - self._left_at, 3)
            self._attempt.seen.append({"after_s": after_s, **entry})


def _is_move(arrival_id: str, seen: Reading) -> bool:
    return arrival_id in seen.transfer_ids


class _IgnoringListener(GatewayListener):
    """Ignores every event: the probe records the relevant ones and looks the conversation up."""

    def replied(self, reply: object) -> None:
        """Ignore it."""

    def noted(self, note: GatewayNote) -> None:
        """Ignore it."""

    def session_opened(self, opened: SessionOpened) -> None:
        """Ignore it."""

    def session_lost(self, lost: SessionLost) -> None:
        """Ignore it."""

    def gave_up(self, error: Exception) -> None:
        """Ignore it."""

    def slowed(self, why: str) -> None:
        """Ignore it."""

    def paused(self, wait_s: float, why: str) -> None:
        """Ignore it."""
