"""SIGINT, SIGTERM and SIGHUP: drain at the first, end at the second (docs/design/recovery.md, "Runs")."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


class Signals:
    """Raises `Interrupted` for a signal outside a run; inside a run drains it."""

    def __init__(self) -> None:
        self.last_word: Callable[[], None] = _nothing  # said before the process ends at once

    def install(self) -> None:
        """Let signals raise `Interrupted` wherever the program is."""
        for number in SIGNALS:
            signal.signal(number, _interrupt)

    @contextmanager
    def stopping(self, stop: StopSignal, observer: Observer) -> Iterator[None]:
        """While a batch runs on the event loop, let signals stop it in order."""
        from asyncio import get_running_loop  # noqa: PLC0415 - only a run has a loop

        loop = get_running_loop()
        received: list[signal.Signals] = []
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
        """While the report is written, let the first signal be: the run is about to end anyway."""
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
        """While the current task serves on the event loop, let the first signal cancel it.

        Raised wherever the program is, `Interrupted` would end in whichever callback of the loop
        it meets. Raises it in the task's place.
        """
        from asyncio import CancelledError, current_task, get_running_loop  # noqa: PLC0415

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
        received: list[signal.Signals],
    ) -> None:
        code = SIGNALS[number]
        received.append(number)
        if len(received) > 1:  # asked twice: at once, whatever it drains for; the journal is whole
            observer.warned(
                "ended at once; what was in flight is in doubt, and apply again looks it up",
                signal=number.name,
            )
            self.last_word()
            os._exit(code)
        stop.set(code, f"stopped by {number.name}; what was in flight got its time to settle")
        observer.warned(
            "stopping: nothing new is sent, what is in flight gets its time to settle;"
            " a second signal ends the run at once",
            signal=number.name,
        )


def _nothing() -> None:
    """Say nothing."""


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted(SIGNALS[signal.Signals(number)])
