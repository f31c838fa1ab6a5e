"""Sends a run's metrics by OTLP beside it, in a thread of its own (cli.md, "Metrics")."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from prometheus_client.metrics_core import Metric

from runner.metrics.otlp_sender import OtlpSender, resource_of
from runner.metrics.otlp_settings import OtlpSettings
from runner.metrics.run_metrics import RunMetrics
from runner.ports import Progress

CLOSE_S = 5.0
"""How long the end waits for the last export."""

CLOSE_AFTER_FAILURE_S = 1.0
"""How long the end waits where an earlier export failed."""

SUPPRESSED = "not a loopback address; under the simulator nothing else is called"


class Sender(Protocol):
    """Sends metrics; returns why they were not taken, or None."""

    def send(self, metrics: Iterable[Metric]) -> str | None:
        """Send them, however long that takes; never raises."""


class OtlpExport:
    """Sends metrics every so often, and once more at the end. No method raises, or waits but `close`.

    `collect` returns what is sent; nothing as long as there is nothing. The first failure is warned
    of, and no other: what is sent are figures as they stand, and the next ones replace them.
    """

    def __init__(
        self,
        settings: OtlpSettings,
        sender: Sender,
        collect: Callable[[], Iterable[Metric]],
        warn: Callable[..., object],
    ) -> None:
        self._settings = settings
        self._sender = sender
        self._collect = collect
        self._warn = warn
        self._lock = threading.Lock()
        self._has_failed = self._is_closed = False
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if settings.refused is not None:
            self._failed(settings.refused)
            return
        self._thread = threading.Thread(target=self._work, name="otlp", daemon=True)
        self._thread.start()

    def send_now(self) -> None:
        """Send without waiting for the interval's end."""
        self._wanted.set()

    def close(self) -> None:
        """Send a last time, and wait for that a little; idempotent."""
        if self._thread is None or self._is_closed:
            return
        self._ended.set()
        self._wanted.set()
        within_s = CLOSE_AFTER_FAILURE_S if self._has_failed else CLOSE_S
        self._thread.join(within_s)
        if self._thread.is_alive():
            self._failed(f"no answer within {within_s:g} s of the end")
        with self._lock:
            self._is_closed = True

    def _work(self) -> None:
        is_last = False
        while not is_last:
            self._wanted.wait(self._settings.every_s)
            self._wanted.clear()
            is_last = self._ended.is_set()
            metrics = list(self._collect())
            if metrics and (why := self._sender.send(metrics)) is not None:
                self._failed(why)

    def _failed(self, why: str) -> None:
        with self._lock:
            if self._has_failed or self._is_closed:
                return
            self._has_failed = True
        self._warn("metrics could not be sent (OTLP)", to=self._settings.variable, why=why)


class RunExport:
    """Observes a run, and sends where it stands.

    Nothing is sent before the run has its lock and its plan. `wall` returns seconds since the epoch.
    """

    def __init__(
        self,
        settings: OtlpSettings,
        labels: Mapping[str, str],
        *,
        simulated: bool,
        wall: Callable[[], float],
        observer: Any,
        sender: Sender | None = None,
    ) -> None:
        """Begin to send; under the simulator to loopback addresses alone."""
        self._metrics = RunMetrics(labels, started_at=wall())
        self._wall = wall
        self._export: OtlpExport | None = None
        if simulated and not settings.is_loopback:
            observer.noticed("metrics are not sent (OTLP)", to=settings.variable, why=SUPPRESSED)
            return
        self._export = OtlpExport(
            settings,
            sender or OtlpSender(resource_of(), is_loopback=settings.is_loopback),
            self._collect,
            observer.warned,
        )

    def noticed(self, event: str, **fields: Any) -> None:
        """Begin to send once the run is planned; note its id."""
        if event == "planned":
            self._metrics.begin(fields)
            if self._export is not None:
                self._export.send_now()

    def warned(self, event: str, **fields: Any) -> None:
        """Do nothing: the log has it."""

    def progressed(self, progress: Progress) -> None:
        """Note where the run stands."""
        self._metrics.progress = progress

    def ended(self, code: int, finished_at: str | None) -> None:
        """Note how the run ended, and when, as RFC 3339."""
        self._metrics.end(code, finished_at)

    def close(self) -> None:
        """Send a last time; idempotent."""
        if self._export is not None:
            self._export.close()

    def _collect(self) -> Iterable[Metric]:
        if not self._metrics.run:
            return ()
        self._metrics.written_at = self._wall()
        return self._metrics.collect()
