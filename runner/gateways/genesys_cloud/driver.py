"""The driver `genesys-cloud`: commands by REST, their effects seen on notifications channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine
from typing import Any

import httpx

from runner.core.manifest.model import Environment, Policy, RetryPolicy
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import Reply, Request, StrayFrame
from runner.gateways.genesys_cloud.commands import Commands
from runner.gateways.genesys_cloud.conversation_observer import ConversationObserver
from runner.gateways.genesys_cloud.move_tracker import MoveTracker
from runner.gateways.genesys_cloud.protocol.command import command_of, topic_of
from runner.gateways.genesys_cloud.rest import BODY_LIMIT, GenesysRest
from runner.gateways.genesys_cloud.session import GenesysOpener, GenesysSession
from runner.gateways.http.client import trusted_context
from runner.gateways.http.errors import Place
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.websocket.supervisor import SessionSupervisor
from runner.gateways.websocket.transport import Dial, dialler
from runner.ports import Clock, GatewayListener

LOOKS_PER_MOVE = 2
"""Requests that a transfer takes: its look-up and its command."""

RECONNECT_BASE_S = 2.0
RECONNECT_CAP_S = 90.0


class GenesysCloud:
    """The `Gateway` port over the vendor's public API.

    `environment` must have endpoints and credentials; `destinations` are those of the batch,
    which are subscribed to from the start. `dial` and `transport` replace the network, for
    simulations. Raises `GatewayError` if `ca_file` cannot be used.
    """

    def __init__(
        self,
        environment: Environment,
        policy: Policy,
        clock: Clock,
        jitter: Callable[[], float],
        *,
        destinations: Collection[str] = (),
        dial: Dial | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        if (endpoints := environment.endpoints) is None:
            raise ValueError(f"environment {environment.name} has no endpoints")
        self._place = Place(environment.name, endpoints.api_url)
        context = None if dial and transport else trusted_context(self._place, environment.ca_file)
        self._clock = clock
        self._listener: GatewayListener | None = None
        self._closing = False
        self._topics = dict.fromkeys(filter(None, map(topic_of, destinations)))
        self._moves = MoveTracker(self._tell)
        self._tasks: set[asyncio.Task[None]] = set()
        self._rest = GenesysRest(
            environment,
            policy.retry,
            clock,
            jitter,
            self._paused,
            context=context,
            transport=transport,
        )
        self._watch = ConversationObserver(
            self._rest,
            self._moves,
            clock,
            {uri.casefold(): uri for uri in destinations},
            do=self._do,
            note=self._note,
            give_up=self._give_up,
        )
        self._carrying = Commands(
            self._rest,
            self._moves,
            self._watch,
            timeout_s=policy.negotiation_timeout_s,
            outcome_s=policy.outcome_timeout_s,
            give_up=self._give_up,
        )
        opener = GenesysOpener(
            self._rest,
            dial or dialler(context, clock.wall, self._rest.tokens.hide, frame_limit=BODY_LIMIT),
            clock,
            self._first_topics,
            self._watch.changed,
        )
        dials = RetryPolicy(policy.retry.attempts, RECONNECT_BASE_S, RECONNECT_CAP_S)
        self._line: SessionSupervisor[GenesysSession] = SessionSupervisor(
            self._place,
            self._rest.tokens,
            opener,
            RetryWaiter(dials, clock, jitter, self._paused),
            policy.circuit_breaker.give_up_s,
        )

    @property
    def generation(self) -> int | None:
        """The open session's generation; None while there is none."""
        session = self._line.session
        return session.generation if session is not None and session.is_open else None

    @property
    def token_renewals(self) -> int:
        """How many tokens were fetched after the first."""
        return self._rest.tokens.renewals

    @property
    def most_per_s(self) -> float:
        """How many transfers a second the token's requests allow."""
        return (self._rest.pacer.limit_per_s or 0.0) / LOOKS_PER_MOVE

    def writable(self) -> bool:
        """Tell whether a session is open: what a command does would be seen."""
        return self.generation is not None

    def due_in(self, ahead: int) -> float:
        """Return the seconds until a command behind `ahead` others may leave."""
        return self._rest.pacer.due_in(ahead)

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, make a channel and dial it, and keep a session open until `close`.

        Raises `GatewayError`.
        """
        self._listener = listener
        await self._line.open(listener)

    async def submit(self, request: Request) -> None:
        """Hand a command over, before the first suspension; what becomes of it is reported later.

        Raises `GatewayError` if there is no session: then certainly nothing was sent.
        """
        if self._line.session is None:
            raise self._place.error("no session is open to see by", "wait for the next session")
        now = self._clock.now()
        move = self._moves.begin(command_of(request.message), now)
        self._rest.pacer.take()
        self._do(self._carrying.carry(move))

    async def look_up(self, interaction_id: str) -> Interaction:
        """Read a conversation.

        Raises `LookUpFailed` when the retries are used up or the answer is unreadable,
        `GatewayError` when no look-up can succeed.
        """
        in_doubt = self._moves.knows(interaction_id)
        urgency = Priority.RECONCILIATION if in_doubt else Priority.PREFLIGHT
        reading = await self._watch.read(interaction_id, urgency)
        self._moves.looked_up(reading)
        session, uri = self._line.session, reading.interaction.destination_uri
        if session is not None and uri is not None and (topic := topic_of(uri)) is not None:
            session.want([topic])
        return reading.interaction

    async def close(self) -> None:
        """End the session and every connection. Idempotent, bounded in time."""
        if self._closing:
            return
        self._closing = True
        try:
            await self._line.close()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._rest.close()

    # The rest

    def _first_topics(self) -> list[str]:
        return list(self._topics)

    def _tell(self, reply: Reply) -> None:
        if self._listener is not None:
            self._listener.replied(reply)

    def _note(self, stray: StrayFrame) -> None:
        if self._listener is not None:
            self._listener.strayed(stray)

    def _give_up(self, error: Exception) -> None:
        if self._listener is not None:
            self._listener.gave_up(error)

    def _paused(self, wait_s: float, why: str) -> None:
        if self._listener is not None:
            self._listener.paused(wait_s, why)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - told; else a transfer would wait for nothing
            self._give_up(error)
