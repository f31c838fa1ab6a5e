"""One session: a socket, its one reader, and the check before its first frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.core.transfer.message import Classify, Reply, StrayFrame, harmless, read_reply
from runner.core.transfer.states import classify
from runner.gateways.http.errors import ConnectionFailed
from runner.gateways.http.oauth import Token
from runner.gateways.websocket.close_codes import INTERNAL_ERROR, STEADY_S
from runner.gateways.websocket.transport import Transport, TransportClosed
from runner.ports import GatewayListener

PONG_S = 3.0
"""A session whose ping is not answered within this is not used."""

SAFE_TLS = frozenset({"TLSv1.2", "TLSv1.3"})


async def check_wire(wire: Transport, *, secure: bool) -> None:
    """See that a socket is usable.

    Raises `ConnectionFailed` (unsafe TLS where it is to be `secure`, no pong) or `TransportClosed` (closed
    meanwhile).
    """
    if secure and wire.tls not in SAFE_TLS:
        raise ConnectionFailed(
            f"the session runs over {wire.tls or 'no TLS'}",
            "have the gateway offer TLS 1.2 or newer",
            final=True,
        )
    try:
        async with asyncio.timeout(PONG_S):
            await wire.ping()
    except TimeoutError as error:
        raise ConnectionFailed(
            f"the session opened, but a ping was not answered within {PONG_S:.0f} s",
            "check proxies on the way (WebSocket must pass through), and the gateway's load",
        ) from error


class Session:
    """An open socket whose frames go to the listener, read by one task alone.

    `hide` takes our secrets out of foreign text, should a server quote them. `meaning` says what a
    reply's status and code mean.
    """

    def __init__(
        self,
        wire: Transport,
        token: Token,
        listener: GatewayListener,
        hide: Callable[[str], str],
        *,
        secure: bool,
        meaning: Classify = classify,
    ) -> None:
        self.wire = wire
        self._secure = secure
        self.token = token
        self.generation = 0  # until the check is passed
        self.opened_at = 0.0
        self.fault: Exception | None = None  # what ended the reader, if it was no close
        self._listener = listener
        self._hide = hide
        self._meaning = meaning
        self._carried_reply = False
        self._reader = asyncio.create_task(self._read())

    @property
    def tls(self) -> str | None:
        """The TLS version."""
        return self.wire.tls

    async def check(self) -> None:
        """See that the session is usable. Raises as `check_wire` does."""
        await check_wire(self.wire, secure=self._secure)

    async def ended(self) -> TransportClosed:
        """Return how the session ended, once its reader has; the reason is made harmless."""
        closed = await asyncio.shield(self._reader)
        return TransportClosed(closed.code, harmless(self._hide(closed.reason)))

    async def close(self, code: int, reason: str) -> None:
        """Close the socket and wait for the reader's end; bounded in time."""
        await self.wire.close(code, reason)
        await asyncio.wait([self._reader], timeout=1)
        self._reader.cancel()

    def was_steady(self, now: float) -> bool:
        """Tell whether the session was of use: it carried a reply, or lived for a while."""
        return self._carried_reply or now - self.opened_at >= STEADY_S

    async def _read(self) -> TransportClosed:
        try:
            while True:
                self._tell(await self.wire.receive())
        except TransportClosed as closed:
            return closed
        except Exception as error:  # noqa: BLE001 - kept; a reader that dies unseen hangs the run
            self.fault = error
            return TransportClosed(INTERNAL_ERROR, f"the reader failed ({type(error).__name__})")

    def _read_frame(self, frame: str | bytes) -> Reply | StrayFrame:
        if isinstance(frame, bytes):  # no reply, but its text is kept
            return read_reply(self._hide(frame.decode("latin-1")).encode("latin-1"))
        text = self._hide(frame)
        # only an escape can spell a secret that this has not found
        return read_reply(text, self._hide if "\\" in text else None, self._meaning)

    def _tell(self, frame: str | bytes) -> None:
        read = self._read_frame(frame)
        if isinstance(read, StrayFrame):
            self._listener.strayed(read)
        else:
            self._carried_reply = True
            self._listener.replied(read)
