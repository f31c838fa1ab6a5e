"""A gateway of literal bytes for the real command line: `WireServer` in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Self

from tests.e2e.harness import NARROW, VOICE, transfer
from tests.fakes.wire_server import Peer, Reaction, Request, Script, WireServer

PATIENCE_S = 180.0


class RawGateway:
    """Serves while it is entered. `deliveries` counts the frames of each interaction."""

    def __init__(self) -> None:
        self.server = WireServer()
        self.deliveries: Counter[str] = Counter()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with self.server:
            self._ready.set()
            await self._stop.wait()
            self.server.faults.clear()  # noise breaks this end's frames too

    def answering(self, react: Callable[[Peer, str], Any]) -> None:
        """Let `react` meet each frame, by the socket and the message's id."""

        async def session(peer: Peer) -> None:
            while (text := await peer.next_text()) is not None:
                message = json.loads(text)
                self.deliveries[message["interaction_id"]] += 1
                await react(peer, message["id"])

        script: Script = session
        self.server.usual_session = script

    def looked_up(self, reaction: Callable[[Request], Reaction]) -> None:
        """Answer every look-up so."""
        polite = self.server.reaction_to

        def react(request: Request) -> Reaction:
            is_look_up = request.path.startswith("/api/v2/interactions/")
            return reaction(request) if is_look_up else polite(request)

        self.server.reaction_to = react  # type: ignore[method-assign]

    def manifest(self, rows: int, *, preflight: bool = True, **fields: Any) -> Mapping[str, Any]:
        """Return a manifest for this gateway."""
        endpoints = {
            "token_url": self.server.url("http", "/oauth/token"),
            "api_url": self.server.url("http"),
            "websocket_url": self.server.url("ws", "/api/v2/websocket"),
        }
        return {
            "version": 1,
            "name": "batch",
            "environment": "raw",
            "environments": {
                "raw": {
                    "driver": "interaction-websocket",
                    "endpoints": endpoints,
                    "credentials": {
                        "client_id": {"env": "FOREIGN_ID"},
                        "client_secret": {"env": "FOREIGN_SECRET"},
                    },
                    "gateway": "edge",
                }
            },
            "gateways": {
                "edge": {
                    "max_bandwidth_kbps": 2048,
                    "supported_codecs": ["opus", "pcmu"],
                    "max_fps": 30,
                }
            },
            "media": {"voice": VOICE, "narrow": NARROW},
            "defaults": {"media": "voice"},
            "policy": {
                "preflight": preflight,
                "negotiation_timeout": "1s",
                "retry": {"attempts": 2, "base": "10ms", "cap": "20ms"},
                "circuit_breaker": {"give_up": "2s"},
            },
            "transfers": [transfer() for _ in range(rows)],
            **fields,
        }
