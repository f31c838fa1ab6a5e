"""Metrics are sent beside a run: its end waits a little, and its outcome never depends on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from runner.metrics import otlp_export
from runner.metrics.otlp_export import OtlpExport, RunExport
from runner.metrics.otlp_settings import OtlpSettings, otlp_settings
from runner.testing.observer import RecordingObserver

PATIENCE_S = 60.0
NEVER = OtlpSettings("OTEL_EXPORTER_OTLP_ENDPOINT", is_loopback=True, every_s=PATIENCE_S)


class FakeSender:
    """Keeps what is sent; `answers` are given in turn, None from then on."""

    def __init__(self, *answers: str | None, first: Callable[[], object] = lambda: None) -> None:
        self.sent: list[dict[str, float]] = []
        self._answers = list(answers)
        self._first = first

    def send(self, metrics: Iterable[Metric]) -> str | None:
        samples = (sample for metric in metrics for sample in metric.samples)
        self.sent.append({sample.name: sample.value for sample in samples})
        if len(self.sent) == 1:
            self._first()
        return self._answers.pop(0) if self._answers else None


def metrics() -> Iterable[Metric]:
    return [GaugeMetricFamily("runner_info", "", value=1.0)]


def run_export(sender: FakeSender, observer: RecordingObserver, **fields: Any) -> RunExport:
    given: dict[str, Any] = {"settings": NEVER, "simulated": False} | fields
    labels = {"batch": "b", "environment": "e"}
    return RunExport(labels=labels, wall=lambda: 7.0, observer=observer, sender=sender, **given)


def test_the_last_export_has_how_the_run_ended():
    sender, observer = FakeSender(), RecordingObserver()
    export = run_export(sender, observer)
    export.noticed("planned", run="r-1")
    export.ended(6, "1970-01-01T00:00:05Z")
    export.close()
    export.close()
    assert sender.sent[-1]["runner_exit_code"] == 6
    assert sender.sent[-1]["runner_finished_timestamp_seconds"] == 5.0
    assert not observer.warnings


def test_a_run_that_another_one_keeps_out_sends_nothing():
    sender = FakeSender()
    export = run_export(sender, RecordingObserver())
    export.close()
    assert sender.sent == []


def test_what_ends_while_an_export_is_under_way_is_sent_once_more():
    begun, ended = threading.Event(), threading.Event()

    def first() -> None:
        begun.set()
        ended.wait(PATIENCE_S)

    sender = FakeSender(first=first)
    export = OtlpExport(NEVER, sender, metrics, print)
    export.send_now()
    assert begun.wait(PATIENCE_S)
    export._ended.set()  # as `close` does before it waits
    export._wanted.set()
    ended.set()
    export.close()
    assert len(sender.sent) == 2


def test_a_collector_that_is_down_is_warned_of_once():
    sender = FakeSender(*["it is down"] * 9)
    warned: list[tuple[str, dict[str, object]]] = []
    export = OtlpExport(
        NEVER, sender, metrics, lambda event, **fields: warned.append((event, fields))
    )
    export.send_now()
    export.close()
    why = {"to": "OTEL_EXPORTER_OTLP_ENDPOINT", "why": "it is down"}
    assert warned == [("metrics could not be sent (OTLP)", why)]


def test_a_collector_that_hangs_keeps_the_end_for_no_longer_than_said():
    hangs, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        hangs.wait(PATIENCE_S)

    warned: list[str] = []
    export = OtlpExport(
        NEVER, FakeSender("late", first=hang), metrics, lambda event, **_: warned.append(event)
    )
    export.send_now()
    assert begun.wait(PATIENCE_S)
    joined: list[float | None] = []
    thread = export._thread
    assert thread is not None
    export._thread = _Joined(joined)  # type: ignore[assignment]  # no second is waited for here
    export.close()
    assert joined == [otlp_export.CLOSE_S]
    assert warned == ["metrics could not be sent (OTLP)"]
    hangs.set()
    thread.join(PATIENCE_S)
    assert len(warned) == 1  # what fails after the end is nobody's news


class _Joined:
    """A thread that has not ended when its time is over."""

    def __init__(self, joined: list[float | None]) -> None:
        self._joined = joined

    def join(self, timeout: float | None = None) -> None:
        self._joined.append(timeout)

    def is_alive(self) -> bool:
        return True


def test_what_is_refused_is_said_at_once_and_nothing_is_sent():
    sender, observer = FakeSender(), RecordingObserver()
    settings = otlp_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"})
    export = run_export(sender, observer, settings=settings)
    export.noticed("planned", run="r-1")
    export.close()
    assert len(observer.warnings) == 1
    assert sender.sent == []


def test_a_rehearsal_sends_to_loopback_alone():
    sender, observer = FakeSender(), RecordingObserver()
    settings = otlp_settings({"OTEL_EXPORTER_OTLP_ENDPOINT": "https://otel.example.net"})
    export = run_export(sender, observer, settings=settings, simulated=True)
    export.noticed("planned", run="r-1")
    export.ended(0, None)
    export.close()
    assert sender.sent == []
    local = run_export(sender, observer, simulated=True)
    local.noticed("planned", run="r-1")
    local.close()
    assert sender.sent
