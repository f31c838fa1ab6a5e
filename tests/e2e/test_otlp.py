"""OpenTelemetry's variables alone have a run's metrics sent; without them nothing of it is loaded."""

from __future__ import annotations

from base64 import b64encode

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.e2e.harness import Harness, manifest, transfer
from tests.foreign.gateway import Gateway
from tests.foreign.receiver import Receiver
from tests.foreign.wire import WebResponse

TOKEN = "canary-0a41e9"


def test_a_runs_metrics_are_sent_and_its_token_is_never_shown(gateway: Gateway, harness: Harness):
    content = manifest(gateway, [transfer() for _ in range(3)])
    with Receiver() as collector:
        collector.answer = WebResponse(200)
        harness.env |= {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer {TOKEN}",
        }
        applied = harness.apply(content, "-vv", "--log-file", "run.log")
        assert applied.code == 0, applied.ended.err
        sent = collector.requests
    assert {each.headers["authorization"] for each in sent} == {f"Bearer {TOKEN}"}
    last = ExportMetricsServiceRequest()
    last.ParseFromString(sent[-1].body)
    found = {
        (
            metric.name,
            *sorted(each.value.string_value for each in point.attributes),
        ): point.as_double
        for metric in last.resource_metrics[0].scope_metrics[0].metrics
        for point in metric.gauge.data_points
    }
    assert found["runner_info", applied.report.run["id"], "batch", "foreign"] == 1
    assert found["runner_transfers", "batch", "foreign", "transferred"] == 3
    assert found["runner_exit_code", "batch", "foreign"] == 0
    left = [path for path in harness.folder.rglob("*") if path.is_file()]
    assert TOKEN not in applied.ended.out + applied.ended.err
    assert [path for path in left if TOKEN.encode() in path.read_bytes()] == []


def test_a_collector_that_refuses_changes_nothing_and_is_warned_of_once(
    gateway: Gateway, harness: Harness
):
    with Receiver() as collector:
        collector.answer = WebResponse(401)
        harness.env |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/{TOKEN}"}
        applied = harness.apply(manifest(gateway, [transfer()]))
    assert applied.code == 0, applied.ended.err
    [warning] = applied.ended.logged("metrics could not be sent (OTLP)")
    assert warning["why"] == "the collector answered 401"
    assert TOKEN not in applied.ended.err


def test_credentials_in_the_address_are_sent_and_never_shown(gateway: Gateway, harness: Harness):
    with Receiver() as collector:
        collector.answer = WebResponse(200)
        address = collector.url.replace("://", f"://collector:{TOKEN}@")
        harness.env |= {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": address}
        applied = harness.apply(manifest(gateway, [transfer()]), "-vv", "--log-file", "run.log")
        assert applied.code == 0, applied.ended.err
        sent = collector.requests
    basic = b64encode(f"collector:{TOKEN}".encode()).decode()
    assert {each.headers["authorization"] for each in sent} == {f"Basic {basic}"}
    shown = [applied.ended.out.encode(), applied.ended.err.encode()]
    shown += [path.read_bytes() for path in harness.folder.rglob("*") if path.is_file()]
    assert not any(secret.encode() in each for each in shown for secret in (TOKEN, basic))
