"""Tells a service manager, and who asks on loopback, how a worker is."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from runner.app.worker import WorkerFigures
from runner.app.worker_metrics import WorkerMetrics
from runner.core.errors import UsageError

STALE_S = 25.0
"""How long the worker's loop may take for a turn before the worker counts as stuck."""


def notify(state: str, variables: Mapping[str, str]) -> None:
    """Tell systemd (sd_notify), where it started this process; never raises."""
    address = variables.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)  # noqa: FBT003 - the library's own
        sender.sendto(state.encode(), address)


class Watchdog:
    """Reports READY=1 once, and WATCHDOG=1 each time the worker's loop has gone round."""

    def __init__(self, figures: WorkerFigures) -> None:
        self._figures = figures
        self._is_ready = False

    def beat(self) -> None:
        """Report that the loop goes round."""
        how = "drained" if self._figures.is_drained else f"{self._figures.running} running"
        ready = "" if self._is_ready else "READY=1\n"
        self._is_ready = True
        notify(f"{ready}WATCHDOG=1\nSTATUS={how}", os.environ)


@contextmanager
def serving(address: tuple[str, int] | None, figures: WorkerFigures) -> Iterator[int | None]:
    """Serve /healthz, /readyz and /metrics beside the block; yield the port. Raises `UsageError`.

    /healthz answers 503 once the loop is stuck. A journal that does not answer is no reason to
    restart the worker, which waits for it: /readyz alone answers 503 meanwhile.
    """
    if address is None:
        yield None
        return

    class Handler(BaseHTTPRequestHandler):
        timeout = 5.0
        server_version, sys_version = "runner", ""

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(HTTPStatus.OK, WorkerMetrics(figures, time.monotonic).text())
            elif self.path == "/healthz":
                is_well = time.monotonic() - figures.looked_at < STALE_S
                status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "ok\n" if is_well else "the worker's loop is stuck\n")
            elif self.path == "/readyz":
                is_ready = time.monotonic() - figures.reached_at < STALE_S
                status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(status, "ok\n" if is_ready else "the journal does not answer\n")
            else:
                self._answer(HTTPStatus.NOT_FOUND, "/healthz, /readyz and /metrics are served\n")

        def _answer(self, status: HTTPStatus, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
            """Say nothing: who asks every second is not news."""

    try:
        server = ThreadingHTTPServer(address, Handler)
    except OSError as error:
        raise UsageError(
            f"`health` cannot listen on {address[0]}:{address[1]} ({error.strerror}); name a free port"
        ) from error
    with server:
        thread = Thread(target=server.serve_forever, name="health", daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
