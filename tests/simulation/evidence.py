"""What the judge has before it: the gateway's ledger, and what each run reported."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from runner.core.exit_code import ExitCode
from tests.simulation.gateway_state import Promised
from tests.simulation.ledger import Answer, Frame, Ledger
from tests.simulation.process import Course, Ended, Orders
from tests.simulation.recurring_windows import Waited

NEGATIVE = frozenset({"transfer_rejected", "codec_unsupported"})
POSITIVE = frozenset({"transfer_initiated", "codec_negotiated"})
TOO_FAST = "rate_limited"

NOTICED_S = 2.0
"""How long after it was read an answer must have been heeded."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that must not have happened."""

    kind: str
    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Everything that is judged. Times are the world's seconds."""

    ledger: Ledger
    runs: Sequence[Ended]
    interactions: Sequence[str]
    orders: Orders
    promised: Promised
    elsewhere: bool  # the evening's batch moves to another place than the morning's
    courses: Mapping[int, Course]  # how each run, killed or not, was to be carried out
    deaths: Mapping[int, float]  # when runs were killed
    boots: int  # how often the machine was started
    wall: float  # the gateway's clock when the world began
    stalled_s: float  # for how long processes were stopped
    listed: Mapping[str, int]  # rows of batches that do not list every interaction
    waited: Sequence[Waited]  # runs that waited for their windows
    sets_clocks: bool  # wall clocks were set
    rest_faults: bool  # single look-ups failed, besides the REST side as a whole

    @property
    def last(self) -> Ended:
        """The last run of the morning's batch, on a fine day."""
        return [run for run in self.runs if run.batch == "morning"][-1]

    def was_heeded(self, answer: Answer, until: float = math.inf) -> bool:
        """Tell whether an answer was read early enough to be heeded, before `until` too."""
        if answer.read_at is None or answer.reader is None:
            return False
        end = self.deaths.get(answer.reader, -math.inf)
        for run in self.runs:
            if run.run == answer.reader and run.halted is not ExitCode.STORAGE:
                end = run.ended_at
        return answer.read_at + NOTICED_S + self.stalled_s <= min(end, until)

    def was_denied(self, frame: Frame, until: float = math.inf) -> bool:
        """Tell whether a no to a frame's id was read by then, and no yes to it was surely heeded."""
        same = [f for f in self.ledger.of(frame.interaction_id) if f.message_id == frame.message_id]
        noes = [first_read(each, NEGATIVE) for each in same]
        noes.append(first_read(frame, frozenset({TOO_FAST})))  # says nothing of its repeats
        return any(no is not None and no <= until for no in noes) and not any(
            self.was_heeded(answer, until)
            for each in same
            for answer in each.answers
            if answer.status in POSITIVE
        )

    def misled(self, interaction_id: str) -> bool:
        """Tell whether a frame left only because the gateway denied what it had done."""
        frames = self.ledger.of(interaction_id)
        return any(
            self.was_denied(done, later.left_at)
            for n, done in enumerate(frames)
            for later in [f for f in frames[n + 1 :] if f.message_id != done.message_id][:1]
            if done.effect_at is not None
        )

    def was_lied_about(self, interaction_id: str) -> bool:
        """Tell whether the gateway ever denied what it had done to an interaction."""
        frames = self.ledger.of(interaction_id)
        done = {frame.message_id for frame in frames if frame.effect_at is not None}
        return any(
            (frame.message_id in done and first_read(frame, NEGATIVE) is not None)
            or (
                frame.effect_at is not None and first_read(frame, frozenset({TOO_FAST})) is not None
            )
            for frame in frames
        )


def first_read(frame: Frame, statuses: frozenset[str]) -> float | None:
    """Return when the first such answer to a frame was read."""
    times = [
        answer.read_at
        for answer in frame.answers
        if answer.status in statuses and answer.read_at is not None
    ]
    return min(times, default=None)
