"""A session: one socket, read by one task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from runner.core.transfer.message import Classify, GatewayNote, Reply, harmless
from runner.core.transfer.states import classify
from runner.gateways.http.oauth import Token
from runner.gateways.interaction_transfer.protocol.reply import read_reply
from runner.gateways.websocket.close_codes import INTERNAL_ERROR, STEADY_S
from runner.gateways.websocket.transport import Transport, TransportClosed
from runner.gateways.websocket.transport_check import check_transport
from runner.ports import GatewayListener


class Session:
    """An open socket; a single task reads its frames and passes them to the listener.

    `hide` removes our secrets from foreign text. `meaning` returns the event of a reply's status and
    code.
    """

    def __init__(
        self,
        transport: Transport,
        token: Token,
        listener: GatewayListener,
        hide: Callable[[str], str],
        *,
        secure: bool,
        meaning: Classify = classify,
    ) -> None:
        self.transport = transport
        self._secure = secure
        self.token = token
        self.generation = 0  # until the check is passed
        self.opened_at = 0.0
        self.fault: Exception | None = None  # what ended the reader, other than a close
        self._listener = listener
        self._hide = hide
        self._meaning = meaning
        self._has_replied = False  # to a message of ours
        self._submitted: set[str] = set()  # ids, until one of them is replied to
        self._reader = asyncio.create_task(self._read())

    @property
    def tls(self) -> str | None:
        """The TLS version."""
        return self.transport.tls

    async def check(self) -> None:
        """Check that the session is usable. Raises what `check_transport` raises."""
        await check_transport(self.transport, secure=self._secure)

    async def ended(self) -> TransportClosed:
        """Wait for the reader's end and return how the session ended, its reason escaped."""
        closed = await asyncio.shield(self._reader)
        return TransportClosed(closed.code, harmless(self._hide(closed.reason)))

    async def submit(self, message_id: str, text: str) -> None:
        """Write a message as one frame before the first suspension. Raises `TransportClosed`."""
        if not self._has_replied:
            self._submitted.add(message_id)
        await self.transport.send(text)

    async def close(self, code: int, reason: str) -> None:
        """Close the socket and wait for its reader to end; bounded in time."""
        await self.transport.close(code, reason)
        await asyncio.wait([self._reader], timeout=1)
        self._reader.cancel()

    def was_steady(self, now: float) -> bool:
        """Return whether the session brought a reply to a message of ours or lasted for `STEADY_S`.

        A greeting, or what answers somebody else, does not make it useful.
        """
        return self._has_replied or now - self.opened_at >= STEADY_S

    async def _read(self) -> TransportClosed:
        try:
            while True:
                self._report(await self.transport.receive())
        except TransportClosed as closed:
            return closed
        except Exception as error:  # noqa: BLE001 - kept; a reader that dies unseen hangs the run
            self.fault = error
            return TransportClosed(INTERNAL_ERROR, f"the reader failed ({type(error).__name__})")

    def _read_frame(self, frame: str | bytes) -> Reply | GatewayNote:
        if isinstance(frame, bytes):  # never a reply, but its text is kept
            return read_reply(self._hide(frame.decode("latin-1")).encode("latin-1"))
        text = self._hide(frame)
        # only an escape can spell a secret that this has not found
        return read_reply(text, self._hide if "\\" in text else None, self._meaning)

    def _report(self, frame: str | bytes) -> None:
        read = self._read_frame(frame)
        if isinstance(read, GatewayNote):
            self._listener.noted(read)
        else:
            if read.message_id in self._submitted:
                self._has_replied = True
                self._submitted.clear()
            self._listener.replied(read)
