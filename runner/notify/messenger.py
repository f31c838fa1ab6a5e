"""Sends messages beside a run: a thread for each address, so that none waits for another."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from runner.core.frozen import frozen
from runner.core.manifest.model import Notification
from runner.core.records.run_record import FailedNotification, NotificationRecord
from runner.notify.apprise_delivery import SUPPRESSED, deliver

MOST_WAITING = 100
"""Messages that wait for one address; further ones are not sent."""

MOST_FAILURES = 20
"""Failures that the report lists; the rest are counted."""


class Deliver(Protocol):
    """Sends a message; returns why it was not delivered, or None."""

    def __call__(self, url: str, title: str, body: str, *, simulated: bool) -> str | None:
        """Send it, however long that takes; never raises."""


@frozen
class Message:
    """One message, for those who want to hear of its events."""

    events: frozenset[str]
    title: str
    body: str


class Messenger:
    """Sends messages to the manifest's addresses. No method raises, or waits but `close`."""

    def __init__(
        self, targets: Sequence[Notification], *, simulated: bool, deliver: Deliver = deliver
    ) -> None:
        self._simulated = simulated
        self._deliver = deliver
        self._lock = threading.Lock()
        self._sent = self._suppressed = self._failed = 0
        self._failures: list[FailedNotification] = []
        self._unreported: list[FailedNotification] = []
        self._queues: list[queue.Queue[Message | None]] = []
        self._targets = targets
        self._threads = []
        for target in targets:
            waiting: queue.Queue[Message | None] = queue.Queue(MOST_WAITING)
            self._queues.append(waiting)
            thread = threading.Thread(target=self._work, args=(target, waiting), daemon=True)
            self._threads.append(thread)
            thread.start()

    def send(self, message: Message) -> None:
        """Send a message to everybody who wants to hear of one of its events, once."""
        for target, waiting in zip(self._targets, self._queues, strict=True):
            if not message.events & target.on:
                continue
            try:
                waiting.put_nowait(message)
            except queue.Full:
                self._note(target, message, "too many messages wait for this address")

    def failures(self) -> list[FailedNotification]:
        """Return the failures since the last call."""
        with self._lock:
            new, self._unreported = self._unreported, []
            return new

    def close(self, within_s: float, now: Callable[[], float] = time.monotonic) -> None:
        """Wait for what is on its way, `within_s` seconds at most; then give up."""
        deadline = now() + within_s
        for target, waiting, thread in zip(self._targets, self._queues, self._threads, strict=True):
            with suppress(queue.Full):
                waiting.put(None, timeout=max(0.0, deadline - now()))
            thread.join(max(0.0, deadline - now()))
            if thread.is_alive():
                last = Message(frozenset({"finished"}), "", "")
                self._note(target, last, f"no answer within {within_s:g} s of the run's end")

    def record(self) -> NotificationRecord:
        """Return what became of the messages so far."""
        with self._lock:
            return NotificationRecord(
                self._sent, self._suppressed, self._failed, tuple(self._failures)
            )

    def _work(self, target: Notification, waiting: queue.Queue[Message | None]) -> None:
        while (message := waiting.get()) is not None:
            if target.url is None:  # a rehearsal without production's secrets
                why: str | None = SUPPRESSED
            else:
                why = self._deliver(
                    target.url.reveal(), message.title, message.body, simulated=self._simulated
                )
            self._note(target, message, why)

    def _note(self, target: Notification, message: Message, why: str | None) -> None:
        with self._lock:
            if why is None:
                self._sent += 1
            elif why == SUPPRESSED:
                self._suppressed += 1
            else:
                self._failed += 1
                event = min(message.events & target.on or message.events)
                failure = FailedNotification(event, target.name, why)
                if len(self._failures) < MOST_FAILURES:
                    self._failures.append(failure)
                    self._unreported.append(failure)
