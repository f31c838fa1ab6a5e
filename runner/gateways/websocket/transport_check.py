"""Checks a socket before its first frame: TLS version, and an answered ping."""

from __future__ import annotations

import asyncio

from runner.gateways.http.errors import ConnectionFailed
from runner.gateways.websocket.transport import Transport

PONG_S = 3.0
"""How long the answer to the ping may take."""

SAFE_TLS = frozenset({"TLSv1.2", "TLSv1.3"})


async def check_transport(transport: Transport, *, secure: bool) -> None:
    """Check that a socket is usable.

    Raises `ConnectionFailed` (no pong, or unsafe TLS where it must be `secure`) or `TransportClosed`
    (closed meanwhile).
    """
    if secure and transport.tls not in SAFE_TLS:
        raise ConnectionFailed(
            f"the session runs over {transport.tls or 'no TLS'}",
            "have the gateway offer TLS 1.2 or newer",
            final=True,
        )
    try:
        async with asyncio.timeout(PONG_S):
            await transport.ping()
    except TimeoutError as error:
        raise ConnectionFailed(
            f"the session opened, but a ping was not answered within {PONG_S:.0f} s",
            "check proxies on the way (WebSocket must pass through), and the gateway's load",
        ) from error
