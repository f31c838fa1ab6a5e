"""Serves a gateway that only answers, in a process of its own: `servers.py websockets|aiohttp`.

Prints the port of token and look-ups, and the port of the session. It accepts every transfer at
once, so that the client is what is measured.
"""

from __future__ import annotations

import asyncio
import sys

from aiohttp import WSMsgType, web
from websockets.asyncio.server import ServerConnection, serve


def reply_to(frame: str) -> str:
    """Return the acceptance of a transfer; its id is found by position, as it comes second."""
    start = frame.index('"id":"') + 6
    return '{"id":"' + frame[start : start + 36] + '","status":"transfer_initiated"}'


async def token(_request: web.Request) -> web.Response:
    """Grant a token to everyone."""
    return web.json_response({"access_token": "t", "token_type": "bearer", "expires_in": 3600})


async def aiohttp_session(request: web.Request) -> web.WebSocketResponse:
    """Answer every frame of one session, the fast way."""
    socket = web.WebSocketResponse(compress=False, autoping=True)
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(reply_to(message.data))
    return socket


async def websockets_session(connection: ServerConnection) -> None:
    """Answer every frame of one session with the `websockets` library."""
    async for frame in connection:
        await connection.send(reply_to(str(frame)))


async def main(kind: str) -> None:
    """Serve until killed."""
    application = web.Application()
    application.router.add_post("/oauth/token", token)
    application.router.add_get("/session", aiohttp_session)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http_port = session_port = runner.addresses[0][1]
    if kind == "websockets":
        server = await serve(websockets_session, "127.0.0.1", 0, compression=None)
        session_port = server.sockets[0].getsockname()[1]
    print(http_port, session_port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
