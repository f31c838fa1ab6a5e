"""Follows a run of another process, read-only, by its new events."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self

from runner.core import next_steps
from runner.core.records.latency import LATENCIES_KEPT, recent_latency
from runner.core.records.recent_failures import FAILURES_KEPT, RecentFailure, stage_of
from runner.core.records.run_record import RunRecord
from runner.core.timestamps import seconds
from runner.core.transfer.outcome import Outcome
from runner.core.transfer.states import FINAL, OUTCOMES, Event, State
from runner.journal.run_holds import RunHolds
from runner.journal.run_pace import EVENTS, RunPace
from runner.ports import Note, Progress, SessionState
from runner.ports.history import Hold

LOOKED_BACK = 2000
"""Earlier events that the first look reads for latency, session and recent failures."""

AT_ONCE = 20_000
"""Most events that one look reads; the figures of a faster run lag behind briefly."""

PACE_WINDOW_S = 5.0
SHORTEST_SPAN_S = 1.0

_STATES = tuple(State)
_NUMBERS = {state: number for number, state in enumerate(_STATES, 1)}
_UNDER_WAY = (State.SENDING, State.RESENDING)


class RunEvents(Protocol):
    """Reads one run of a journal, of whatever database, for a follower."""

    def reading(self) -> AbstractContextManager[None]:
        """Raise `StorageError` for what goes wrong within, a value that is damaged too."""

    def one_moment(self) -> AbstractContextManager[None]:
        """Let what is read within be of one moment."""

    def first_event(self) -> str | None:
        """Return the body of the run's first event; None: it has none yet."""

    def base(self) -> int:
        """Return the last transfer of earlier runs; 0: there is none."""

    def last_seq(self) -> int:
        """Return the number of the journal's last event; 0: there is none."""

    def transfers(self, base: int) -> Iterable[tuple[int, str]]:
        """Yield id and state of the run's transfers behind `base`."""

    def events(self, seq: int, limit: int) -> Sequence[tuple[int, str]]:
        """Return number and body of the run's next events behind event `seq`."""

    def named(self, seq: int, names: Sequence[str]) -> Sequence[str]:
        """Return the bodies of the run's events up to event `seq` that have one of the names."""

    def to_send(self) -> int:
        """Return how many rows of the plan are to be sent; 0: it is not stored yet."""

    def owed(self) -> int:
        """Return how many callbacks are owed."""

    def run(self) -> tuple[str, bool, bool]:
        """Return the run's record as JSON, whether it has ended, and whether it is the newest."""

    def close(self) -> None:
        """Close the connection."""


