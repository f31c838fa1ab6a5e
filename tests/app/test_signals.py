"""Signals around a run: what they mean depends on what goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from runner.app.signals import SIGNALS, Signals
from runner.core.errors import Interrupted
from runner.engine.stop import StopSignal
from runner.testing.observer import RecordingObserver


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", list(SIGNALS))
def test_a_signal_while_the_report_is_written_takes_nothing_from_it(number: signal.Signals):
    observer, written = RecordingObserver(), []
    signals = Signals()
    with signals.deferring(observer):
        os.kill(os.getpid(), number)
        written.append("the report")
    assert written == ["the report"]
    [(message, fields)] = observer.warnings
    assert message == "the report is being written; a second signal ends the run without one"
    assert fields == {"signal": number.name}
    with pytest.raises(Interrupted):  # afterwards it means what it meant before
        os.kill(os.getpid(), number)


def test_the_doubled_signal_of_a_timeout_is_one():
    """timeout(1) sends its signal to the program, and at once to the group that it is in."""
    observer, signals = RecordingObserver(), Signals()

    async def run() -> StopSignal:
        stop = StopSignal()
        with signals.stopping(stop, observer):
            for _ in range(2):  # a second one that counts would end this process
                os.kill(os.getpid(), signal.SIGTERM)
                await asyncio.sleep(0)
        return stop

    assert asyncio.run(run()).is_set
    assert len(observer.warnings) == 1
