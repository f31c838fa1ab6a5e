"""Writes a run's metrics to a file, for node_exporter's textfile collector (cli.md, "Metrics")."""

from __future__ import annotations

import errno
import os
import secrets
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from runner.core.errors import UsageError
from runner.core.file_kinds import other_kind
from runner.metrics.run_metrics import MetricsOfRuns, RunMetrics
from runner.ports import Progress

EVERY_S = 1.0
"""The shortest time between two files."""

CLOSE_S = 2.0
"""How long the end of a run waits for the last file."""

BEGINNING = b"# HELP runner_"
"""How each file begins."""


class MetricsFile:
    """Observes a run, and keeps a file that says where it stands.

    The file is replaced whole, by a thread: a disk that hangs delays no frame. Nothing is written
    before the run has its lock and its plan: a run that another one keeps out must not replace the
    other one's file. `labels` stand on every metric. `runs` are what the file shows, beginning with the
    earlier runs of the same command; this one is added. `now` returns monotonic seconds, `wall` those
    since the epoch.
    """

    def __init__(
        self,
        path: Path,
        labels: Mapping[str, str],
        runs: list[RunMetrics],
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        warn: Callable[..., object],
    ) -> None:
        """Check that the file can be written, and is no other file. Raises `UsageError`."""
        if (other := _other_than_metrics(path)) is not None:
            raise UsageError(
                f"--metrics-file {path} exists and is {other}, and would be replaced;"
                " give another name, such as runner.prom"
            )
        self._path = path
        self._metrics = RunMetrics(labels, started_at=wall())
        self._runs = runs
        self._now, self._wall = now, wall
        self._due_at = 0.0
        self._wanted = threading.Event()
        self._ended = threading.Event()
        self._failed = False
        self._warn = warn
        try:
            _write_whole(path, None)
        except OSError as error:
            why = (error.strerror or "unknown").lower()
            raise UsageError(
                f"--metrics-file {path} cannot be written ({why}); name a file in a folder that"
                " this account may write"
            ) from error
        self._thread = threading.Thread(target=self._write_on_demand, daemon=True)
        self._thread.start()

    def noticed(self, event: str, **fields: Any) -> None:
        """Begin to write once the run is planned; note its id."""
        if event == "planned":
            self._metrics.begin(fields)
            self._runs.append(self._metrics)
            self._wanted.set()

    def warned(self, event: str, **fields: Any) -> None:
        """Do nothing: the log has it."""

    def progressed(self, progress: Progress) -> None:
        """Have it written, at most once in `EVERY_S`."""
        self._metrics.progress = progress
        if self._metrics.run and self._now() >= self._due_at:
            self._due_at = self._now() + EVERY_S
            self._wanted.set()

    def ended(self, code: int, finished_at: str | None) -> None:
        """Note how the run ended, and when, as RFC 3339."""
        self._metrics.end(code, finished_at)

    def close(self) -> None:
        """Write a last file; idempotent."""
        self._ended.set()
        self._wanted.set()
        self._thread.join(CLOSE_S)

    def _write_on_demand(self) -> None:
        is_last = False
        while not is_last:
            self._wanted.wait()
            self._wanted.clear()
            is_last = self._ended.is_set()
            self._write()

    def _write(self) -> None:
        if not self._metrics.run:
            return
        self._metrics.written_at = self._wall()
        try:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(MetricsOfRuns(self._runs))
            _write_whole(self._path, generate_latest(registry))
        except OSError as error:
            if not self._failed:
                why = error.strerror or type(error).__name__
                self._warn("the metrics file cannot be written", file=str(self._path), why=why)
            self._failed = True


def _other_than_metrics(path: Path) -> str | None:
    """Return what a path leads to that no run has written there; None: nothing, or metrics.

    What cannot be read is for the check that it can be written.
    """
    try:
        if (kind := other_kind(path.stat().st_mode)) is not None:
            return kind
        return None if _beginning_of(path) in {b"", BEGINNING} else "not a file of metrics"
    except FileNotFoundError:
        return "a link to nothing" if path.is_symlink() else None
    except OSError as error:
        return "a circular link" if error.errno == errno.ELOOP else None


def _beginning_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(BEGINNING))


def _write_whole(path: Path, content: bytes | None) -> None:
    """Replace a file whole, readable by every account; None: only try. Raises `OSError`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, 0o644), "wb") as stream:
            os.fchmod(stream.fileno(), 0o644)  # node_exporter reads it, whatever the umask is
            stream.write(content or b"")
        if content is not None:
            temporary.replace(path)
    finally:
        with suppress(OSError):  # already renamed, or never made
            temporary.unlink()
