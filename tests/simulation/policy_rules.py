"""Whether runs went no farther than they might: by the ledger's frames and the journal's chain."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from runner.core.manifest.destinations import STATES
from runner.core.pacing.waves import (
    batch_ends,
    most_failures,
    most_failures_of_wave,
    wave_of,
    wave_sizes,
)
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.reasons import Code
from tests.simulation.capacity import LEAST_ON_QUEUE, LONG_S, MOST_WAITING, PRESENT
from tests.simulation.evidence import NEGATIVE, POSITIVE, TOO_FAST, Evidence, first_read
from tests.simulation.ledger import Answer, Frame
from tests.simulation.process import Course
from tests.simulation.recurring_windows import are_open

FINAL = frozenset({"transferred", "rejected", "skipped", "failed"})
FAILED = frozenset({"rejected", "failed"})
WINDOW = 4
"""The window of a destination's rate, in intervals."""

EARLY_S = 0.01
"""What is lost when a moment is written down to the millisecond."""

BEGINNINGS = frozenset({"intent", "repeated"})


def left_outside_the_window(evidence: Evidence) -> Iterator[str]:
    """Find frames that left when, by the clock of their machine, the window was shut."""
    for frame in evidence.ledger.frames:
        policy = evidence.courses[frame.run].policy
        if policy.window is not None and not policy.window.is_open(frame.wall_s):
            yield f"run {frame.run}: {frame.message_id} at {frame.wall_s:.6f}, {policy.window}"
        if not are_open(policy.windows, frame.wall_s):
            yield f"run {frame.run}: {frame.message_id} at {frame.wall_s:.6f}, {policy.windows}"


def waited_in_vain(evidence: Evidence) -> Iterator[str]:
    """Find runs that waited for their windows until those were not open."""
    for waited in evidence.waited:
        if not are_open(waited.windows, waited.wall_s):
            yield f"run {waited.run}: until {waited.wall_s:.6f}, {waited.windows}"


def left_before_retry_after(evidence: Evidence) -> Iterator[str]:
    """Find frames that left while the gateway had asked an earlier run, which knew it, to wait.

    Only a frame's first answer asks for it: after another this one contradicts.
    """
    if evidence.sets_clocks:
        return  # a wait is kept by the clocks of two processes
    asked = [
        (answer.read_at + answer.retry_after_s, answer)
        for frame in evidence.ledger.frames
        for answer in _first_answers(frame)
        if answer.status == TOO_FAST and answer.retry_after_s and evidence.was_heeded(answer)
        if answer.read_at is not None and answer.session == frame.session
        and answer.read_at < frame.left_at + evidence.orders.policy.negotiation_timeout_s - 0.5
    ]  # fmt: skip
    for frame in evidence.ledger.frames:
        for until, answer in asked:
            read_at, reader = answer.read_at or 0.0, answer.reader or 0
            if reader < frame.run and read_at < frame.left_at < until - EARLY_S:
                yield f"run {frame.run}: {frame.message_id} {until - frame.left_at:.3f} s before"


def _first_answers(frame: Frame) -> Sequence[Answer]:
    """Return the answer to a frame that was read first; nothing if none was."""
    read = [answer for answer in frame.answers if answer.read_at is not None]
    return sorted(read, key=lambda answer: answer.read_at or 0.0)[:1]


def left_when_forbidden(evidence: Evidence) -> Iterator[str]:
    """Find frames that left in a pause, or after the run was told to stop."""
    for frame in evidence.ledger.frames:
        if frame.forbidden is not None:
            yield f"run {frame.run}: {frame.message_id} {frame.forbidden}"


def left_for_a_full_destination(evidence: Evidence) -> Iterator[str]:
    """Find frames that left while what the run was told last shut their destination (`while`)."""
    for frame in evidence.ledger.frames:
        for entry in evidence.courses[frame.run].capacity.entries:
            if entry.observes and (
                why := _why_full(evidence, frame, {*entry.bounds, *entry.states})
            ):
                yield f"run {frame.run}: {frame.message_id} to {frame.destination_uri}: {why}"


def _why_full(evidence: Evidence, frame: Frame, looked_at: set[str]) -> str | None:
    figures = {
        name: value
        for name, value in (frame.figures or {}).items()
        if isinstance(value, str if name in STATES else float)
    }
    if looked_at - figures.keys():
        return f"{sorted(looked_at - figures.keys())} are not known"
    waiting = float(figures.get("waiting", 0.0)) + _not_counted_yet(evidence, frame)
    if "waiting" in looked_at and waiting > MOST_WAITING:
        return f"{waiting:g} wait"
    if "on_queue" in looked_at and float(figures["on_queue"]) < LEAST_ON_QUEUE:
        return f"{figures['on_queue']} are on queue"
    if "presence" in looked_at and figures["presence"] != PRESENT:
        return f"is {figures['presence']}"
    return None


