"""Posts commands once, and reports their outcome when it is answered or observed."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

import httpx

from runner.core.errors import GatewayError
from runner.core.pacing.rate import LONGEST_OBEYED_S
from runner.core.pacing.retry_after import retry_after_s
from runner.core.transfer.doubt_evidence import MOVED_BY_OTHERS
from runner.core.transfer.lookup_verdict import ENDED_STATES
from runner.core.transfer.message import Reply, harmless
from runner.core.transfer.states import Event
from runner.gateways.genesys_cloud.conversation_observer import ConversationObserver
from runner.gateways.genesys_cloud.move_tracker import Move, MoveTracker
from runner.gateways.genesys_cloud.rest import GenesysRest, NoAnswer, NotSent
from runner.gateways.http.client import Answer
from runner.gateways.http.errors import shown
from runner.gateways.http.oauth import NoTokenYet, Token
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retrying_client import refused_again

FIRST_READ_S = 2.0
"""The wait for an event after a command, before the conversation is read."""

READ_EVERY_S = 5.0
"""The interval of reads while a transfer is under way."""

LAST_READ_S = 2.0
"""Seconds before the time-out at which the conversation is read once more."""

LAST_WORD_S = 0.5
"""Seconds before the time-out at which a transfer without visible effect is reported as in doubt."""

_CORRELATION_LIMIT = 128

_ABOUT_STATE = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.GONE,
)
"""Refusals that a conversation may cause which has changed since its look-up."""

_ABOUT_COMMAND = frozenset(
    {
        "conversations.error.transfer.destination.required",
        "conversations.error.transfer.acd.call.unattended",
        "conversations.error.transfer.chat.external",
        "conversations.error.transfer.chat.voicemail",
        "conversations.error.queue.not.found",
        "postino.error.transfer.replace.external",
    }
)
"""Codes of refusals that a changed conversation cannot cause."""


class Commands:
    """Sends commands to the platform; calls `give_up` with an error that ends the run.

    The engine waits `timeout_s` for a first effect of a command, and `outcome_s` while it is under
    way.
    """

    def __init__(
        self,
        rest: GenesysRest,
        moves: MoveTracker,
        observer: ConversationObserver,
        *,
        timeout_s: float,
        outcome_s: float,
        give_up: Callable[[Exception], None],
    ) -> None:
        self._rest = rest
        self._moves = moves
        self._observer = observer
        self._clock = rest.waiter.clock
        self._timeout_s = timeout_s
        self._outcome_s = max(timeout_s, outcome_s)
        self._give_up = give_up
        self._refused_token = 0  # the number of the last that a command was refused with

    async def send(self, move: Move, may_leave: Callable[[], bool]) -> None:
        """Post a command once, then report its outcome, waiting for it if necessary."""
        command = move.command
        try:
            token, answer = await self._rest.command(
                command.path, command.content, move.handed_at, may_leave
            )
        except NotSent as unsent:
            self._moves.refused(
                move,
                Reply(command.message_id, reason=str(unsent), event=Event.WITHDRAWN),
            )
            if unsent.error is not None and not isinstance(unsent.error, NoTokenYet):
                self._give_up(unsent.error)
            return
        except NoAnswer as lost:
            self._moves.answered(move, is_accepted=False, correlation_id=None)
            self._moves.doubted(
                move, Reply(command.message_id, "no_answer", reason=str(lost), event=Event.LOST)
            )
            return
        correlation_id = _correlation_id(answer)
        if httpx.codes.is_success(answer.status):
            self._moves.answered(move, is_accepted=True, correlation_id=correlation_id)
            await self._confirm(move)
            return
        reply = self._refusal(move, answer, correlation_id)
        if reply.event is Event.DENIED and await self._has_moved_on(move, answer):
            reply = reply._replace(status="moved_on", event=Event.WITHDRAWN)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._moves.refused(move, reply)
            await self._renew(token)
        elif reply.event is not Event.LOST:
            self._moves.refused(move, reply)
            fault = self._rest.fault_of(answer)
            if fault.is_about_client:  # no other command would fare better
                self._give_up(self._rest.place.error(f"no transfer: {fault.said}", fault.help))
        else:
            self._moves.answered(move, is_accepted=False, correlation_id=correlation_id)
            self._moves.doubted(move, reply)

    def _refusal(self, move: Move, answer: Answer, correlation_id: str | None) -> Reply:
        """Return the meaning of an answer other than success."""
        message_id, status = move.command.message_id, answer.status
        if answer.redirect is not None:
            what = f"the gateway redirects to {shown(answer.redirect)}, which is not followed"
            self._give_up(
                self._rest.place.error(what, "set `endpoints.api_url` to the address that answers")
            )
            return Reply(
                message_id,
                "redirected",
                reason=what,
                correlation_id=correlation_id,
                event=Event.LOST,
            )
        sentence = self._rest.fault_of(answer).sentence
        wait_s = retry_after_s(answer.headers, self._clock.wall())
        reply = Reply(message_id, reason=sentence, correlation_id=correlation_id)
        if wait_s is not None and wait_s <= LONGEST_OBEYED_S:
            self._rest.rate_limiter.shut(wait_s)
        return _with_meaning(reply, status, wait_s)

    async def _renew(self, refused: Token) -> None:
        """Renew the token after it was refused; give up if two tokens in a row are refused."""
        again = refused.number > self._refused_token >= max(1, self._rest.tokens.taken)
        self._refused_token = max(self._refused_token, refused.number)
        if again:
            self._give_up(refused_again(self._rest.place))
            return
        try:
            await self._rest.tokens.after(refused)
        except NoTokenYet:
            return  # the next command asks again
        except GatewayError as error:
            self._give_up(error)

    async def _has_moved_on(self, move: Move, answer: Answer) -> bool:
        """Return whether a conversation whose command was refused has changed since its look-up.

        The customer hung up, or somebody else moved it, just before; the next look-up then decides.
        """
        if answer.status not in _ABOUT_STATE or self._rest.fault_of(answer).code in _ABOUT_COMMAND:
            return False
        if move.before is None:
            return False
        try:
            now = await self._observer.read(move.command.conversation_id, Priority.RECONCILIATION)
        except GatewayError:
            return False  # it stays refused
        then, seen = move.before.interaction, now.interaction
        return (
            not seen.found
            or seen.state in ENDED_STATES
            or seen.destination_uri != then.destination_uri
            or seen.handles != then.handles
        )

    async def _confirm(self, move: Move) -> None:
        """Read the conversation of an accepted command, as long as no event shows its outcome.

        If nothing shows it by shortly before the time-out, the command is in doubt.
        """
        time_out = move.handed_at + self._timeout_s
        for at in (self._clock.now() + FIRST_READ_S, time_out - LAST_READ_S):
            await self._read_at(at, move)
        last = move.handed_at + self._outcome_s - LAST_READ_S
        while move.is_under_way and (now := self._clock.now()) < last:
            await self._read_at(min(now + READ_EVERY_S, last), move)
        if move.is_under_way:
            time_out = move.handed_at + self._outcome_s
        await self._until(time_out - LAST_WORD_S)
        reason = "the platform accepted it, and nothing showed its effect"
        if move.is_under_way:
            reason = (
                f"the platform accepted it, and it was still under way after {self._outcome_s:g} s"
            )
        elif move.is_overtaken:
            reason = f"the platform accepted it, and it was {MOVED_BY_OTHERS}"
        unsure = Reply(move.command.message_id, "unconfirmed", reason=reason, event=Event.LOST)
        self._moves.doubted(move, unsure._replace(correlation_id=move.correlation_id))

    async def _read_at(self, moment: float, move: Move) -> None:
        await self._until(moment)
        if not move.is_reported:
            await self._observer.observe(move.command.conversation_id)

    async def _until(self, moment: float) -> None:
        await self._clock.sleep(max(0.0, moment - self._clock.now()))


def _with_meaning(reply: Reply, status: int, wait_s: float | None) -> Reply:
    """Return a reply with the event that the HTTP status means."""
    if status == HTTPStatus.UNAUTHORIZED:
        return reply._replace(status="token_refused", event=Event.WITHDRAWN)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return reply._replace(
            status="rate_limited", code=status, retry_after_s=wait_s, event=Event.LIMITED
        )
    if status == HTTPStatus.REQUEST_TIMEOUT or not 400 <= status < 500:  # noqa: PLR2004 - "client error"
        return reply._replace(status="server_error", event=Event.LOST)
    return reply._replace(status="transfer_rejected", event=Event.DENIED)


def _correlation_id(answer: Answer) -> str | None:
    header = answer.headers.get("ININ-Correlation-Id")
    return harmless(header, _CORRELATION_LIMIT) if header else None