class Follower:
    """Reads the progress of one run of a journal, repeatedly.

    The first look reads the run's transfers, a byte of memory each; later ones read only new events.
    No transaction outlives a call. Raises `StorageError`. Commands that it offers name `journal`.
    """

    def __init__(self, source: RunEvents, journal: str) -> None:
        self._source = source
        self._journal = journal
        self._seq = 0
        self._base = 0  # transfers up to here are of earlier runs
        self._states = bytearray()
        self._counts: Counter[State] = Counter()
        self._total = 0
        self._sent = 0
        self._sent_at: deque[float] = deque()
        self._first_sent: float | None = None  # that was read
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._recent_failures: deque[RecentFailure] = deque(maxlen=FAILURES_KEPT)
        self._session = SessionState.DIALLING
        self._has_ended = False
        self._stage: str | None = None
        self._pauses_left_s = 0.0
        self._holds = RunHolds()
        self.has_news = False  # whether the last look found new events
        try:
            with source.reading():
                self._attach()
        except BaseException:
            source.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._source.close()

    def run(self) -> tuple[RunRecord, bool, bool]:
        """Return the run's record, whether it has ended, and whether it is the newest."""
        with self._source.reading():
            record, finished, newest = self._source.run()
            return RunRecord.from_json(json.loads(record)), finished, newest

    def look(self, at: float) -> Progress:
        """Return the run's progress at `at`, seconds since the epoch."""
        with self._source.reading():
            self._read_events()
            if not self._total:  # the plan was not stored yet; it never changes
                self._total = self._source.to_send()
            owed = self._source.owed()
        holds = self.holds(at)
        outcomes: Counter[Outcome] = Counter()
        for state in (*FINAL, State.UNKNOWN):
            outcomes[OUTCOMES[state]] += self._counts[state]
        return Progress(
            total=self._total,
            settled=outcomes.total(),
            outcomes={outcome.value: number for outcome, number in outcomes.items() if number},
            in_flight=sum(self._counts[state] for state in _UNDER_WAY),
            sent=self._sent,
            rate_per_s=self._pace.rate_per_s(at),
            waiting_for="; ".join(hold.cause for hold in holds) or None,
            command=next_steps.ending(self._journal, holds[0].ends_by) if holds else None,
            limit_per_s=self._pace.limit_per_s,
            sent_per_s=self._pace_at(at),
            session=self._session,
            latency_ms=recent_latency(self._latencies_ms),
            callbacks_owed=owed,
            stage=self._stage,
            recent_failures=tuple(self._recent_failures),
            burst=self._burst,
            pauses_left_s=self._pauses_left_s,
        )

    def _attach(self) -> None:
        source = self._source
        first = source.first_event()
        fields = {} if first is None else json.loads(first)
        self._pace = RunPace(fields.get("rate_per_s"))
        self._burst: int | None = fields.get("burst")
        with source.one_moment():
            self._base = source.base()
            last = source.last_seq()
            self._seq = max(0, last - LOOKED_BACK)
            for body in source.named(self._seq, (*EVENTS, Note.WAVE_BEGUN)):
                self._take(json.loads(body))
            self._read_events()
            self._states, self._seq = bytearray(), last
            self._counts.clear()
            for transfer, state in source.transfers(self._base):
                self._put(transfer, State(state))
            self._sent = self._counts.total() - self._counts[State.READY]

    def _read_events(self) -> None:
        found = self._source.events(self._seq, AT_ONCE)
        self.has_news = bool(found)
        for seq, body in found:
            self._seq = seq
            self._take(json.loads(body))

    def _take(self, body: dict[str, Any]) -> None:
        event = body["event"]
        if "state" in body:
            self._step(event, State(body["state"]), body)
        elif event == Note.SESSION_OPENED:
            self._session = SessionState.OPEN
        elif event == Note.SESSION_CLOSED:
            self._session = SessionState.LOST
        elif event == Note.RUN_ENDED:
            self._has_ended = True
        elif event == Note.WAVE_BEGUN:
            self._stage, self._pauses_left_s = stage_of(body), body.get("pauses_left_s", 0.0)
        if "state" not in body:
            self._holds.take(body)
            self._pace.take(body)

    def _step(self, event: str, state: State, body: dict[str, Any]) -> None:
        self._put(body["transfer"], state)
        at = seconds(body["at"])
        if event in {Event.INTENT, Event.REPEATED}:
            self._sent += 1
            self._sent_at.append(at)
            if self._first_sent is None:
                self._first_sent = at
            self._session = SessionState.OPEN  # it opened before the first event read
        if (latency_ms := body.get("latency_ms")) is not None:
            self._latencies_ms.append(latency_ms)
        outcome = OUTCOMES[state]
        if event != Event.WITHDRAWN and outcome.needs_attention and state not in _UNDER_WAY:
            self._recent_failures.append(
                RecentFailure(at, outcome.value, body["key"], body.get("reason"))
            )

    def _put(self, transfer: int, state: State) -> None:
        """Replace a transfer's state in the counts."""
        index = transfer - self._base - 1
        if index < 0:  # a doubt that an earlier run left
            return
        if index >= len(self._states):
            self._states.extend(bytes(index + 1 - len(self._states)))
        if before := self._states[index]:
            self._counts[_STATES[before - 1]] -= 1
        self._states[index] = _NUMBERS[state]
        self._counts[state] += 1

    def _pace_at(self, at: float) -> float:
        while self._sent_at and self._sent_at[0] < at - PACE_WINDOW_S:
            self._sent_at.popleft()
        seen_s = PACE_WINDOW_S if self._first_sent is None else at - self._first_sent
        return len(self._sent_at) / min(PACE_WINDOW_S, max(SHORTEST_SPAN_S, seen_s))

    def holds(self, at: float) -> Sequence[Hold]:
        """Return what holds the run at `at`; a lost session too, unless a person holds it."""
        if self._has_ended:  # since the caller saw it run
            return ()
        holds = self._holds.at(at)
        if self._session is SessionState.OPEN or (holds and holds[0].ends_by is not None):
            return holds
        return (Hold("the session"),)
