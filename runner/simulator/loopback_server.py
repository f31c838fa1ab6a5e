"""The base of every platform's server: listens on a port of this machine."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from runner.core.errors import StorageError, UsageError
from runner.core.frozen import frozen
from runner.core.manifest.model import Endpoints, Secret
from runner.simulator.client_session import GOODBYE_S
from runner.simulator.ledger import Carried, Ledger
from runner.simulator.tokens import SCOPES

LARGEST_MESSAGE = 1 << 20  # bytes (protocol, "Session")


@frozen
class ServerOptions:
    """Options of a server that its model does not need.

    Without client id and secret the server generates them. `certificate` and `key` (PEM files) turn
    TLS on. Only for the platform `genesys-cloud`: `permissions` (None: all that are needed),
    `heartbeat_s` between two heartbeats of a channel, `closing_s` from `socket_closing` to the end.
    """

    _: KW_ONLY
    client_id: Secret | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = SCOPES  # that the client may be granted
    token_life_s: float = 3600.0
    ledger: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    permissions: frozenset[str] | None = None
    heartbeat_s: float = 30.0
    closing_s: float = 60.0


class Client(Protocol):
    """The client that a decision concerns."""

    def cut(self) -> None:
        """Abort the connection."""


class LoopbackServer(ABC):
    """Starts, stops, and performs each decision of its model when it is due."""

    def __init__(self, server_options: ServerOptions | None) -> None:
        self._server_options = server_options or ServerOptions()
        self.client_id = self._server_options.client_id or _random_secret("client")
        self.client_secret = self._server_options.client_secret or _random_secret("secret")
        self.ledger = Ledger(self._server_options.ledger)
        self._endpoints: Endpoints | None = None
        self._runner: web.AppRunner | None = None
        self._running = False
        self._ended = asyncio.Event()
        self._failure: StorageError | None = None

    @abstractmethod
    def _routes(self) -> web.Application:
        """Return the application with its routes."""

    @abstractmethod
    def _restore(self, effect: Carried) -> None:
        """Restore a move from the ledger."""

    @abstractmethod
    def _perform_now(self, party: Any, action: Any) -> None:
        """Perform a decision that is due."""

    @abstractmethod
    def _locate(self, http: str, websocket: str) -> Endpoints:
        """Return the endpoints at these origins."""

    @abstractmethod
    def _stall(self, until: float) -> None:
        """Process nothing before `until`, seconds since the epoch."""

    @property
    def endpoints(self) -> Endpoints:
        """The addresses of the started gateway. Raises `UsageError` before the start."""
        if self._endpoints is None:
            raise UsageError("the simulator has no address yet; start it first")
        return self._endpoints

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Restore the moves in the ledger and listen; port 0 takes a free one.

        Raises `StorageError` for an unusable ledger, `UsageError` for an unusable address or
        certificate.
        """
        tls = _tls(self._server_options)
        self._read_ledger()
        self._runner = web.AppRunner(self._routes(), access_log=None, shutdown_timeout=GOODBYE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port, ssl_context=tls).start()
        except (OSError, OverflowError) as error:  # the latter: a port beyond 65535
            await self.stop()
            raise UsageError(
                f"the simulator cannot listen on {host}:{port}: {error}; choose another with"
                " --port (0: any free one)"
            ) from error
        self._running = True
        actual = self._runner.addresses[0][1]
        origin = f"[{host}]:{actual}" if ":" in host else f"{host}:{actual}"
        http, websocket = ("https", "wss") if tls else ("http", "ws")
        self._endpoints = self._locate(f"{http}://{origin}", f"{websocket}://{origin}")

    async def stop(self) -> None:
        """Close every session (1001) and the port, and drop what is not yet due."""
        self._running = False
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.ledger.close()

    async def failed(self) -> None:
        """Wait until the gateway fails. Raises the `StorageError` that ended it."""
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    def stall(self, seconds: float) -> None:
        """Process nothing for `seconds`; requests that come meanwhile wait."""
        self._stall(time.time() + seconds)

    def _read_ledger(self) -> None:
        try:
            for effect in self.ledger.open():
                self._restore(effect)
        except StorageError:
            self.ledger.close()
            raise

    def _perform(self, party: Client, decisions: Iterable[tuple[float, Any]]) -> None:
        """Perform decisions when they are due, and none once the gateway has stopped."""
        if not self._running:
            return
        try:
            for delay_s, action in decisions:
                if delay_s > 0:
                    loop = asyncio.get_running_loop()
                    loop.call_later(delay_s, self._perform, party, ((0.0, action),))
                else:
                    self._perform_now(party, action)
        except StorageError as error:
            party.cut()
            self._running = False
            self._failure = error
            self._ended.set()


async def serve(
    server: LoopbackServer,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    on_ready: Callable[[Endpoints, Secret, Secret], None],
) -> None:
    """Serve until cancelled; `on_ready` gets endpoints, client id and client secret.

    Raises what `LoopbackServer.start` raises, and `StorageError` when the ledger fails later.
    """
    await server.start(host, port)
    try:
        on_ready(server.endpoints, server.client_id, server.client_secret)
        await server.failed()
    finally:
        await server.stop()


def _random_secret(prefix: str) -> Secret:
    return Secret(f"{prefix}-{secrets.token_hex(16)}")


def _tls(server_options: ServerOptions) -> ssl.SSLContext | None:
    if server_options.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(server_options.certificate, server_options.key)
    except OSError as error:  # ssl.SSLError is one
        advice = "name a PEM certificate and its key"
        raise UsageError(f"certificate {server_options.certificate}: {error}; {advice}") from error
    return context
