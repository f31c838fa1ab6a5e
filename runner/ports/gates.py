"""The gates port: asks what a wave depends on, and the person at the terminal."""

from __future__ import annotations

from asyncio import Event
from collections.abc import Awaitable, Callable
from typing import Protocol

from runner.core.gates import GateAnswer


class Gates(Protocol):
    """Asks a manifest's gates by name."""

    async def ask(self, name: str) -> GateAnswer:
        """Return a gate's verdict, within its time-out; never raises for what it finds."""


Prompt = Callable[[str], Awaitable[bool]]
"""Asks a question at the terminal and returns the answer; where there is none it never returns."""


async def unanswered(_question: str) -> bool:
    """Stand for a terminal where there is none: sleep until cancelled."""
    await Event().wait()
    return False
