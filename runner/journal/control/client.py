"""The operator's end of the socket: checks who answers, and asks once."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runner.core.errors import NotRunning
from runner.core.next_steps import control, shell_line
from runner.journal.control.peer import peer_of
from runner.journal.control.wire import (
    LONGEST_ANSWER,
    Malformed,
    read_answer,
    request_line,
)
from runner.ports.control import ControlAnswer, ControlRequest
from runner.ports.journal_access import Holder

ANSWER_S = 30.0
"""How long the run may take to answer: it journals a command first."""

TRIES = 10
BUSY_S = 0.5


class SocketClient:
    """Implements `ports.ControlClient` for the process that holds a journal's lock."""

    def __init__(
        self,
        holder: Holder,
        journal: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
        answer_s: float = ANSWER_S,
    ) -> None:
        """Name the process, its journal as commands name it, and how long it may take to answer."""
        self._holder = holder
        self._journal = journal
        self._sleep = sleep
        self._answer_s = answer_s

    def ask(self, request: ControlRequest) -> ControlAnswer:
        """Return the run's answer; a busy one is asked again, with the same id."""
        for _ in range(TRIES):
            answer = self._ask_once(request)
            if not answer.state.get("busy"):
                break
            self._sleep(BUSY_S)
        return answer

    def _ask_once(self, request: ControlRequest) -> ControlAnswer:
        holder = self._holder
        if holder.control is None:
            raise NotRunning(
                f"{holder} takes no commands yet, or none at all; its log says why."
                " It can be stopped by SIGTERM"
            )
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._answer_s)
            try:
                connection.connect(str(Path(holder.control)))
                self._check_peer(connection)
                with suppress(BrokenPipeError, ConnectionResetError):  # a busy run answers unasked
                    connection.sendall(request_line(request))
                return read_answer(_line_of(connection))
            except TimeoutError:
                show = shell_line(control(self._journal, "show"))
                raise NotRunning(
                    f"{holder} did not answer within {self._answer_s:g} s; whether it took the"
                    f" command is not known; what shows it: {show}"
                ) from None
            except PermissionError:
                raise NotRunning(
                    f"this account may not control {holder}; use the account of the run, or a"
                    " member of policy.control_group"
                ) from None
            except (OSError, Malformed) as error:
                raise NotRunning(f"{holder} cannot be asked ({error})") from None

    def _check_peer(self, connection: socket.socket) -> None:
        """Raise `NotRunning` if another process than the lock's holder answers."""
        peer, holder = peer_of(connection), self._holder
        if peer.pid not in {None, holder.pid} or holder.uid not in {None, peer.uid}:
            raise NotRunning(
                f"at {holder.control} answers process {peer.pid} of uid {peer.uid}, not {holder};"
                " nothing was sent to it"
            )


def _line_of(connection: socket.socket) -> bytes:
    found = b""
    while b"\n" not in found and len(found) < LONGEST_ANSWER:
        part = connection.recv(65_536)
        if not part:
            raise Malformed("it ended the connection without an answer")
        found += part
    return found.partition(b"\n")[0]
