"""Frames leave before the first suspension, in order, and before what is written after them."""

from __future__ import annotations

import asyncio
import time

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from runner.gateways.websocket.transport import TransportClosed, WebSocketTransport, dialler


async def received_of(texts: list[str]) -> tuple[list[str], int | None]:
    """Send texts and close; return what a server read, and the code."""
    got: list[str] = []
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()

    async def read(connection: ServerConnection) -> None:
        got.extend([str(frame) async for frame in connection])
        ended.set_result(connection.close_code)

    async with serve(read, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await dialler(None, time.time)(f"ws://127.0.0.1:{port}/", {})
        for text in texts:
            await transport.send(text)
        await transport.close(1000, "done")
        with pytest.raises(TransportClosed, match="connection is clos"):
            await transport.send("too late")
        return got, await ended


async def test_frames_arrive_in_order_and_before_the_close():
    texts = [str(number) for number in range(100)]
    assert await received_of(texts) == (texts, 1000)


async def test_what_the_kernel_does_not_take_at_once_arrives_in_order_too():
    texts = [f"{number} {'x' * 2**18}" for number in range(20)]
    assert await received_of(texts) == (texts, 1000)


async def test_the_library_writes_a_frame_before_its_first_suspension():
    """The last checks before a frame hold only as long as nothing comes between them and its write."""
    got: asyncio.Queue[str | bytes] = asyncio.Queue()

    async def read(connection: ServerConnection) -> None:
        async for frame in connection:
            got.put_nowait(frame)

    async with serve(read, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await dialler(None, time.time)(f"ws://127.0.0.1:{port}/", {})
        assert transport.writable()
        sending = transport.send("a frame").__await__()
        with pytest.raises(StopIteration):
            next(sending)  # its only step: it did not suspend, and is never resumed
        assert await asyncio.wait_for(got.get(), 10) == "a frame"
        await transport.close(1000, "done")


async def test_a_large_frame_has_begun_to_leave_before_the_first_suspension():
    """What was cancelled while the kernel takes the rest may have arrived: it did here."""
    got: asyncio.Queue[str | bytes] = asyncio.Queue()
    text = "x" * 2**23

    async def read(connection: ServerConnection) -> None:
        async for frame in connection:
            got.put_nowait(frame)

    async with serve(read, "127.0.0.1", 0, max_size=2**24) as server:
        port = server.sockets[0].getsockname()[1]
        transport = await dialler(None, time.time)(f"ws://127.0.0.1:{port}/", {})
        sending = transport.send(text).__await__()
        next(sending)  # it waits for the kernel
        with pytest.raises(asyncio.CancelledError):
            sending.throw(asyncio.CancelledError())
        assert await asyncio.wait_for(got.get(), 10) == text
        await transport.close(1000, "done")


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
        transport = await dialler(None, time.time)(f"ws://127.0.0.1:{port}/", {})
        assert isinstance(transport, WebSocketTransport)
        await transport.send("before the end")
        transport._connection.eof_received()
        with pytest.raises(TransportClosed, match="lost without a close frame"):
            await transport.receive()
        await ended.wait()
        with pytest.raises(TransportClosed):
            await transport.send("after the end")
        await transport.close(1000, "done")
    assert (got, wrong) == (["before the end"], [])
