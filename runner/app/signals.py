"""SIGINT, SIGTERM and SIGHUP: the first drains the run, the second ends it (recovery.md, "Runs")."""

from __future__ import annotations

import os
import signal
import time
from asyncio import CancelledError, current_task, get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from types import FrameType
from typing import TYPE_CHECKING

from runner.core.errors import Interrupted
from runner.core.exit_code import ExitCode

if TYPE_CHECKING:  # they bring asyncio, which a dry run does without
    from runner.engine.stop import StopSignal
    from runner.ports import Observer

SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HANGUP,
}


ECHO_S = 0.05
"""Within this time the same signal again is the same: timeout(1) sends it to the program and to its group."""


class Signals:
    """Raises `Interrupted` for a signal outside a run; within a run, drains it."""

    def __init__(self) -> None:
        self.last_word: Callable[[], None] = _nothing  # called before the process ends immediately

    def install(self) -> None:
        """Let signals raise `Interrupted`."""
        for number in SIGNALS:
            signal.signal(number, _interrupt)

    @contextmanager
    def stopping(self, stop: StopSignal, observer: Observer) -> Iterator[None]:
        """Let signals drain the batch that runs on the event loop."""
        loop = get_running_loop()
        received: list[tuple[signal.Signals, float]] = []
        for number in SIGNALS:
            loop.add_signal_handler(number, self._stop, stop, observer, number, received)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            self.install()

    @contextmanager
    def deferring(self, observer: Observer) -> Iterator[None]:
        """Ignore the first signal while the report is written: the run is about to end."""
        received: list[int] = []

        def defer(number: int, _frame: FrameType | None) -> None:
            received.append(number)
            name = signal.Signals(number).name
            if len(received) > 1:
                self.last_word()
                os._exit(SIGNALS[signal.Signals(number)])
            message = "the report is being written; a second signal ends the run without one"
            observer.warned(message, signal=name)

        for number in SIGNALS:
            signal.signal(number, defer)
        try:
            yield
        finally:
            self.install()

    @contextmanager
    def cancelling(self) -> Iterator[None]:
        """Let the first signal cancel the current task of the event loop.

        The task then raises `Interrupted`. Raised by the signal's handler, it would end in any
        callback of the loop.
        """
        loop, task = get_running_loop(), current_task()
        received: list[signal.Signals] = []

        def cancel(number: signal.Signals) -> None:
            received.append(number)
            if task is not None:
                task.cancel()

        for number in SIGNALS:
            loop.add_signal_handler(number, cancel, number)
        try:
            yield
        except CancelledError:
            if not received:
                raise
            raise Interrupted(SIGNALS[received[0]]) from None
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
            self.install()

    def _stop(
        self,
        stop: StopSignal,
        observer: Observer,
        number: signal.Signals,
        received: list[tuple[signal.Signals, float]],
    ) -> None:
        code, now = SIGNALS[number], time.monotonic()
        if received and received[0][0] == number and now - received[0][1] < ECHO_S:
            return
        received.append((number, now))
        if len(received) > 1:  # a second signal: end immediately; the journal is intact
            observer.warned(
                "ended at once; what was in flight is in doubt: apply again to look it up",
                signal=number.name,
            )
            self.last_word()
            os._exit(code)
        stop.set(code, f"stopped by {number.name}; transfers in flight were given time to settle")
        observer.warned(
            "stopping: nothing new is sent, transfers in flight are given time to settle;"
            " a second signal ends the run at once",
            signal=number.name,
        )


class RunOrders(Signals):
    """What stops a run that another thread looks after: an order takes the place of a signal."""

    def __init__(self) -> None:
        super().__init__()
        self._guard = Lock()
        self._order: tuple[ExitCode, str] | None = None
        self._tell: Callable[[], object] = _nothing

    def give(self, code: ExitCode, reason: str) -> None:
        """Let the run end with `code`, once what is in flight has settled; the first order stays."""
        with self._guard:
            if self._order is None:
                self._order = (code, reason)
                self._tell()

    @contextmanager
    def stopping(self, stop: StopSignal, observer: Observer) -> Iterator[None]:
        """Let orders drain the batch that runs on the event loop."""
        loop = get_running_loop()

        def follow() -> None:
            if self._order is not None:
                stop.set(*self._order)
                observer.warned("stopping: nothing new is sent", why=self._order[1])

        with self._guard:
            self._tell = partial(loop.call_soon_threadsafe, follow)
            follow()
        try:
            yield
        finally:
            with self._guard:
                self._tell = _nothing

    @contextmanager
    def deferring(self, observer: Observer) -> Iterator[None]:
        """Do nothing: no signal reaches a thread."""
        del observer
        yield


def _nothing() -> None:
    """Do nothing."""


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(SIGNALS[signal.Signals(number)])
