"""`runner worker`: the daemon that carries what is submitted."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from runner.app.health import Watchdog, notify, serving
from runner.app.worker import Worker, WorkerFigures
from runner.app.worker_config import read_config
from runner.app.worker_metrics import WorkerMetrics
from runner.cli import options
from runner.cli.dataclass_options import expand_dataclasses
from runner.cli.output import boundary
from runner.console.log.observers import LogObserver
from runner.core.batch_options import PLACES
from runner.journals import fleet_worker_at, process_name
from runner.metrics.otlp_export import OtlpExport
from runner.metrics.otlp_sender import OtlpSender, resource_of
from runner.metrics.otlp_settings import otlp_settings


@expand_dataclasses
def worker(
    *,
    config: Annotated[
        Path,
        typer.Option(
            "--config",
            envvar="RUNNER_CONFIG",
            metavar="FILE",
            help="The worker's configuration, in YAML.",
            rich_help_panel=PLACES,
        ),
    ],
    journal: options.Journal = None,
    output: options.OutputOptions,
) -> None:
    """Watch lanes, take them over when their owner is gone, and carry what is submitted."""
    console = output.console(no_progress=True)
    with boundary(console, config):
        settings = read_config(config, journal)
        if settings.state_dir is not None:
            os.environ["XDG_STATE_HOME"] = str(settings.state_dir)
        sys.setswitchinterval(0.002)  # the lease's thread and the runs' take turns
        with console.logging() as logs:
            log = logs.log

            def observer_for(submission: int | None) -> LogObserver:
                fields = {"worker": settings.name}
                return LogObserver(
                    log.bind(**fields)
                    if submission is None
                    else log.bind(submission=submission, **fields)
                )

            fleet = fleet_worker_at(settings.journal, settings.name, ttl_s=settings.ttl_s)
            figures = WorkerFigures()
            made = Worker(
                settings,
                fleet,
                observer_for,
                process=process_name(),
                figures=figures,
                after_look=Watchdog(figures).beat,
            )
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: made.stop())
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            with serving(settings.health, figures) as port, _sent(settings.name, figures, log):
                log.info(
                    "worker is up", worker=settings.name, environments=sorted(settings.own.environments),
                    health=port,
                )  # fmt: skip
                try:
                    made.run()
                finally:
                    notify("STOPPING=1", os.environ)
                    fleet.close()
            log.info("worker has ended", worker=settings.name)


@contextmanager
def _sent(name: str, figures: WorkerFigures, log: Any) -> Iterator[None]:
    """Send the worker's metrics by OTLP beside the block, where OpenTelemetry's variables say so."""
    if (settings := otlp_settings(os.environ)) is None:
        yield
        return
    resource = resource_of(**{"service.instance.id": name})
    export = OtlpExport(
        settings,
        OtlpSender(resource, is_loopback=settings.is_loopback),
        WorkerMetrics(figures, time.monotonic).collect,
        log.warning,
    )
    try:
        yield
    finally:
        export.close()
