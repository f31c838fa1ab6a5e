"""Sends metrics by OTLP over HTTP, with OpenTelemetry's own exporter (the extra `otel`)."""

from __future__ import annotations

import logging
import math
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from prometheus_client.metrics_core import Metric

from runner import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric as OtlpMetric
    from opentelemetry.sdk.metrics.export import NumberDataPoint

MISSING = "the OpenTelemetry SDK is not installed: pip install 'interaction-runner[otel]'"

SEND_S = 4.0
"""How long an export may take, its repeats included."""


class OtlpSender:
    """Sends metrics to the address of OpenTelemetry's variables.

    Everything of the library is imported and called in the thread that sends: that takes half a
    second, which a run is not to wait for.
    """

    def __init__(
        self, resource: Mapping[str, str], *, is_loopback: bool, within_s: float = SEND_S
    ) -> None:
        """`resource` says what is measured; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME prevail."""
        self._given = resource
        self._is_loopback = is_loopback
        self._within_s = within_s
        self._exporter: Any = None
        self._resource: Any = None
        self._status: int | None = None
        self._started_ns = time.time_ns()

    def send(self, metrics: Iterable[Metric]) -> str | None:
        """Send metrics; return why they were not taken, or None. Blocks; raises nothing.

        What it returns holds neither the address nor a header: both may be secret.
        """
        try:
            if self._exporter is None:
                self._open()
            self._status = None
            return self._export(metrics)
        except ImportError:
            return MISSING
        except Exception as error:  # noqa: BLE001 - of a library; it must not end the run
            return f"the exporter failed ({type(error).__name__})"

    def _open(self) -> None:
        for name in ("opentelemetry", "urllib3", "requests"):  # what they log may hold tokens
            logger = logging.getLogger(name)
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
        import requests  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415
            OTLPMetricExporter,
        )
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415

        session = requests.Session()
        session.trust_env = not self._is_loopback  # no proxy leads to this machine itself
        session.hooks["response"].append(self._note)
        self._resource = Resource(dict(self._given)).merge(OTELResourceDetector().detect())
        self._exporter = OTLPMetricExporter(timeout=self._within_s, session=session)

    def _note(self, response: Any, **_: object) -> None:
        self._status = response.status_code

    def _export(self, metrics: Iterable[Metric]) -> str | None:
        from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
            MetricExportResult,
            MetricsData,
            ResourceMetrics,
            ScopeMetrics,
        )
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415

        scope = ScopeMetrics(InstrumentationScope("runner"), list(self._converted(metrics)), "")
        data = MetricsData([ResourceMetrics(self._resource, [scope], "")])
        result = self._exporter.export(data)
        status = self._status
        if status is not None and not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return f"the collector answered {status}"  # the library takes a redirect for success
        if result is MetricExportResult.SUCCESS:
            return None
        return f"the collector could not be reached, or did not answer within {self._within_s:g} s"

    def _converted(self, metrics: Iterable[Metric]) -> Iterator[OtlpMetric]:
        from opentelemetry.sdk.metrics.export import (  # noqa: PLC0415
            AggregationTemporality,
            Gauge,
            Sum,
        )
        from opentelemetry.sdk.metrics.export import Metric as OtlpMetric  # noqa: PLC0415

        at_ns = time.time_ns()
        for metric in metrics:
            points = list(self._points(metric, at_ns))
            if not points:
                continue
            is_counter = metric.type == "counter"
            yield OtlpMetric(
                name=metric.samples[0].name,
                description=metric.documentation,
                unit="",
                data=Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
                if is_counter
                else Gauge(points),
            )

    def _points(self, metric: Metric, at_ns: int) -> Iterator[NumberDataPoint]:
        from opentelemetry.sdk.metrics.export import NumberDataPoint  # noqa: PLC0415

        for sample in metric.samples:
            if math.isfinite(sample.value):  # "never yet" is an infinite age
                yield NumberDataPoint(sample.labels, self._started_ns, at_ns, float(sample.value))


def resource_of(**further: str) -> dict[str, str]:
    """Return OpenTelemetry's attributes of what sends."""
    return {
        "service.name": "runner",
        "service.version": __version__,
        "host.name": socket.gethostname(),
        **further,
    }
