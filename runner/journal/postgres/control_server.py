"""The running batch's end of the table of commands: implements `ports.Control`.

A command names the epoch of the lane's owner, so that no other run takes it. It lapses after a minute
by the database's clock. Who gives it is the role that the database let in (`session_user`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar

from runner.core.errors import StorageError
from runner.journal.control.wire import LONGEST_LINE, Malformed, answer_line, read_request
from runner.journal.postgres.connection import Connection, JournalUrl, ask, connect, translated
from runner.journal.postgres.control_schema import LAPSES_S
from runner.ports.control import ControlAnswer, Handler, Requester

T = TypeVar("T")

TAKE_S = 0.25
"""How often a run looks for commands."""

# One at a time, and never twice: a run that dies with a command leaves it unanswered. What makes the
# run send less comes first; then the role that was served last has the last turn.
_TAKE = (
    "UPDATE runner.commands SET taken_at = clock_timestamp() WHERE no = (SELECT no"  # noqa: S608 - of constants
    " FROM runner.commands c WHERE lane = %(lane)s AND epoch = %(epoch)s AND taken_at IS NULL"
    f" AND withdrawn_at IS NULL AND asked_at > clock_timestamp() - interval '{LAPSES_S} seconds'"
    " ORDER BY is_urgent DESC, (SELECT max(taken_at) FROM runner.commands t"
    " WHERE t.lane = c.lane AND t.epoch = c.epoch AND t.asked_by = c.asked_by) NULLS FIRST, no"
    " LIMIT 1 FOR UPDATE OF c SKIP LOCKED) RETURNING no, request, asked_by"
)
_ANSWER = "UPDATE runner.commands SET answer = %(answer)s WHERE no = %(no)s RETURNING no"
_FORGET = (
    "DELETE FROM runner.commands WHERE no IN (SELECT no FROM runner.commands WHERE lane = %(lane)s"
    " AND asked_at < clock_timestamp() - interval '1 day' FOR UPDATE SKIP LOCKED) RETURNING no"
)


class _Taken(NamedTuple):
    no: int
    request: str
    asked_by: str


class TableControl:
    """Implements `ports.Control` for the run that owns a lane at an epoch."""

    def __init__(self, url: JournalUrl, *, lane: int, epoch: int) -> None:
        self._url = url
        self._at = {"lane": lane, "epoch": epoch}
        self._open: Connection | None = None

    async def serve(self, handle: Handler) -> None:
        """Hand every command to `handle` until cancelled.

        Raises `StorageError` if this role may not take them. While it
        does not answer later on, there are none: whether the run goes on is its lease's matter.
        """
        try:
            await _in_thread(self._begin)
            while True:
                taken = await _in_thread(self._take)
                if taken is None:
                    await asyncio.sleep(TAKE_S)
                    continue
                answer = await _handled(taken, handle)
                await _in_thread(lambda: self._answer(taken.no, answer))  # noqa: B023 - awaited here
        finally:
            if self._open is not None:
                self._open.close()

    def _begin(self) -> None:
        with translated(self._url):
            ask(self._connected(), _FORGET, self._at)
            ask(self._connected(), _TAKE, self._at | {"epoch": -1})  # only whether it may

    def _take(self) -> _Taken | None:
        try:
            with translated(self._url):
                found = ask(self._connected(), _TAKE, self._at)
        except StorageError:
            return None
        return _Taken(*found[0]) if found else None

    def _answer(self, no: int, answer: ControlAnswer) -> None:
        text = answer_line(answer).decode().strip()
        with suppress(StorageError), translated(self._url):  # it asks again, by the same id
            ask(self._connected(), _ANSWER, {"no": no, "answer": text})

    def _connected(self) -> Connection:
        if self._open is None or self._open.closed or self._open.broken:
            self._open = connect(self._url)
        return self._open


async def _handled(taken: _Taken, handle: Handler) -> ControlAnswer:
    try:
        request = read_request(taken.request.encode()[:LONGEST_LINE])
    except Malformed as error:
        return ControlAnswer(str(error), is_done=False)
    return await handle(request, Requester(None, f"database role {taken.asked_by}"))


async def _in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns in a thread; if cancelled, once the thread has ended."""
    working = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise
