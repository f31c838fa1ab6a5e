"""The metrics of a run (cli.md, "Metrics")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from runner.core.timestamps import seconds, seconds_or_none
from runner.ports import Progress
from runner.ports.observer import SessionState


class RunMetrics(Collector):
    """What metrics say of a run; fields are replaced whole, so that a thread may read them.

    `labels` stand on every metric. Times are seconds since the epoch.
    """

    def __init__(self, labels: Mapping[str, str], *, started_at: float) -> None:
        self._labels = dict(labels)
        self.run = ""
        self.started_at = started_at
        self.written_at = started_at
        self.progress: Progress | None = None
        self.finished_at: float | None = None
        self.exit_code: int | None = None

    def begin(self, planned: Mapping[str, Any]) -> None:
        """Take the run's id, and when it began, of the event that it is planned."""
        self.started_at = seconds_or_none(str(planned.get("started_at"))) or self.started_at
        self.run = str(planned.get("run", ""))

    def end(self, code: int, finished_at: str | None) -> None:
        """Take how the run ended, and when, as RFC 3339; the metrics' own time of writing is later."""
        self.finished_at = None if finished_at is None else seconds(finished_at)
        self.exit_code = code

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics that have a value."""
        yield self._gauge("info", "The run.", 1, run=self.run)
        yield self._gauge("started_timestamp_seconds", "When the run began.", self.started_at)
        yield self._gauge(
            "updated_timestamp_seconds", "When these figures were taken.", self.written_at
        )
        if self.finished_at is not None:
            yield self._gauge("finished_timestamp_seconds", "When it ended.", self.finished_at)
        if self.exit_code is not None:
            yield self._gauge("exit_code", "The exit code of the run that ended.", self.exit_code)
        if (progress := self.progress) is not None:
            yield from self._of_progress(progress)

    def _of_progress(self, progress: Progress) -> Iterator[Metric]:
        outcomes = GaugeMetricFamily(
            "runner_transfers", "Transfers by outcome.", labels=[*self._labels, "outcome"]
        )
        for outcome, number in progress.outcomes.items():
            outcomes.add_metric([*self._labels.values(), str(outcome)], number)
        yield outcomes
        latency = progress.latency_ms
        for name, text, value in (
            ("transfers_planned", "Transfers that the run is to send.", progress.total),
            ("transfers_settled", "Transfers whose outcome is known.", progress.settled),
            ("transfers_in_flight", "Transfers without a reply yet.", progress.in_flight),
            ("frames_sent", "Frames that left.", progress.sent),
            ("frames_per_second", "Frames that left in the last second.", progress.sent_per_s),
            ("rate_per_second", "The pace in force.", progress.rate_per_s),
            ("rate_limit_per_second", "What the pace may climb to.", progress.limit_per_s),
            ("callbacks_owed", "Callbacks that are not delivered yet.", progress.callbacks_owed),
            ("session_open", "1: frames can leave.", progress.session is SessionState.OPEN),
            ("waiting", "1: something holds the run.", progress.waiting_for is not None),
            ("stopping", "1: nothing new is sent.", progress.is_stopping),
        ):
            if value is not None:
                yield self._gauge(name, text, value)
        if latency is not None:
            yield from self._latency(latency)

    def _latency(self, latency: Any) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "runner_latency_seconds",
            "Latency of the last replies.",
            labels=[*self._labels, "quantile"],
        )
        for quantile, value in (("0.5", latency.p50), ("0.99", latency.p99)):
            family.add_metric([*self._labels.values(), quantile], value / 1000)
        yield family

    def _gauge(self, name: str, text: str, value: float, **further: str) -> Metric:
        labels = self._labels | further
        family = GaugeMetricFamily(f"runner_{name}", text, labels=list(labels))
        family.add_metric(list(labels.values()), float(value))
        return family


class MetricsOfRuns(Collector):
    """The metrics of several runs, each metric once: a file names none twice."""

    def __init__(self, runs: Sequence[RunMetrics]) -> None:
        self._runs = runs

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with the samples of all runs."""
        found: dict[str, Metric] = {}
        for run in self._runs:
            for metric in run.collect():
                if metric.name in found:
                    found[metric.name].samples += metric.samples
                else:
                    found[metric.name] = metric
        yield from found.values()