def _not_counted_yet(evidence: Evidence, frame: Frame) -> int:
    """Return how many the run moved there, or is moving, that the figures surely do not count."""
    within_s = evidence.orders.policy.negotiation_timeout_s - 0.5
    found = set[str]()
    for other in evidence.ledger.frames:
        if other is frame:
            break  # they are in the order in which they left
        done = first_read(other, POSITIVE)
        is_ours = (other.run, other.destination_uri) == (frame.run, frame.destination_uri)
        if is_ours and done is not None and frame.figures_at < done <= other.left_at + within_s:
            no = first_read(other, NEGATIVE | {TOO_FAST})
            if no is None and {answer.session for answer in other.answers} <= {other.session, None}:
                found.add(other.interaction_id)
    return len(found - {frame.interaction_id})


def passed_its_bound(evidence: Evidence) -> Iterator[str]:
    """Find frames that left for a queue in which as many truly waited, or were on their way, as may.

    What the gateway denied, or did only after its answer was not waited for any more, counts nowhere.
    """
    target, frames = evidence.orders.target, evidence.ledger.frames
    if target is None:
        return
    within_s = evidence.orders.policy.negotiation_timeout_s
    unforeseen = {
        frame.interaction_id
        for frame in frames
        if (frame.effect_at or 0.0) > frame.left_at + within_s
        or evidence.was_lied_about(frame.interaction_id)
    }
    for n, frame in enumerate(frames):
        if not evidence.courses[frame.run].capacity.observed([frame.destination_uri]):
            continue
        here, at = frame.destination_uri, frame.left_at
        on_their_way = {
            other.interaction_id
            for other in frames[:n]
            if other.destination_uri == here and (other.effect_at or 0.0) > at
        }
        there = {*target.waiting_at(at, evidence.ledger.effects, here), *on_their_way}
        if len(there - unforeseen - {frame.interaction_id}) > MOST_WAITING:
            yield f"run {frame.run}: {frame.message_id} to {here}: {sorted(there)}"


def starved(evidence: Evidence) -> Iterator[str]:
    """Find runs that gave a queue up which had room for half of that time, as all they did was known."""
    target, ledger = evidence.orders.target, evidence.ledger
    if target is None or evidence.stalled_s:
        return
    for run in evidence.runs:
        frames = [frame for frame in ledger.frames if frame.run == run.run]
        uris = evidence.courses[run.run].destinations
        is_full = "destination full" in (run.explanation or "") and len(uris) == 1
        is_known = not run.elsewhere and not any(
            row.outcome is Outcome.IN_DOUBT for row in run.rows
        )
        if not is_full or not is_known or not all(map(_first_answers, frames)):
            continue
        since = run.ended_at - LONG_S / 2
        is_idle = all(
            (answer.read_at or 0.0) < since for each in frames for answer in _first_answers(each)
        )
        there = target.waiting_at(since, ledger.effects, uris[0])
        if is_idle and len(there) <= MOST_WAITING:
            yield f"run {run.run}: {run.explanation}"


def beyond_a_destinations_rate(evidence: Evidence, *, late_s: float = 0.0) -> Iterator[str]:
    """Find destinations that got more frames in a window than their rate allows, and one.

    A driver may write a frame up to `late_s` after the engine handed it over.
    """
    for entry in evidence.orders.capacity.entries:
        if entry.rate_per_s is None:
            continue
        window_s = WINDOW / entry.rate_per_s - 1e-6
        left: dict[tuple[int, str], list[float]] = {}
        for frame in evidence.ledger.frames:
            times = left.setdefault((frame.run, frame.destination_uri), [])
            times.append(frame.left_at)
            recent = sum(at > frame.left_at - window_s for at in times)
            if recent > WINDOW + 1 + late_s * entry.rate_per_s:
                yield f"run {frame.run}: {recent} to {frame.destination_uri} in {window_s:g} s"


def begun_too_early(evidence: Evidence) -> Iterator[str]:
    """Find waves that began, or were sent of, before the last one was final and healthy."""
    for told in _retold(evidence):
        yield from told.too_early


def more_failed_than_promised(evidence: Evidence) -> Iterator[str]:
    """Find runs in which more than one failure too many ever existed at a time."""
    for told in _retold(evidence):
        if told.most is not None and told.most_failed > told.most + 1:
            yield f"run {told.run}: {told.most_failed} failed, {told.most} were allowed"


def stopped_by_known_failures(evidence: Evidence) -> Iterator[str]:
    """Find runs that their failures stopped though all of them were known from earlier runs."""
    told = {retold.run: retold for retold in _retold(evidence)}
    for run in evidence.runs:
        by_failures = "rejected or failed" in (run.explanation or "")
        if by_failures and run.run in told and not told[run.run].most_failed:
            yield f"run {run.run}: {run.explanation}"


