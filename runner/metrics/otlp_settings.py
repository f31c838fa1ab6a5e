"""Reads OpenTelemetry's variables: whether metrics are sent by OTLP, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from runner.core.frozen import frozen
from runner.core.urls import is_loopback

ENDPOINTS = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""The variables that switch it on; the first that is set holds."""

PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"

EVERY_S = 10.0
"""The time between two exports, where OTEL_METRIC_EXPORT_INTERVAL does not say another."""

LEAST_EVERY_S = 1.0


@frozen
class OtlpSettings:
    """Where metrics go. The address itself is the library's to read: it may hold a token."""

    variable: str  # names the address
    is_loopback: bool
    every_s: float
    refused: str | None = None  # why nothing can be sent


def otlp_settings(variables: Mapping[str, str]) -> OtlpSettings | None:
    """Return the settings that the variables make; None: nothing is to be sent."""
    variable = next((name for name in ENDPOINTS if variables.get(name)), None)
    is_off = (
        variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or variables.get("OTEL_METRICS_EXPORTER", "").strip().lower() == "none"
    )
    if variable is None or is_off:
        return None
    host = _host(variables[variable])
    refused = None if host else f"{variable} is not an http:// or https:// address"
    for name in PROTOCOLS:
        if (protocol := variables.get(name)) and protocol.strip() != PROTOCOL:
            refused = f"only {PROTOCOL} is spoken, and {name} asks for another protocol"
            break
        if protocol:
            break
    every_s = _every_s(variables.get("OTEL_METRIC_EXPORT_INTERVAL", ""))
    return OtlpSettings(variable, is_loopback(host or ""), every_s, refused)


def _host(address: str) -> str | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in {"http", "https"} else None


def _every_s(milliseconds: str) -> float:
    try:
        every_s = float(milliseconds) / 1000
    except ValueError:
        return EVERY_S
    return max(every_s, LEAST_EVERY_S) if 0 < every_s < float("inf") else EVERY_S
