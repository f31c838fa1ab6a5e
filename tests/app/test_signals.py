"""Signals around a run: what they mean depends on what goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from runner.app.signals import SIGNALS, Signals
from runner.core.errors import Interrupted
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
