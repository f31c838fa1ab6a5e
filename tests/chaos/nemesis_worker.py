"""The program with a hook between the last look at the lease and a frame's write, for the nemesis.

NEMESIS_STOP_AT_WRITE=N stops the process by SIGSTOP at its N-th frame. NEMESIS_PLANT makes a mistake
on purpose: `blind-takeover` takes what a dead worker left on its way for not carried out.
"""

from __future__ import annotations

import os
import signal
from itertools import count
from typing import Any

from runner.__main__ import main
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.journal.postgres.submission_store import SubmissionStore

_BLIND = (
    b"UPDATE runner.transfers SET state = 'failed', version = version + 1,"
    b" interaction = 'forgotten-' || id"  # a look-up would find out where it is by now
    b" WHERE state IN ('sending', 'resending', 'unknown')"
)


def stop_at(frame: int) -> None:
    """Stop this process at its `frame`-th frame, after every check and before the write."""
    submit, frames = InteractionWebSocket.submit, count(1)

    async def stopping(self: InteractionWebSocket, request: Any) -> None:
        if next(frames) == frame:
            os.kill(os.getpid(), signal.SIGSTOP)
        await submit(self, request)

    InteractionWebSocket.submit = stopping  # type: ignore[method-assign]


def take_over_blindly() -> None:
    """Let whoever takes a submission up forget what was on its way."""
    claim = SubmissionStore._claim

    def blind(self: SubmissionStore, claimed: Any, connection: Any) -> None:
        connection.execute(_BLIND)
        claim(self, claimed, connection)

    SubmissionStore._claim = blind  # type: ignore[method-assign]


if int(os.environ.get("NEMESIS_STOP_AT_WRITE", "0")):
    stop_at(int(os.environ["NEMESIS_STOP_AT_WRITE"]))
if os.environ.get("NEMESIS_PLANT") == "blind-takeover":
    take_over_blindly()
main()
