"""The run's stop flag: once it is set, with its reason, nothing further is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from runner.core.errors import StorageError
from runner.core.exit_code import OVERRIDING, ExitCode
from runner.core.system_shortage import shortage

T = TypeVar("T")


class StopSignal:
    """Stops a run before its plan ends. The first reason stays, unless a graver one comes."""

    def __init__(self) -> None:
        self.code: ExitCode | None = None
        self.reason: str | None = None
        self.error: Exception | None = None
        self.is_own = False  # the run's own rules ended it: threshold, wave or window
        self._event = asyncio.Event()

    @property
    def is_set(self) -> bool:
        """Whether nothing further may be sent."""
        return self.code is not None

    def set(self, code: ExitCode, reason: str, error: Exception | None = None) -> None:
        """End the run: nothing further is sent, what is in flight gets its time to settle."""
        if self.code is None or _gravity(code) > _gravity(self.code):
            self.code, self.reason, self.error = code, reason, error
            self.is_own = False
        self._event.set()

    def set_by_rule(self, reason: str) -> None:
        """End the run because the manifest's policy says so, the gateway being well."""
        before = self.code
        self.set(ExitCode.STOPPED, reason)
        self.is_own = self.is_own or before is None

    @contextmanager
    def on_failure(self) -> Iterator[None]:
        """Stop the run for whatever exception ends the block; other tasks go on and drain.

        Every task of a run works inside such a block, so that no task group cancels a transfer
        in flight because another one failed.
        """
        try:
            yield
        except StorageError as error:
            self.set(error.exit_code, str(error), error)
        except Exception as bug:  # noqa: BLE001 - reported as a bug at the end, with its trace
            if (lacking := shortage(bug)) is not None:
                self.set(lacking.exit_code, str(lacking), lacking)
            else:
                self.set(ExitCode.BUG, f"an internal error: {bug!r}", bug)

    async def guard(self, work: Callable[[], Awaitable[None]]) -> None:
        """Call `work` and await it; stop the run if it fails.

        `work` is not called yet when a task of this is cancelled before it starts.
        """
        with self.on_failure():
            await work()

    async def sleep(self, seconds: float) -> None:
        """Sleep for `seconds`, or until the run is stopped."""
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._event.wait()

    async def unless_set(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Await `work`; or cancel it and return None as soon as the run is stopped."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
        if not task.done():
            await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    async def wait(self) -> None:
        """Sleep until the run is stopped."""
        await self._event.wait()


def _gravity(code: ExitCode) -> int:
    """Rank the ends as the exit codes do: storage over signals (and bugs) over every other stop."""
    if code in {ExitCode.STORAGE, ExitCode.LOCKED}:
        return 2
    return 1 if code in OVERRIDING else 0
