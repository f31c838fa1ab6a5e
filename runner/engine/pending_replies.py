"""Matches replies to pending deliveries; fails them on time-out or session loss."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from runner.core.frozen import frozen
from runner.core.transfer.message import Reply
from runner.core.transfer.reasons import Code
from runner.ports import Clock, SessionLost


@frozen
class NoReply:
    """Why a delivery has no reply, in words."""

    reason: str
    timed_out: bool = False  # the session lives, and said nothing

    @property
    def code(self) -> Code:
        """The reason's code."""
        return Code.NO_REPLY if self.timed_out else Code.SESSION_LOST


class PendingReply:
    """A delivery that waits for its reply. `sent_at` is None until its frame is written."""

    __slots__ = ("answer", "answered_at", "generation", "message_id", "sent_at")

    def __init__(
        self, message_id: str, generation: int | None, answer: asyncio.Future[Reply | NoReply]
    ) -> None:
        self.message_id = message_id
        self.generation = generation
        self.answer = answer
        self.sent_at: float | None = None
        self.answered_at: float | None = None

    def frame_left(self, now: float) -> None:
        """Note that the frame is being written, now."""
        self.sent_at = now


class PendingReplies:
    """Matches replies to deliveries by id; those that match none go to `unclaimed`."""

    def __init__(
        self,
        clock: Clock,
        timeout_s: float,
        unclaimed: Callable[[Reply], None],
        *,
        outlives_session: bool = False,
    ) -> None:
        self._outlives_session = outlives_session
        self._clock = clock
        self._timeout_s = timeout_s
        self._unclaimed = unclaimed
        self._waiting: dict[str, PendingReply] = {}
        self._deadlines: deque[tuple[float, PendingReply]] = deque()

    def expect(self, message_id: str, generation: int | None) -> PendingReply:
        """Expect the reply to a delivery that is about to be written."""
        answer: asyncio.Future[Reply | NoReply] = asyncio.get_running_loop().create_future()
        pending_reply = self._waiting[message_id] = PendingReply(message_id, generation, answer)
        return pending_reply

    def forget(self, pending_reply: PendingReply) -> None:
        """Expect no reply to a delivery that was not written."""
        self._waiting.pop(pending_reply.message_id, None)

    async def answer(self, pending_reply: PendingReply) -> Reply | NoReply:
        """Wait for a handed-over delivery's reply, its time-out or its session's end."""
        assert pending_reply.sent_at is not None  # noqa: S101 - only what left is answered
        if not pending_reply.answer.done():
            while self._deadlines and self._deadlines[0][1].answer.done():
                self._deadlines.popleft()  # else ten seconds' worth of answered ones are kept
            self._deadlines.append((pending_reply.sent_at + self._timeout_s, pending_reply))
        return await pending_reply.answer

    def replied(self, reply: Reply) -> None:
        """Match a reply to its pending delivery."""
        pending_reply = self._waiting.get(reply.message_id)
        if pending_reply is None or pending_reply.sent_at is None:
            # A delivery answered a moment ago settles first, so that a repeat is seen as one.
            asyncio.get_running_loop().call_soon(self._unclaimed, reply)
        else:
            self._settle(pending_reply, reply)

    def session_lost(self, lost: SessionLost) -> bool:
        """Fail every delivery whose frame was written on that session; return whether any was.

        A delivery that is answered though its session has ended is waited for.
        """
        if self._outlives_session:
            return False
        code = "" if lost.code is None else f" {lost.code}"
        reason = f": {lost.reason}" if lost.reason else ""
        answer = NoReply(f"the session ended (close{code}{reason}) before a reply came")
        unanswered = [
            each
            for each in self._waiting.values()
            if each.sent_at is not None and each.generation == lost.generation
        ]
        for pending_reply in unanswered:
            self._settle(pending_reply, answer)
        return bool(unanswered)

    async def keep_time(self) -> None:
        """Fail the deliveries that have waited too long; runs until it is cancelled."""
        while True:
            now = self._clock.now()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, pending_reply = self._deadlines.popleft()
                if not pending_reply.answer.done():
                    self._settle(
                        pending_reply,
                        NoReply(f"no reply within {self._timeout_s:g} s", timed_out=True),
                    )
            due = self._deadlines[0][0] if self._deadlines else now + self._timeout_s
            await self._clock.sleep(max(0.001, due - now))

    def _settle(self, pending_reply: PendingReply, answer: Reply | NoReply) -> None:
        del self._waiting[pending_reply.message_id]
        pending_reply.answered_at = self._clock.now()
        pending_reply.answer.set_result(answer)
