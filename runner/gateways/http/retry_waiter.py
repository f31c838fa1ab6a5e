"""Returns the wait before another try (protocol.md, "Waiting")."""

from __future__ import annotations

from collections.abc import Callable

from runner.core.frozen import frozen
from runner.core.manifest.model import RetryPolicy
from runner.core.pacing.rate import LONGEST_OBEYED_S, backoff_s
from runner.core.transfer.message import seconds_text
from runner.gateways.http.errors import Place
from runner.ports import Clock


@frozen
class RetryWaiter:
    """Waits for the gateway's `Retry-After` in full, else for a backoff."""

    policy: RetryPolicy
    clock: Clock
    jitter: Callable[[], float]
    paused: Callable[[float, str], None]  # called with every wait that the gateway asked for

    def backoff_s(self, failures: int) -> float:
        """Return the wait after the n-th failure in a row, counted from 1."""
        return backoff_s(self.policy, failures, jitter=self.jitter())

    def obeyed_s(self, asked_s: float, place: Place, who: str) -> float:
        """Report and return the gateway's wait; `who` asked for it, for instance "the token server".

        Raises `GatewayError`, naming the time, if it is longer than `LONGEST_OBEYED_S`.
        """
        if asked_s > LONGEST_OBEYED_S:
            asked = seconds_text(asked_s)
            raise place.error(
                f"{who} asks to wait {asked}, longer than the {LONGEST_OBEYED_S:.0f} s "
                "that are waited out",
                f"run again in {asked}, or ask the gateway's owner about the limit",
            )
        self.paused(asked_s, f"{who} asked for it (Retry-After)")
        return asked_s

    def wait_s(self, failures: int, asked_s: float | None, place: Place, who: str) -> float:
        """Return the wait before the next try: what was asked for, but at least `base`.

        `Retry-After: 0` must not lead to tries without a pause. Raises `GatewayError` as `obeyed_s` does.
        """
        if asked_s is None:
            return self.backoff_s(failures)
        return max(self.obeyed_s(asked_s, place, who), self.policy.base_s)
