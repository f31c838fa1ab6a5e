"""What the engine's tests are made of: rows, policies, journals, scripts of answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runner.core.manifest.dated_window import Window
from runner.core.manifest.media import Audio, MediaMatrix
from runner.core.manifest.model import Policy, RetryPolicy
from runner.core.manifest.quantity import EVERYTHING, Amount, Share
from runner.core.transfer.doubt_evidence import Baseline, SendClocks
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.rows import PlannedRow
from runner.core.transfer.states import State
from runner.ports import Doubt, Intent, JournalledTransfer
from runner.testing.gateway import CARRIED_OUT, Answer, FakeGateway, Frame, Script
from runner.testing.journal import FakeJournal
from runner.testing.loop_clock import UPTIME_S, WALL_S

HD = MediaMatrix(Audio("opus", 64, 16))
NARROW = MediaMatrix(Audio("pcmu", 64, 8))
HERE = "genesys://queue/here"

NO_PREFLIGHT = Policy(preflight=False, retry=RetryPolicy(4, 1, 30))
NO = Answer("transfer_rejected", reason="agent gone")
CANARY = (1, Share(0.1), EVERYTHING)


def rows(number: int = 1, **changes: Any) -> list[PlannedRow]:
    """Return so many rows: `k0` moves `i0`, and so on."""
    plain = PlannedRow("", "", HERE, (HD,), (), "batch.yaml:1", n=0)
    return [
        replace(plain, n=n, key=f"k{n}", interaction_id=f"i{n}", **changes) for n in range(number)
    ]


def course(*waves: Amount, fails: Amount | None = None, window: Window | None = None) -> Policy:
    return replace(NO_PREFLIGHT, waves=waves, max_failures=fails, window=window)


def past(
    message_id: str, state: State, row: PlannedRow, version: int = 3
) -> dict[str, JournalledTransfer]:
    return {message_id: JournalledTransfer(row, 40, 40, version, state, 1)}


def left_behind(
    *,
    listed: bool = True,
    baseline: Baseline | None = None,
    age_s: float = 60,
    boot: str = "this boot",
) -> FakeJournal:
    """Return a journal in which an earlier run left `i8` in doubt."""
    row = replace(rows(9)[8], n=0 if listed else -1)
    hand_over = SendClocks(WALL_S - age_s, boot, UPTIME_S - age_s, None)
    intent = Intent(1, "old", 0, '{"id":"old","interaction_id":"i8","destination_uri":"d"}',
                    hand_over, baseline)  # fmt: skip
    standing = JournalledTransfer(row, 40, 40, 2, State.UNKNOWN, 1)
    return FakeJournal(left=[Doubt(standing, listed, frozenset({"old"}), intent, notified=False)])


class DatedGateway(FakeGateway):
    """Its look-ups tell the gateway's time, `ahead_s` before ours."""

    ahead_s = 0.0

    async def look_up(self, interaction_id: str) -> Interaction:
        """Look up, with a date."""
        seen = await super().look_up(interaction_id)
        return replace(seen, date_s=WALL_S + self.look_ups[-1][0] + self.ahead_s)


def refusing(*interactions: str, after_s: float = 0.02) -> Script:
    """Return a script that refuses these, and carries every other one out."""

    def script(frame: Frame) -> list[Answer]:
        answer = NO if frame.interaction_id in interactions else CARRIED_OUT
        return [replace(answer, after_s=after_s)]

    return script
