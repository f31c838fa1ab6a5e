"""OpenTelemetry's variables say whether metrics are sent, and how often."""

from __future__ import annotations

import pytest

from runner.metrics.otlp_settings import otlp_settings

BASE, METRICS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {BASE: ""},
        {BASE: "http://localhost:4318", "OTEL_SDK_DISABLED": "true"},
        {BASE: "http://localhost:4318", "OTEL_METRICS_EXPORTER": "none"},
        {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer x"},
    ],
)
def test_nothing_is_sent_where_no_variable_asks_for_it(variables: dict[str, str]):
    assert otlp_settings(variables) is None


def test_the_metrics_own_address_goes_first():
    settings = otlp_settings(
        {BASE: "http://localhost:4318", METRICS: "https://otel.example.net/v1"}
    )
    assert settings is not None
    assert (settings.variable, settings.is_loopback) == (METRICS, False)
    assert settings.refused is None


@pytest.mark.parametrize(
    ("given", "every_s"),
    [
        ("", 10.0),
        ("30000", 30.0),
        ("1", 1.0),
        ("0", 10.0),
        ("-5", 10.0),
        ("inf", 10.0),
        ("often", 10.0),
    ],
)
def test_the_interval_is_in_milliseconds_and_never_shorter_than_a_second(
    given: str, every_s: float
):
    settings = otlp_settings({BASE: "http://[::1]:4318", "OTEL_METRIC_EXPORT_INTERVAL": given})
    assert settings is not None
    assert settings.is_loopback
    assert settings.every_s == every_s


@pytest.mark.parametrize("address", ["localhost:4318", "grpc://host:4317", "http://[", "http://"])
def test_what_is_no_web_address_is_refused_and_not_repeated(address: str):
    settings = otlp_settings({BASE: address})
    assert settings is not None
    assert settings.refused == f"{BASE} is not an http:// or https:// address"


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        (
            {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"},
            "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            },
            None,
        ),
    ],
)
def test_another_protocol_is_refused_by_its_variable(variables: dict[str, str], named: str | None):
    settings = otlp_settings({BASE: "http://localhost:4318"} | variables)
    assert settings is not None
    refused = f"only http/protobuf is spoken, and {named} asks for another protocol"
    assert settings.refused == (refused if named else None)
