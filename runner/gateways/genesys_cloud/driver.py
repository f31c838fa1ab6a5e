"""The driver `genesys-cloud`: commands by REST, effects observed on notification channels."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Any

import httpx

from runner.core.manifest.model import Environment, Policy, RetryPolicy
from runner.core.transfer.canonical_form import canonical_interaction
from runner.core.transfer.lookup_verdict import Interaction
from runner.core.transfer.message import GatewayNote, Reply, Request
from runner.gateways.genesys_cloud.capacity import EMBEDDED_LAG_S, LAG_S, DestinationObserver
from runner.gateways.genesys_cloud.commands import Commands
from runner.gateways.genesys_cloud.conversation_observer import ConversationObserver
from runner.gateways.genesys_cloud.move_tracker import MoveTracker
from runner.gateways.genesys_cloud.protocol.command import command_of, topic_of
from runner.gateways.genesys_cloud.protocol.events import Changed
from runner.gateways.genesys_cloud.protocol.observations import Observation
from runner.gateways.genesys_cloud.rest import BODY_LIMIT, GenesysRest
from runner.gateways.genesys_cloud.session import GenesysOpener, GenesysSession
from runner.gateways.http.client import trusted_context
from runner.gateways.http.errors import Place
from runner.gateways.http.rate_limiter import Priority
from runner.gateways.http.retry_waiter import RetryWaiter
from runner.gateways.websocket.supervisor import SessionSupervisor
from runner.gateways.websocket.transport import Dial, dialler
from runner.ports import Clock, GatewayListener
from runner.ports.gateway import Observed

REQUESTS_PER_TRANSFER = 2
"""Requests of a transfer: its look-up and its command."""

RECONNECT_BASE_S = 2.0
RECONNECT_CAP_S = 90.0


class GenesysCloud:
    """The `Gateway` port over the vendor's public API.

    `environment` must have endpoints and credentials; the `destinations` of the batch are
    subscribed to from the start. `dial` and `transport` replace the network, for
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
        self._moves = MoveTracker(self._report)
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
        self._observer = ConversationObserver(
            self._rest,
            self._moves,
            clock,
            {uri.casefold(): uri for uri in destinations},
            start=self._start,
            note=self._note,
            give_up=self._give_up,
        )
        self._commands = Commands(
            self._rest,
            self._moves,
            self._observer,
            timeout_s=policy.negotiation_timeout_s,
            outcome_s=policy.outcome_timeout_s,
            give_up=self._give_up,
        )
        opener = GenesysOpener(
            self._rest,
            dial or dialler(context, clock.wall, self._rest.tokens.hide, frame_limit=BODY_LIMIT),
            clock,
            self._first_topics,
            self._heard,
        )
        lag_s = EMBEDDED_LAG_S if environment.is_simulated else LAG_S
        self._capacity = DestinationObserver(self._rest, clock, self._channels, lag_s=lag_s)
        dials = RetryPolicy(policy.retry.attempts, RECONNECT_BASE_S, RECONNECT_CAP_S)
        self._supervisor: SessionSupervisor[GenesysSession] = SessionSupervisor(
            self._place,
            self._rest.tokens,
            opener,
            RetryWaiter(dials, clock, jitter, self._paused),
            policy.circuit_breaker.give_up_s,
        )

    @property
    def generation(self) -> int | None:
        """The open session's generation; None while there is none."""
        session = self._supervisor.session
        return session.generation if session is not None and session.is_open else None

    def _channels(self) -> tuple[int, int] | None:
        """Return what is another as soon as a session or one of its channels is; None: none is open."""
        session = self._supervisor.session
        is_open = session is not None and session.is_open
        return (session.generation, session.replaced) if session and is_open else None

    @property
    def token_renewals(self) -> int:
        """How many tokens were fetched after the first."""
        return self._rest.tokens.renewals

    def limit_requests(self, rate_per_s: float) -> None:
        """Limit further requests, commands included."""
        self._rest.rate_limiter.limit(rate_per_s)

    @property
    def most_per_s(self) -> float:
        """How many transfers a second the request rate allows."""
        return (self._rest.rate_limiter.limit_per_s or 0.0) / REQUESTS_PER_TRANSFER

    def writable(self) -> bool:
        """Return whether a session is open, so that effects of a command can be observed."""
        return self.generation is not None

    def due_in(self, ahead: int) -> float:
        """Return the seconds until a command behind `ahead` others may leave."""
        return self._rest.rate_limiter.due_in(ahead)

    async def open(self, listener: GatewayListener) -> None:
        """Authenticate, create and dial a channel, and keep a session open until `close`.

        Raises `GatewayError`.
        """
        self._listener = listener
        await self._supervisor.open(listener)
        await self._capacity.begin()
        self._start(self._capacity.keep())

    def observe(self, destinations: Sequence[str], tell: Callable[[Observed], None]) -> None:
        """Observe the figures of queues and the states of users while a session is open."""
        self._capacity.observe(destinations, tell)

    def ask_again(self) -> None:
        """Ask for the figures of all observed destinations soon."""
        self._capacity.ask_again()

    async def figures_of(self, destination: str) -> Observed:
        """Ask for a destination's figures. Raises `LookUpFailed`, `GatewayError`."""
        return await self._capacity.figures_of(destination)

    async def submit(self, request: Request) -> None:
        """Start a command before the first suspension; its outcome is reported later.

        Raises `GatewayError` if there is no session: then certainly nothing was sent.
        """
        if self._supervisor.session is None:
            raise self._place.error(
                "no session is open to observe effects", "wait for the next session"
            )
        now = self._clock.now()
        move = self._moves.begin(command_of(request.message), now)
        self._rest.rate_limiter.take()
        self._start(self._commands.send(move, request.may_leave))

    async def look_up(self, interaction_id: str) -> Interaction:
        """Read a conversation.

        Raises `LookUpFailed` when the retries are used up or the answer is unreadable,
        `GatewayError` when no look-up can succeed.
        """
        conversation_id = canonical_interaction(interaction_id)
        in_doubt = self._moves.knows(conversation_id)
        priority = Priority.RECONCILIATION if in_doubt else Priority.PREFLIGHT
        reading = await self._observer.read(conversation_id, priority)
        self._moves.looked_up(reading)
        session, uri = self._supervisor.session, reading.interaction.destination_uri
        if session is not None and uri is not None and (topic := topic_of(uri)) is not None:
            session.want([topic])
        return reading.interaction

    async def close(self) -> None:
        """End the session and every connection. Idempotent, bounded in time."""
        if self._closing:
            return
        self._closing = True
        try:
            await self._supervisor.close()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._rest.close()

    def _first_topics(self) -> list[str]:
        return [*self._topics, *self._capacity.topics]

    def _heard(self, event: Changed | Observation) -> None:
        if isinstance(event, Observation):
            self._capacity.heard(event)
        else:
            self._observer.changed(event)

    def _report(self, reply: Reply) -> None:
        if self._listener is not None:
            self._listener.replied(reply)

    def _note(self, note: GatewayNote) -> None:
        if self._listener is not None:
            self._listener.noted(note)

    def _give_up(self, error: Exception) -> None:
        if self._listener is not None:
            self._listener.gave_up(error)

    def _paused(self, wait_s: float, why: str) -> None:
        if self._listener is not None:
            self._listener.paused(wait_s, why)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - reported; else a transfer waits for nothing
            self._give_up(error)
