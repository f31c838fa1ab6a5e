"""Limits how many transfers may still fail at once, so that `max_failures` is a promise.

A transfer takes a seat before its look-up and keeps it through its deliveries, waits and retries
until it is final or in doubt. It has none while it waits for its turn at its destination
(`transfer_worker` has the order). Of `allowed` failures with `failed` of them spent, `allowed -
failed + 1` seats exist. Every failure gives up a seat and takes one away, so that failures and seats
taken never add up to more than `allowed + 1`: at most one failure too many exists when the run
stops, however the transfers under way end.
"""

from __future__ import annotations

import asyncio

from runner.core.pacing.waves import seats
from runner.engine.active_transfer import ActiveTransfer
from runner.engine.stop import StopSignal


class FailureSeats:
    """Gives seats to transfers. `allowed` None: any number may fail, and none needs a seat."""

    def __init__(self, allowed: int | None, stop_signal: StopSignal) -> None:
        self._allowed = allowed
        self._stop_signal = stop_signal
        self._failed = 0
        self._taken = 0
        self._turn_lock = asyncio.Lock()
        self._freed = asyncio.Event()  # since the head of the line began to wait

    @property
    def taken(self) -> int:
        """How many transfers have a seat."""
        return self._taken

    async def take(self, transfer: ActiveTransfer) -> bool:
        """Wait until a transfer has a seat; False: the run is stopped.

        What an earlier run of another batch left in doubt needs none: its failure is not counted.
        """
        if transfer.has_seat or not (transfer.is_counted or transfer.is_of_batch):
            return not self._stop_signal.is_set
        if not self._turn_lock.locked() and self._is_free():
            return self._give(transfer)
        async with self._turn_lock:
            while not self._stop_signal.is_set:
                if self._is_free():
                    return self._give(transfer)
                self._freed.clear()
                await self._stop_signal.unless_set(self._freed.wait())
        return False

    def release(self, transfer: ActiveTransfer) -> None:
        """Take a transfer's seat back, if it has one: it is final, or in doubt."""
        if transfer.has_seat:
            transfer.has_seat = False
            self._taken -= 1
            self._freed.set()

    def allow(self, allowed: int | None) -> None:
        """Allow another number of failures; who sits gives a seat too many up before it sends."""
        self._allowed = allowed
        self._freed.set()

    def gives_up(self, transfer: ActiveTransfer) -> bool:
        """Take a transfer's seat back before its delivery, if more are taken than exist now."""
        if not transfer.has_seat or self._has_room(self._taken - 1):
            return False
        self.release(transfer)
        return True

    def failures(self, failed: int) -> None:
        """Note how many transfers have failed; a late positive reply takes a failure back."""
        self._failed = failed
        self._freed.set()

    def _is_free(self) -> bool:
        return not self._stop_signal.is_set and self._has_room(self._taken)

    def _has_room(self, taken: int) -> bool:
        return self._allowed is None or taken < seats(self._allowed, failed=self._failed)

    def _give(self, transfer: ActiveTransfer) -> bool:
        transfer.has_seat = True
        self._taken += 1
        return True
