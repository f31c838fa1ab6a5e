"""The metrics of a worker: served on loopback, and sent by OTLP (docs/fleet.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from runner.app.worker import WorkerFigures


class WorkerMetrics(Collector):
    """A worker's figures as metrics; `now` returns monotonic seconds."""

    def __init__(self, figures: WorkerFigures, now: Callable[[], float]) -> None:
        self._figures = figures
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; ages are infinite as long as nothing has happened."""
        figures, now = self._figures, self._now()
        for name, text, value in (
            ("loop_age_seconds", "Since the worker's loop went round.", now - figures.looked_at),
            ("journal_age_seconds", "Since the journal last answered.", now - figures.reached_at),
            ("submissions", "Submissions that this worker carries now.", figures.running),
            ("drained", "Whether the worker takes nothing more by order.", figures.is_drained),
        ):
            yield GaugeMetricFamily(f"runner_worker_{name}", text, value=float(value))
        runs = CounterMetricFamily(
            "runner_worker_runs", "Runs of submissions that ended, by exit code.", labels=["code"]
        )
        for code, count in sorted(figures.ended.items()):
            runs.add_metric([str(int(code))], count)
        yield runs
        yield CounterMetricFamily(
            "runner_worker_failures",
            "Runs of submissions that ended with an error.",
            value=figures.failures,
        )

    def text(self) -> str:
        """Return the metrics in Prometheus's text format."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry).decode()
