"""The program with a hook between the last look at the lease and a frame's write, for the nemesis.

NEMESIS_STOP_AT_WRITE=N stops the process by SIGSTOP at its N-th frame. NEMESIS_PLANT makes a mistake
on purpose: `blind-takeover` takes what a dead worker left on its way for not carried out;
`no-fence` neither looks at the lease before a frame nor minds that the fence refused a commit. NEMESIS_CLOCK names a file that says by how many seconds this
host's time of day is off, and NEMESIS_PACE makes the clock of its leases run faster or slower.
NEMESIS_SENT names a file that gets the time of each frame, by a clock that all processes share.
"""

from __future__ import annotations

import os
import signal
import time
from itertools import count
from pathlib import Path
from typing import Any

import runner.__main__
from runner.core.errors import Fenced
from runner.gateways.interaction_transfer.driver import InteractionWebSocket
from runner.journal.postgres import lane_session
from runner.journal.postgres.lease import Lease
from runner.journal.postgres.submission_store import SubmissionStore

_BLIND = (
    b"UPDATE runner.transfers SET state = 'failed', version = version + 1,"
    b" interaction = 'forgotten-' || id"  # a look-up would find out where it is by now
    b" WHERE state IN ('sending', 'resending', 'unknown')"
)


def watch_frames(sent: Path, stop_at: int) -> None:
    """Note when each frame is written; stop this process at its `stop_at`-th frame (0: never).

    Both happen after every check and before the write.
    """
    submit, frames = InteractionWebSocket.submit, count(1)
    file = os.open(sent, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def watched(self: InteractionWebSocket, request: Any) -> None:
        os.write(file, f"{time.monotonic()}\n".encode())
        if next(frames) == stop_at:
            os.kill(os.getpid(), signal.SIGSTOP)
        await submit(self, request)

    InteractionWebSocket.submit = watched  # type: ignore[method-assign]


def take_over_blindly() -> None:
    """Let whoever takes a submission up forget what was on its way."""
    claim = SubmissionStore._claim

    def blind(self: SubmissionStore, claimed: Any, connection: Any) -> None:
        connection.execute(_BLIND)
        claim(self, claimed, connection)

    SubmissionStore._claim = blind  # type: ignore[method-assign]


def send_without_right() -> None:
    """Let a worker that lost its lane write on: neither lease nor epoch stops it."""
    Lease.may_write = lambda self: True  # type: ignore[method-assign]  # noqa: ARG005
    commit = lane_session.LaneSession.commit

    def unfenced(
        self: lane_session.LaneSession, seq: int, head: str, write: Any, **more: Any
    ) -> None:
        with self._one_at_a_time:
            try:
                commit(self, seq, head, write, **more)
            except Fenced:
                self.seq, self.head = seq, head  # as if it were ours still

    lane_session.LaneSession.commit = unfenced  # type: ignore[method-assign]


def run_clocks_apart(skew: Path, pace: float) -> None:
    """Put the time of day off, and let the clock that counts leases run at another pace."""
    wall, uptime, began = time.time, time.clock_gettime, time.clock_gettime(time.CLOCK_BOOTTIME)

    def paced(clock: int) -> float:
        now = uptime(clock)
        return began + (now - began) * pace if clock == time.CLOCK_BOOTTIME else now

    time.time = lambda: wall() + float(skew.read_text())
    time.clock_gettime = paced


def main() -> None:
    """Run the program's command line with the hooks that the environment asks for."""
    run_clocks_apart(Path(os.environ["NEMESIS_CLOCK"]), float(os.environ["NEMESIS_PACE"]))
    watch_frames(Path(os.environ["NEMESIS_SENT"]), int(os.environ["NEMESIS_STOP_AT_WRITE"]))
    match os.environ.get("NEMESIS_PLANT"):
        case "blind-takeover":
            take_over_blindly()
        case "no-fence":
            send_without_right()
    runner.__main__.main()
