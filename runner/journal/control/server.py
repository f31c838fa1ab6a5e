"""The running batch's end of the socket: one request and one answer a connection."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

from runner.journal.control.peer import Peer, peer_of, requester_of
from runner.journal.control.place import bound_socket, remove_socket
from runner.journal.control.wire import LONGEST_LINE, Malformed, answer_line, read_request
from runner.ports.control import ControlAnswer, Handler

REQUEST_S = 5.0
"""How long a client may take to send its line, and to take its answer."""

MOST_CLIENTS = 16
"""Connections of one account that are served at once; others are answered that it is busy."""

RESTS_S = 0.1
"""How long no connection is accepted after an error."""

BUSY = ControlAnswer("too many commands at once; repeat it", {"busy": True}, is_done=False)


class SocketControl:
    """Implements `ports.Control`. Make it under the journal's lock. Raises `StorageError`."""

    def __init__(self, path: Path, group: str | None = None) -> None:
        self.path = path
        self._is_open_to_group = group is not None
        self._socket = bound_socket(path, group)
        self._clients: set[asyncio.Task[None]] = set()
        self._served: Counter[int] = Counter()  # connections by account

    async def serve(self, handle: Handler) -> None:
        """Hand every command to `handle` until cancelled."""
        self._take(handle)
        try:
            await asyncio.Event().wait()
        finally:
            self.close()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    def close(self) -> None:
        """Take no further commands, and remove the socket; under the journal's lock."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            remove_socket(self.path)

    def _take(self, handle: Handler) -> None:
        """Accept connections from now on, on the event loop."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(self._socket, self._accept, handle)

    def _accept(self, handle: Handler) -> None:
        loop = asyncio.get_running_loop()
        try:
            connection, _ = self._socket.accept()
        except (BlockingIOError, ConnectionError):  # the client is gone already
            return
        except OSError:  # out of descriptors, for instance
            loop.remove_reader(self._socket)
            loop.call_later(RESTS_S, self._take, handle)
            return
        connection.setblocking(False)  # noqa: FBT003 - the library's signature
        client = loop.create_task(self._serve_one(connection, handle))
        self._clients.add(client)
        client.add_done_callback(partial(self._ended, connection))

    async def _serve_one(self, connection: socket.socket, handle: Handler) -> None:
        with suppress(OSError, TimeoutError):
            try:
                answer = await self._answer(connection, handle)
            except Malformed as error:
                answer = ControlAnswer(str(error), is_done=False)
            async with asyncio.timeout(REQUEST_S):
                await asyncio.get_running_loop().sock_sendall(connection, answer_line(answer))

    def _ended(self, connection: socket.socket, client: asyncio.Task[None]) -> None:
        """Close a client's connection, even if its task was cancelled before it began."""
        self._clients.discard(client)
        connection.close()

    async def _answer(self, connection: socket.socket, handle: Handler) -> ControlAnswer:
        peer = peer_of(connection)
        if not self._may(peer):
            return ControlAnswer("only the account of the run may control it", is_done=False)
        if self._served[peer.uid] >= MOST_CLIENTS:
            return BUSY
        self._served[peer.uid] += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                line = await _line_of(connection)
            # A client that is gone by now leaves its command to be carried out, once.
            return await handle(read_request(line), requester_of(peer))
        finally:
            self._served[peer.uid] -= 1

    def _may(self, peer: Peer) -> bool:
        """Return whether a peer may give commands; a group's right is the socket's mode."""
        return self._is_open_to_group or peer.uid in {0, os.geteuid()}


async def _line_of(connection: socket.socket) -> bytes:
    """Return what comes before the first line break. Raises `Malformed` without one."""
    loop, found = asyncio.get_running_loop(), b""
    while b"\n" not in found:
        part = await loop.sock_recv(connection, LONGEST_LINE)
        if not part:
            raise Malformed("the request ended before its line break")
        found += part
        if len(found) > LONGEST_LINE:
            raise Malformed("the request is too long")
    return found.partition(b"\n")[0]
