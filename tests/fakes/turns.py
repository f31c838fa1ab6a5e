"""Waiting for what tasks of the same loop bring about, without a guess how long that takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], bool], *, within_s: float = 60) -> None:
    """Let the loop take turns until something is so. Raises `TimeoutError` if it never is."""
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - no event tells of what is waited for
            await asyncio.sleep(0)
