"""Frames of one turn of the loop: all leave, in order, before what is written after them."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from runner.gateways.websocket.transport import (
    GATHERED_BYTES,
    STOOD_STILL_S,
    TransportClosed,
    WebSocketTransport,
    dialler,
)


async def received_of(texts: list[str]) -> tuple[list[str], int | None]:
    """Send texts in one turn of the loop and close; return what a server read, and the code."""
    got: list[str] = []
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def read(connection: ServerConnection) -> None:
        got.extend([str(frame) async for frame in connection])
        ended.set_result(connection.close_code)

    async with serve(read, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await dialler(None, time.time, time.monotonic)(f"ws://127.0.0.1:{port}/", {})
        for text in texts:
            await transport.send(text)
        await transport.close(1000, "done")
        with pytest.raises(TransportClosed, match="connection is clos"):
            await transport.send("too late")
        return got, await ended


async def test_frames_of_one_turn_arrive_in_order_and_before_the_close():
    texts = [str(number) for number in range(100)]
    assert await received_of(texts) == (texts, 1000)


async def test_more_than_is_gathered_arrives_in_order_too():
    texts = [f"{number} {'x' * (GATHERED_BYTES // 3)}" for number in range(20)]
    assert await received_of(texts) == (texts, 1000)


async def test_what_a_standstill_overtakes_is_withdrawn():
    """Its leave was given before the process stood still; the rest of the turn goes out in order."""
    now = 0.0
    got: list[str] = []
    withdrawn: list[str] = []
    ended = asyncio.Event()

    async def read(connection: ServerConnection) -> None:
        got.extend([str(frame) async for frame in connection])
        ended.set()

    async with serve(read, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await dialler(None, time.time, lambda: now)(f"ws://127.0.0.1:{port}/", {})
        await transport.send("in time", lambda: withdrawn.append("in time"))
        await asyncio.sleep(0)
        for name in ("late", "late too"):
            await transport.send(name, partial(withdrawn.append, name))
        await transport.send("not to be withdrawn")
        now += 2 * STOOD_STILL_S
        await asyncio.sleep(0)
        await transport.send("after it", lambda: withdrawn.append("after it"))
        await transport.close(1000, "done")
        await ended.wait()
    assert withdrawn == ["late", "late too"]
    assert got == ["in time", "not to be withdrawn", "after it"]


async def test_a_stream_that_ends_in_the_turn_of_a_frame_is_a_lost_session_and_no_error():
    """The library passes the frame on, and ends its own side of the stream."""
    got: list[str] = []
    wrong: list[object] = []
    ended = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))

    async def read(connection: ServerConnection) -> None:
        got.append(str(await connection.recv()))
        with pytest.raises(ConnectionClosedError):
            await connection.recv()
        ended.set()

    async with serve(read, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await dialler(None, time.time, time.monotonic)(f"ws://127.0.0.1:{port}/", {})
        assert isinstance(transport, WebSocketTransport)
        await transport.send("before the end")
        transport._connection.eof_received()
        with pytest.raises(TransportClosed, match="lost without a close frame"):
            await transport.receive()
        await ended.wait()
        await transport.close(1000, "done")
    assert (got, wrong) == (["before the end"], [])