def failed_by_an_outage(evidence: Evidence) -> Iterator[str]:
    """Find transfers that failed by look-ups though only the whole REST side ever failed."""
    if evidence.rest_faults:
        return
    for run in evidence.runs:
        for row in run.rows:
            if row.outcome is Outcome.FAILED and row.reason_code == Code.LOOK_UP_FAILED:
                yield f"run {run.run}: {row.key} ({row.reason})"


def sent_before_others(evidence: Evidence) -> Iterator[str]:
    """Find what failed before and was sent while something else had not had its turn."""
    for told in _retold(evidence):
        for row in told.before_others:
            yield f"run {told.run}: row {row}"


def sent_after_too_many_failures(evidence: Evidence) -> Iterator[str]:
    """Find frames of intents that were written down behind the failure that was one too many."""
    sent = {(frame.run, frame.message_id) for frame in evidence.ledger.frames}
    for told in _retold(evidence):
        for message_id in told.behind_the_limit:
            if (told.run, message_id) in sent:
                yield f"run {told.run}: {message_id}"


@dataclass(slots=True)
class Retold:
    """One run, retold event by event from the audit chain."""

    run: int
    course: Course
    row_of: Mapping[int, int]  # its transfers: the numbers of their rows
    states: dict[int, str] = field(default_factory=dict)  # by row
    begun: int = 0  # the last wave that began
    too_early: list[str] = field(default_factory=list)
    is_over: bool = False  # failures exceed what is allowed
    counted: set[int] = field(default_factory=set)  # rows whose failures count
    most_failed: int = 0  # at a time
    before_others: list[int] = field(default_factory=list)
    behind_the_limit: list[str] = field(default_factory=list)  # ids of messages

    @property
    def ends(self) -> tuple[int, ...]:
        """How many transfers are begun by the end of each wave."""
        course = self.course
        return batch_ends(course.policy.waves, len(course.sends), course.failed_before)

    @property
    def most(self) -> int | None:
        """How many may fail; None: any number."""
        return most_failures(self.course.policy.max_failures, total=len(self.course.sends))

    def take(self, event: Mapping[str, Any]) -> None:
        """Go on by one event."""
        if event["event"] == "wave begun":
            self._begin(event["wave"])
            return
        if event["event"] in BEGINNINGS and self.is_over:
            self.behind_the_limit.append(event["message_id"])
        row = self.row_of.get(event.get("transfer", -1))
        if row is None or "state" not in event:
            return  # of another run's transfer, or of none
        if event["event"] == "intent" and self.ends:
            wave = wave_of(self.course.sends.index(row) + 1, self.ends)
            if wave is not None and wave > self.begun:
                self.too_early.append(f"run {self.run}: row {row} of wave {wave} in {self.begun}")
        if event["event"] == "intent" and row in self.course.failed_as:
            others = [n for n in self.course.sends if n not in self.course.failed_as]
            if any(self.states.get(n, "ready") == "ready" for n in others):
                self.before_others.append(row)
        self.states[row] = event["state"]
        self.counted.discard(row)
        code = event.get("reason_code", event.get("status"))
        if event["state"] in FAILED and (code or "") != (self.course.failed_as.get(row) or None):
            self.counted.add(row)
        self.most_failed = max(self.most_failed, len(self.counted))
        if self.most is not None and len(self.counted) > self.most:
            self.is_over = True

    def _begin(self, wave: int) -> None:
        if not self.ends:
            return  # what the run alone may do is not judged
        for row in self.course.sends[: (0, *self.ends)[wave - 1]]:
            if self.states.get(row) not in FINAL:
                state = self.states.get(row)
                self.too_early.append(f"run {self.run}: wave {wave} while row {row} is {state}")
        if wave > 1:
            self._judge_health(wave - 1)
        self.begun = wave

    def _judge_health(self, wave: int) -> None:
        size, begin = wave_sizes(self.ends)[wave - 1], (0, *self.ends)[wave - 1]
        failed = len(self.counted.intersection(self.course.sends[begin : begin + size]))
        limit, total = self.course.policy.max_failures, len(self.course.sends)
        if failed > most_failures_of_wave(limit, size=size, total=total):
            self.too_early.append(f"run {self.run}: wave {wave} was not healthy")


@lru_cache(maxsize=1)
def _retold(evidence: Evidence) -> Sequence[Retold]:
    """Return every run that the journal knows, retold to its end."""
    found = []
    with closing(sqlite3.connect(evidence.orders.journal)) as connection:
        for number, name in connection.execute("SELECT no, id FROM runs").fetchall():
            run = int(name.removeprefix("run-"))
            if run not in evidence.courses:
                continue
            rows = connection.execute("SELECT id, n FROM transfers WHERE run = ?", [number])
            told = Retold(run, evidence.courses[run], dict(rows.fetchall()))
            for (body,) in connection.execute(
                "SELECT body FROM events WHERE run = ? ORDER BY seq", [number]
            ):
                told.take(json.loads(body))
            found.append(told)
    return found
