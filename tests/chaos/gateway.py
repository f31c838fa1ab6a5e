"""A gateway in a process of its own, whose ledger is the judge of every chaos test.

Started by the zygote with its settings (JSON), it serves token, REST and session on loopback and
tells its addresses in its first line of output. Whatever happens to a message is a line of the
ledger, a file that outlives everyone, and a line of output, so that a test can wait for it. It
shares no code with the program: it was written from the protocol alone.

The clients' world ends where theirs does, not here: a message that has arrived is acted upon
whether or not its sender and its connection still live.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from tests.chaos.settings import Settings
from tests.foreign.web import WebRequest, WebResponse, serve_web

LOOK_UP_PATH = "/api/v2/interactions/"


@dataclass(slots=True)
class Interaction:
    """An interaction as it is, and (`told`) as look-ups tell it."""

    destination: str = "genesys://queue/where-it-was"
    last_transfer_id: str | None = None
    told: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """An append-only file of what really happened; each line is written at once."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, event: str, **fields: Any) -> None:
        line = json.dumps({"event": event, "at": time.time(), **fields}) + "\n"
        os.write(self._descriptor, line.encode())
        sys.stdout.write(line)
        sys.stdout.flush()


class Gateway:
    """What the settings make of it."""

    def __init__(self, settings: Settings) -> None:
        self._is = settings
        self._chance = random.Random(settings.seed)
        self._ledger = Ledger(settings.ledger)
        self._interactions: dict[str, Interaction] = {}
        self._acted: dict[str, asyncio.Task[bool]] = {}  # by message id
        self._frames = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        web = await serve_web(self._answer, now=time.monotonic)
        async with serve(
            self._converse, "127.0.0.1", 0, compression=None, ping_interval=None
        ) as sockets:
            ports = {
                "web": web.sockets[0].getsockname()[1],
                "socket": next(iter(sockets.sockets)).getsockname()[1],
            }
            sys.stdout.write(json.dumps(ports) + "\n")
            sys.stdout.flush()
            await asyncio.get_running_loop().create_future()

    # Token and REST

    async def _answer(self, request: WebRequest) -> WebResponse:
        if request.target == "/oauth/token":
            return WebResponse(
                body={"access_token": "token", "token_type": "bearer", "expires_in": 3600}
            )
        if not request.target.startswith(LOOK_UP_PATH):
            return WebResponse(404, {"message": "no such place"})
        name = request.target.removeprefix(LOOK_UP_PATH)
        self._ledger.note("asked", interaction_id=name)
        told = {"id": name, "state": "active", **self._interaction(name).told}
        return WebResponse(body=told)

    def _interaction(self, name: str) -> Interaction:
        if name not in self._interactions:
            self._interactions[name] = fresh = Interaction()
            fresh.told = {"destination_uri": fresh.destination}
        return self._interactions[name]

    # Session

    async def _converse(self, connection: ServerConnection) -> None:
        self._ledger.note("session")
        try:
            async for text in connection:
                self._frames += 1
                message = json.loads(text)
                self._ledger.note("arrived", **_about(message))
                if self._frames == self._is.stall_at:
                    self._ledger.note("stalled", **_about(message))
                    await asyncio.sleep(self._is.stall_s)
                task = asyncio.create_task(self._meet(connection, message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        except ConnectionClosed:
            pass  # what was read is acted upon all the same

    async def _meet(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        if not await self._act_once(message):
            return
        await asyncio.sleep(self._chance.random() * self._is.reply_s)
        if self._chance.random() < self._is.mute:
            return
        with suppress(ConnectionClosed):  # nobody is there to be told
            await connection.send(json.dumps({"id": message["id"], "status": "codec_negotiated"}))

    async def _act_once(self, message: dict[str, Any]) -> bool:
        """Act on a message, or on the first of its id where the gateway dedupes."""
        if self._is.promise != "dedupes":
            return await self._act(message)
        if message["id"] in self._acted:
            self._ledger.note("repeated", **_about(message))
        else:
            self._acted[message["id"]] = asyncio.create_task(self._act(message))
        return await asyncio.shield(self._acted[message["id"]])

    async def _act(self, message: dict[str, Any]) -> bool:
        slow = self._chance.random() < self._is.slow
        await asyncio.sleep(self._chance.random() * (self._is.slow_s if slow else self._is.act_s))
        if self._is.promise == "expires" and _age_s(message) > self._is.expires_s:
            self._ledger.note("expired", **_about(message))
            return False
        moved = self._interaction(message["interaction_id"])
        moved.destination, moved.last_transfer_id = message["destination_uri"], message["id"]
        self._ledger.note("moved", **_about(message))
        told = {"destination_uri": moved.destination, "last_transfer_id": moved.last_transfer_id}
        delay_s = self._chance.random() * self._is.visible_s
        asyncio.get_running_loop().call_later(delay_s, moved.told.update, told)
        return True


def _about(message: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": message["id"],
        "interaction_id": message["interaction_id"],
        "destination_uri": message["destination_uri"],
        "age_s": _age_s(message),
    }


def _age_s(message: dict[str, Any]) -> float:
    built = datetime.strptime(message["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    return time.time() - built.timestamp()


def main() -> None:
    """Serve until killed."""
    asyncio.run(Gateway(Settings(**json.loads(sys.argv[1]))).run())
