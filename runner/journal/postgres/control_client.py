"""The operator's end of the table of commands: gives one, and waits for the run's answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import psycopg

from runner.core.errors import NotRunning
from runner.core.next_steps import control, shell_line
from runner.journal.control.wire import Malformed, read_answer, request_line
from runner.journal.postgres.connection import Connection, JournalUrl, ask, connect, translated
from runner.journal.postgres.control_schema import BUSY
from runner.ports.control import ControlAnswer, ControlRequest
from runner.ports.journal_access import Holder

LOOK_S = 0.1
"""How often the answer is looked for."""

LOOKS = 300
"""How many times: for 30 s, as the socket's end waits."""

_ASK = (
    "INSERT INTO runner.commands(lane, epoch, request)"
    " SELECT lane, epoch, %(request)s FROM runner.lanes"
    " WHERE lane = %(lane)s AND epoch = %(epoch)s AND owner IS NOT NULL RETURNING no"
)
_LOOK = (
    "SELECT c.answer, c.taken_at IS NOT NULL, l.epoch = c.epoch AND l.owner IS NOT NULL"
    " FROM runner.commands c JOIN runner.lanes l USING (lane) WHERE c.no = %(no)s"
)
_WITHDRAW = "SELECT runner.withdraw_v1(%(no)s)"


class TableClient:
    """Implements `ports.ControlClient` for the process that holds a lane.

    `holder.control` is the epoch that it holds the lane at.
    """

    def __init__(
        self,
        url: JournalUrl,
        lane: int,
        holder: Holder,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._url = url
        self._lane = lane
        self._holder = holder
        self._sleep = sleep

    def ask(self, request: ControlRequest) -> ControlAnswer:
        """Return the run's answer. A command that no run has taken in time is withdrawn.

        Raises `NotRunning`, which says whether it may be in force, and `StorageError`.
        """
        with closing(connect(self._url)) as connection, translated(self._url):
            line = request_line(request).decode().strip()
            values = {"lane": self._lane, "epoch": int(self._holder.control or 0), "request": line}
            return self._answer_to(connection, {"no": self._given(connection, values)})

    def _given(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Give the command, once the role has less than its share open; return its number."""
        for _ in range(LOOKS):
            try:
                found = ask(connection, _ASK, values)
            except psycopg.Error as error:
                if error.sqlstate != BUSY:
                    raise
                self._sleep(LOOK_S)
                continue
            if not found:
                raise NotRunning(f"{self._holder} has ended just now; nothing was changed")
            return int(found[0][0])
        raise NotRunning(
            f"{self._holder} has other commands of this database role to take first; nothing was"
            " changed. Give it again, or by a role of your own"
        )

    def _answer_to(self, connection: Connection, command: Mapping[str, Any]) -> ControlAnswer:
        is_withdrawn = False
        for _ in range(LOOKS):
            ((answer, is_taken, owns),) = ask(connection, _LOOK, command)
            if answer is not None:
                return _read(answer)
            if not is_taken and not owns:
                is_withdrawn = _withdrawn(connection, command)
            if is_withdrawn or (is_taken and not owns):
                break
            self._sleep(LOOK_S)
        if is_withdrawn or _withdrawn(connection, command):
            raise NotRunning(
                f"{self._holder} did not take the command, which is withdrawn: nothing was changed."
                " Its run has ended, or it cannot reach the journal"
            )
        show = shell_line(control(str(self._url), "show"))
        raise NotRunning(
            f"{self._holder} took the command and did not answer; whether it is in force is not"
            f" known; what shows it: {show}"
        )


def _withdrawn(connection: Connection, command: Mapping[str, Any]) -> bool:
    """Withdraw a command, and return whether no run had taken it."""
    return bool(ask(connection, _WITHDRAW, command)[0][0])


def _read(answer: str) -> ControlAnswer:
    try:
        return read_answer(answer.encode())
    except Malformed as error:
        raise NotRunning(f"the run's answer cannot be read ({error})") from None
