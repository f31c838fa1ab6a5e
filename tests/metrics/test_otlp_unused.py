"""Without a variable that asks for it, a run loads nothing of OpenTelemetry."""

from __future__ import annotations

import subprocess
import sys

NOTHING_LOADED = """
import os, sys
for name in list(os.environ):
    if name.startswith("OTEL_"):
        del os.environ[name]
import runner.app.health, runner.app.worker_metrics, runner.cli.app
import runner.cli.commands.apply, runner.cli.commands.worker
import runner.metrics.otlp_export, runner.metrics.otlp_sender, runner.metrics.otlp_settings
assert runner.metrics.otlp_settings.otlp_settings(os.environ) is None
print(sorted(name for name in sys.modules if name.split(".")[0] in {"opentelemetry", "requests"}))
"""


def test_nothing_of_the_library_is_loaded_before_metrics_are_sent():
    ended = subprocess.run(
        [sys.executable, "-c", NOTHING_LOADED], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "[]\n"
