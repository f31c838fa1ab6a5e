"""The control port: operators' commands to a running batch, and its answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import field
from typing import Any, Protocol

from runner.core.frozen import frozen


@frozen
class Requester:
    """Who gave a command, as the operating system or the database says it."""

    uid: int | None  # None: a database's role
    user: str
    login_uid: int | None = None  # who logged in, where that is another account
    login: str | None = None

    def __str__(self) -> str:
        by = "" if self.login is None else f", logged in as {self.login}"
        return f"{self.user}{by}"


@frozen
class ControlRequest:
    """One command in its words. A repeat of an `id` returns the first answer."""

    id: str
    command: str
    value: str | None = None
    for_: str | None = None
    reason: str | None = None


@frozen
class ControlAnswer:
    """The answer to a command. `is_done` False: it was refused, and nothing changed."""

    text: str
    state: Mapping[str, Any] = field(default_factory=dict)
    is_done: bool = field(default=True, kw_only=True)


Handler = Callable[[ControlRequest, Requester], Awaitable[ControlAnswer]]
"""Carries a command out: journals it, acts, and returns the answer."""


class Control(Protocol):
    """The running batch's end: receives commands."""

    async def serve(self, handle: Handler) -> None:
        """Hand every command to `handle` until cancelled; then refuse further ones.

        Raises `StorageError` if commands cannot be received; the run goes on without.
        """


class ControlClient(Protocol):
    """The operator's end: sends commands to the batch that holds a journal's lock."""

    def ask(self, request: ControlRequest) -> ControlAnswer:
        """Return the run's answer. Raises `NotRunning` if no run of the journal can be asked."""
