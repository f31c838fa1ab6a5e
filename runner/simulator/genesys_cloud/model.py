"""The platform as a pure model: decides what follows from each request; a shell performs it.

No I/O and no clock: `now` is seconds since the epoch, chance is seeded. One shell is the server on
loopback; another may be a simulation with a virtual clock.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

from runner.core.manifest.model import SimulatorOptions
from runner.simulator.behaviour import GatewayBehaviour
from runner.simulator.faults import Chance, Cut
from runner.simulator.genesys_cloud import (
    analytics,
    channel_operations,
    commands,
    directory,
    observations,
)
from runner.simulator.genesys_cloud.actions import (
    Decisions,
    Pick,
    Publish,
    Record,
    Reply,
    Request,
    Settle,
    Step,
    Work,
)
from runner.simulator.genesys_cloud.channels import PONG
from runner.simulator.genesys_cloud.conversation_store import ConversationStore
from runner.simulator.genesys_cloud.errors import Refused, missing_permissions
from runner.simulator.genesys_cloud.faults import FAULTS, draw_limit, draw_server_error
from runner.simulator.genesys_cloud.limits import WINDOW_S, RateLimits
from runner.simulator.genesys_cloud.oauth import TOKEN_PATH, answer_token
from runner.simulator.genesys_cloud.organisation import Organisation, Outcome
from runner.simulator.genesys_cloud.routes import PERMISSIONS, Call, find_route, read_body
from runner.simulator.tokens import Tokens

ALLOWED = 300
"""The default limit of requests per token and minute."""

_NOTHING: Decisions = ()
_TIMEOUT_S = 60.0  # the platform's own: a later request is not processed
_SEALED = {"Cache-Control": "no-cache, no-store, must-revalidate", "Pragma": "no-cache"}

_OPERATIONS: Mapping[str, Callable[[Organisation, Call], Outcome]] = {
    "conversation": directory.get_conversation,
    "replace_queue": commands.accept,
    "replace_agent": commands.accept,
    "transfer": commands.accept,
    "create_channel": channel_operations.create_channel,
    "channels": channel_operations.list_channels,
    "verify_channel": channel_operations.verify_channel,
    "subscriptions": channel_operations.list_subscriptions,
    "replace_subscriptions": channel_operations.subscribe,
    "add_subscriptions": channel_operations.subscribe,
    "drop_subscriptions": channel_operations.drop_subscriptions,
    "queues": directory.list_queues,
    "skills": directory.list_skills,
    "languages": directory.list_languages,
    "queue": directory.get_queue,
    "users": directory.list_users,
    "search_users": directory.search_users,
    "user": directory.get_user,
    "activity": analytics.query_activity,
    "details": analytics.query_details,
    "queue_figures": observations.query_queues,
    "estimated_wait": observations.get_estimated_wait,
    "subject": directory.get_subject,
    "token": directory.get_token,
    "verify_token": directory.verify_token,
}
"""The operation of each route, by name."""


@dataclass(slots=True)
class GenesysModel:
    """The platform with one organisation. Ages count back from `started_at`.

    Raises `UsageError` for unknown faults.
    """

    options: SimulatorOptions
    tokens: Tokens
    started_at: float
    behaviour: GatewayBehaviour = field(default_factory=GatewayBehaviour)
    permissions: frozenset[str] = PERMISSIONS
    closing_s: float = 60.0
    organisation: Organisation = field(init=False)
    _limits: RateLimits = field(init=False)
    _counts: dict[str, int] = field(default_factory=dict)  # requests by method and path
    _stalled_until: float = 0.0

    def __post_init__(self) -> None:
        chance = Chance(self.options.seed, self.options.faults, FAULTS)
        conversations = ConversationStore(self.options, chance, self.started_at)
        visible_s = self.behaviour.visible_s
        self.organisation = Organisation(
            *(self.options, self.tokens, chance, conversations, self.permissions),
            visible_s=visible_s,
            closing_s=self.closing_s,
        )
        rate_per_s = self.behaviour.rate_per_s or self.options.http_rate_per_s
        self._limits = RateLimits(round(rate_per_s * WINDOW_S) if rate_per_s else ALLOWED)

    def receive(self, request: Request, now: float) -> Decisions:
        """Return the decisions on a request; `step` returns those that follow."""
        if request.path == TOKEN_PATH:
            status, body = answer_token(self.tokens, request, now)
            return ((0.0, Reply(status, body, self._headers("", now))),)
        subject = self._subject(request)
        if self.organisation.chance.strikes("cut_before", subject):
            return ((0.0, Cut()),)
        delay_s = max(0.0, self._stalled_until - now) + self.organisation.latency_s(subject)
        return ((delay_s, Work(request, subject, now)),)

    def step(self, step: Step, now: float) -> Decisions:
        """Process a step that is due."""
        match step:
            case Work():
                return self._work(step, now)
            case Settle():
                return commands.settle(self.organisation, step, now)
            case Pick():
                return commands.pick(self.organisation, step, now)
            case Publish():
                correlation_id = self.organisation.new_id()
                return self.organisation.queues.publish(step.queue_id, now, correlation_id)

    @staticmethod
    def hear(text: str) -> str | None:
        """Return the answer to a frame on a channel; only a ping has one."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return None
        asked = message.get("message") if isinstance(message, dict) else None
        return PONG if asked == "ping" else None

    def restore(self, record: Record, at: float) -> None:
        """Restore a move of a ledger, as done at `at`."""
        commands.restore(self.organisation, record, at)

    def stall(self, until: float) -> None:
        """Process no request before `until`; requests that come meanwhile wait."""
        self._stalled_until = until

    def _subject(self, request: Request) -> str:
        """Return the name of a request for the faults, so that a repeat can have another fate."""
        name = f"{request.method} {request.path}"
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return f"{name} #{count}"

    def _work(self, work: Work, now: float) -> Decisions:
        token = _bearer(work.request.authorization)
        revoked: Decisions = ()
        if self._is_command(work) and self.organisation.chance.strikes(
            "token_expiry", work.subject
        ):
            self.tokens.revoke(token)
            revoked = self.organisation.channels.revoke(token)
        try:
            outcome = self._carry_out(work, token, now)
        except Refused as refused:
            reply = self._refuse(refused, token, now)
            return (*revoked, *refused.decisions, *self._deliver(work, reply, token, now))
        headers = self._headers(token, now)
        reply = Reply(outcome.status, outcome.body, headers)
        answers = self._deliver(work, reply, token, now)
        return (*revoked, *outcome.decisions, *self._upset(work, token), *answers)

    def _carry_out(self, work: Work, token: str, now: float) -> Outcome:
        request, subject = work.request, work.subject
        if not token:
            raise Refused("authentication.required")
        if self.tokens.find(token, now) is None:
            raise Refused("bad.credentials")
        self._limits.count(token, now)
        if self.organisation.chance.strikes("rate_limited", subject):
            raise draw_limit(self.organisation.chance, subject)
        if self.organisation.chance.strikes("server_error", subject):
            raise draw_server_error(self.organisation.chance, subject)
        if now - work.received_at > (self.behaviour.expires_s or _TIMEOUT_S):
            raise Refused("request.timeout")
        route, params = find_route(request.method, request.path)
        body = read_body(route, request)
        if route.permissions and not self.permissions.intersection(route.permissions):
            raise missing_permissions(route.permissions)
        call = Call(route, params, request.query, body, token, subject, now)
        return _OPERATIONS[route.name](self.organisation, call)

    def _upset(self, work: Work, token: str) -> Decisions:
        """Return the faults of the token's channels after a command."""
        if not self._is_command(work):
            return ()
        organisation, decisions = self.organisation, _NOTHING
        if organisation.chance.strikes("socket_closing", work.subject):
            decisions = organisation.channels.announce_closing(token, organisation.closing_s)
        if organisation.chance.strikes("channel_evicted", work.subject):
            return (*decisions, *organisation.channels.evict_all(token))
        return decisions

    def _deliver(self, work: Work, reply: Reply, token: str, now: float) -> Decisions:
        """Return the delivery of an answer, faults included."""
        strikes = self.organisation.chance.strikes
        late_s = self.organisation.slow_s if strikes("slow", work.subject) else 0.0
        if self._is_command(work):
            if strikes("muted", work.subject):
                return ()
            if strikes("cut", work.subject):
                return ((late_s, Cut()),)
            if strikes("server_error_after", work.subject):
                refused = draw_server_error(self.organisation.chance, work.subject)
                return ((late_s, self._refuse(refused, token, now)),)
        return ((late_s, reply),)

    @staticmethod
    def _is_command(work: Work) -> bool:
        try:
            route, _ = find_route(work.request.method, work.request.path)
        except Refused:
            return False
        return route.changes

    def _refuse(self, refused: Refused, token: str, now: float) -> Reply:
        headers = self._headers(token, now) | dict(refused.headers)
        if refused.retry_after_s is not None:
            headers["Retry-After"] = str(refused.retry_after_s)
        body: Any = refused.to_body(
            headers["ININ-Correlation-Id"],
            allowed=str(self._limits.allowed),
            seconds=f"{WINDOW_S:g}",
        )
        return Reply(refused.status, body, headers)

    def _headers(self, token: str, now: float) -> dict[str, str]:
        return {
            **self._limits.headers(token, now),
            "ININ-Correlation-Id": self.organisation.new_id(),
            "Date": formatdate(now, usegmt=True),
            **_SEALED,
        }


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
