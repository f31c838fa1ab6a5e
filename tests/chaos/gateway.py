"""The model of a gateway in a process of its own, whose ledger is the judge of every chaos test.

Started by the zygote with its settings (JSON), it serves token, REST and session on loopback and
writes its port in its first line of output. Whatever happens to a message is a line of the ledger,
a file that outlives everyone, and a line of output, so that a test can wait for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

from tests.chaos.settings import Settings
from tests.foreign.model import GatewayModel
from tests.foreign.script import Frame, Step
from tests.foreign.server import ModelServer, listen, port_of


class Ledger:
    """An append-only file of what really happened; each line is written at once."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, event: str, fields: Mapping[str, Any]) -> None:
        """Append an event."""
        line = json.dumps({"event": event, "at": time.time(), **fields}) + "\n"
        os.write(self._descriptor, line.encode())
        sys.stdout.write(line)
        sys.stdout.flush()


class Gateway(GatewayModel):
    """Draws how each frame is met, as slow and silent as the settings say."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            expires_s=settings.expires_s if settings.promise == "expires" else None,
            dedupes=settings.promise == "dedupes",
            note=Ledger(settings.ledger).note,
        )
        self._is = settings
        self._chance = random.Random(settings.seed)

    def step(self, frame: Frame) -> Step:  # noqa: ARG002 - every frame has the same chances
        """Draw how a frame is met."""
        chance, settings = self._chance, self._is
        is_slow = chance.random() < settings.slow
        return Step(
            effect=True,
            act_s=chance.random() * (settings.slow_s if is_slow else settings.act_s),
            visible_s=chance.random() * settings.visible_s,
            delay_s=chance.random() * settings.reply_s,
            mute=chance.random() < settings.mute,
            stall_s=settings.stall_s if len(self.frames) == settings.stall_at else 0.0,
        )


async def serve(settings: Settings) -> None:
    """Serve until killed."""
    listener = await listen(ModelServer(Gateway(settings)))
    sys.stdout.write(json.dumps({"port": port_of(listener)}) + "\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().create_future()


def main() -> None:
    """Serve with the settings of the command line."""
    asyncio.run(serve(Settings(**json.loads(sys.argv[1]))))
