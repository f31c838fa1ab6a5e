"""The gateway port over a file: each line is one interaction's move."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path

from runner.core.errors import GatewayError
from runner.core.manifest.media import MediaMatrix
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Draft, Message, Reply, Request, Unfit
from runner.core.transfer.states import Event
from runner.drivers import Connection
from runner.ports import GatewayListener, SessionLost, SessionOpened


@dataclass(frozen=True, slots=True)
class Move:
    """What Acme is asked for."""

    interaction_id: str
    destination_uri: str


def compose(draft: Draft) -> Message:
    """Word a delivery. Raises `Unfit` for destinations that Acme does not know."""
    if not draft.destination_uri.startswith("tel:"):
        raise Unfit("Acme moves interactions to telephone numbers only; write tel:+NUMBER")
    record = {"id": draft.message_id, "move": draft.interaction_id, "to": draft.destination_uri}
    return Message(json.dumps(record), Move(draft.interaction_id, draft.destination_uri))


def find_fault(message: Message, _media: MediaMatrix) -> str | None:
    """Return what is wrong with a message, or None."""
    return None if isinstance(message.command, Move) else "it is not a move"


class AcmeGateway:
    """Implements `ports.Gateway`."""

    most_per_s = None
    token_renewals = 0

    def __init__(self, connection: Connection) -> None:
        self._environment = connection.environment
        self._file = Path(self._environment.options["file"])
        self._listener: GatewayListener | None = None
        self.generation: int | None = None

    def writable(self) -> bool:
        return self.generation is not None

    def due_in(self, ahead: int) -> float:  # noqa: ARG002 - as the port has it
        return 0.0

    async def open(self, listener: GatewayListener) -> None:
        self._listener, self.generation = listener, 1
        listener.session_opened(SessionOpened(1, None))

    async def submit(self, request: Request) -> None:
        if self._listener is None or self.generation is None:
            raise GatewayError(
                environment=self._environment.name,
                url="https://moon.acme.example",
                what="no session is open",
                check="wait for the next session",
            )
        move = request.message.command
        assert isinstance(move, Move)
        with self._file.open("a", encoding="utf-8") as file:
            file.write(
                json.dumps(
                    {
                        "id": request.message_id,
                        "moved": move.interaction_id,
                        "to": move.destination_uri,
                    }
                )
                + "\n"
            )
        reply = Reply(request.message_id, "moved", reason="as asked", event=Event.ACCEPTED)
        asyncio.get_running_loop().call_soon(self._listener.replied, reply)

    async def look_up(self, interaction_id: str) -> Interaction:
        moves = (
            [json.loads(line) for line in self._file.read_text().splitlines()]
            if self._file.exists()
            else []
        )
        last = next((each for each in reversed(moves) if each["moved"] == interaction_id), None)
        return Interaction(
            interaction_id,
            found=interaction_id != "nobody",
            state="active",
            destination_uri="tel:+1555" if last is None else last["to"],
            last_transfer_id=None if last is None else last["id"],
        )

    async def close(self) -> None:
        if self.generation is not None and self._listener is not None:
            self.generation = None
            self._listener.session_lost(SessionLost(1, 1000, "closed", ours=True))
