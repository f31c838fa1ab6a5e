"""A wire-tap before a gateway's socket: notes by the kernel's clock when each frame arrived.

A test's own process is late now and then; what it reads late would look like frames that came too
close together. The kernel stamps a segment when it arrives (`SO_TIMESTAMPNS`), whoever reads it
later. Segments that wait to be read are merged, and only the last one's stamp is left: of the frames
before it in one reading it is known that they came between two stamps. Linux only.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Self

SO_TIMESTAMPNS = 35
NANOSECONDS = 1e9
TEXT = 0x81  # a whole text frame
HEADER = 14  # of a client's frame, at the most


class Tap:
    """Listens on loopback, passes everything on both ways, and keeps the times of text frames."""

    def __init__(self, target: str) -> None:
        self._target = ("127.0.0.1", int(target.rsplit(":", 1)[1].partition("/")[0]))
        self._path = "/" + target.split("/", 3)[3]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.arrivals: list[
            tuple[float, float]
        ] = []  # earliest and latest, in the kernel's seconds

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._listener.getsockname()[1]}{self._path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        """Serve one session."""
        client, _ = self._listener.accept()
        client.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with client, socket.create_connection(self._target) as server:
            back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
            back.start()
            self._listen(client, server)
            server.shutdown(socket.SHUT_WR)
            back.join()

    def _listen(self, client: socket.socket, server: socket.socket) -> None:
        rest, upgraded, before = b"", False, 0.0
        while True:
            piece, ancillary, *_ = client.recvmsg(65_536, 256)
            if not piece:
                return
            at = _stamp(ancillary)
            server.sendall(piece)
            rest += piece
            if not upgraded:
                head, end, tail = rest.partition(b"\r\n\r\n")
                upgraded, rest = bool(end), tail if end else head
            if upgraded:
                frames, rest = _frames(rest)
                texts = frames.count(TEXT)
                self.arrivals += [(before, at)] * (texts - 1) + [(at, at)] * min(1, texts)
            before = at


def _stamp(ancillary: Sequence[tuple[int, int, bytes]]) -> float:
    """Return when the kernel got a segment; only one that came before stamps were asked for has none."""
    for _, kind, stamp in ancillary:
        if kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = struct.unpack("qq", stamp)
            return float(seconds + nanoseconds / NANOSECONDS)
    return time.time()


def _frames(stream: bytes) -> tuple[list[int], bytes]:
    """Return the first bytes of the masked frames that are whole, and what is left."""
    found: list[int] = []
    while len(stream) > 1:
        length, start = stream[1] & 0x7F, 6
        if length == 126:
            length, start = int.from_bytes(stream[2:4], "big"), 8
        elif length == 127:
            length, start = int.from_bytes(stream[2:10], "big"), HEADER
        if len(stream) < start + length:
            break
        found.append(stream[0])
        stream = stream[start + length :]
    return found, stream


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    while piece := source.recv(65_536):
        target.sendall(piece)
