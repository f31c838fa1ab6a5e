"""What is sent by OTLP is decoded by the protocol's own classes, and holds what the file holds."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.metrics_core import Metric

from runner.app.worker import WorkerFigures
from runner.app.worker_metrics import WorkerMetrics
from runner.metrics.otlp_sender import OtlpSender, resource_of
from runner.metrics.run_metrics import RunMetrics
from tests.foreign.receiver import Receiver
from tests.foreign.wire import WebResponse
from tests.metrics.builders import PROGRESS

LABELS = {"batch": "billing", "environment": "production"}
TOKEN = "canary-5f0c"


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with Receiver() as receiver:
        receiver.answer = WebResponse(200)
        yield receiver


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, collector: Receiver) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{TOKEN}")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ams")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # which a loopback address never meets


def run_metrics() -> RunMetrics:
    metrics = RunMetrics(LABELS, started_at=1_800_000_000.0)
    metrics.run, metrics.progress = "r-1", PROGRESS
    metrics.finished_at, metrics.exit_code = 1_800_000_009.0, 6
    return metrics


def decoded(collector: Receiver) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    request.ParseFromString(collector.requests[-1].body)
    return request


def points(request: ExportMetricsServiceRequest) -> dict[tuple[str, ...], float]:
    found = {}
    [resource] = request.resource_metrics
    [scope] = resource.scope_metrics
    for metric in scope.metrics:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            labels = sorted(f"{each.key}={each.value.string_value}" for each in point.attributes)
            found[metric.name, kind, *labels] = point.as_double
    return found


@pytest.mark.usefixtures("variables")
def test_a_runs_figures_arrive_with_the_files_names_and_labels(collector: Receiver):
    sender = OtlpSender(resource_of(), is_loopback=True)
    assert sender.send(run_metrics().collect()) is None
    [request] = collector.requests
    assert request.path == "/hooks/transfer/v1/metrics"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    expected = {
        (sample.name, "gauge", *sorted(f"{k}={v}" for k, v in sample.labels.items())): sample.value
        for metric in run_metrics().collect()
        for sample in metric.samples
    }
    assert points(decoded(collector)) == expected
    assert ("runner_transfers", "gauge", *_labels(outcome="in_doubt")) in expected
    [resource] = decoded(collector).resource_metrics
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert attributes["service.name"] == "runner"
    assert attributes["deployment.environment.name"] == "ams"


def _labels(**further: str) -> list[str]:
    return sorted(f"{name}={value}" for name, value in (LABELS | further).items())


@pytest.mark.usefixtures("variables")
def test_a_workers_counts_are_monotonic_and_what_never_happened_is_left_out(collector: Receiver):
    figures = WorkerFigures(looked_at=9.0, running=2, ended={0: 3, 6: 1}, failures=1)
    sender = OtlpSender(resource_of(), is_loopback=True)
    assert sender.send(WorkerMetrics(figures, lambda: 10.0).collect()) is None
    assert points(decoded(collector)) == {
        ("runner_worker_loop_age_seconds", "gauge"): 1.0,
        ("runner_worker_submissions", "gauge"): 2.0,
        ("runner_worker_drained", "gauge"): 0.0,
        ("runner_worker_runs_total", "sum", "code=0"): 3.0,
        ("runner_worker_runs_total", "sum", "code=6"): 1.0,
        ("runner_worker_failures_total", "sum"): 1.0,
    }
    [resource] = decoded(collector).resource_metrics
    sums = [metric.sum for metric in resource.scope_metrics[0].metrics if metric.HasField("sum")]
    assert all(each.is_monotonic and each.aggregation_temporality == 2 for each in sums)


@pytest.mark.usefixtures("variables")
@pytest.mark.parametrize("status", [302, 401, 500])
def test_what_a_collector_refuses_is_said_by_its_status(collector: Receiver, status: int):
    collector.answer = WebResponse(status, TOKEN.encode(), {"Location": f"/{TOKEN}"})
    sender = OtlpSender(resource_of(), is_loopback=True)
    assert sender.send(run_metrics().collect()) == f"the collector answered {status}"
    assert len(collector.requests) == 1


def test_an_address_that_nobody_listens_at_is_said_without_the_address(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    with socket.socket() as taken:  # bound, and not listening
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}/{TOKEN}")
        sender = OtlpSender(resource_of(), is_loopback=True, within_s=0.5)
        why = sender.send(run_metrics().collect())
    assert why == "the collector could not be reached, or did not answer within 0.5 s"
    assert TOKEN not in caplog.text


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    name = "opentelemetry.exporter.otlp.proto.http.metric_exporter"
    monkeypatch.setitem(sys.modules, name, None)
    why = OtlpSender(resource_of(), is_loopback=True).send(run_metrics().collect())
    assert why == "the OpenTelemetry SDK is not installed: pip install 'interaction-runner[otel]'"


def test_what_the_library_raises_is_said_by_its_name_alone():
    def broken() -> Iterator[Metric]:
        raise RuntimeError(TOKEN)
        yield

    sender = OtlpSender(resource_of(), is_loopback=True)
    assert sender.send(broken()) == "the exporter failed (RuntimeError)"
