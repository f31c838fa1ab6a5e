"""Computes the rate from a server's headers about the requests that it still allows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner.core.frozen import frozen

WINDOW_S = 60.0
"""The window of the allowance (genesys-cloud.md, "Pace")."""

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)


@frozen
class Allowance:
    """The headers `inin-ratelimit-*`: `counted` of `allowed` requests are used.

    Other users of the same token are counted too. The count is reset in `reset_s` seconds.
    """

    allowed: int
    counted: int
    reset_s: float

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Allowance | None:
        """Read an answer's headers; None if one is absent or not a whole number."""
        texts = [
            headers.get(f"inin-ratelimit-{name}", "") for name in ("allowed", "count", "reset")
        ]
        if not all(_WHOLE.fullmatch(text) for text in texts):
            return None
        allowed, counted, reset = map(int, texts)
        return cls(allowed, counted, float(reset)) if allowed else None

    def left(self, under_way: int) -> int:
        """Return how many requests may be sent before the reset, less those `under_way`."""
        return max(0, self.allowed - self.counted - under_way)

    def pace_per_s(self, limit_per_s: float | None, under_way: int) -> float:
        """Return the rate at which the rest lasts until the reset; 0.0 if nothing is left.

        It is at most the average of the window, and at most `limit_per_s`.
        """
        pace = self.allowed / WINDOW_S
        if self.reset_s > 0:
            pace = min(pace, self.left(under_way) / self.reset_s)
        elif not self.left(under_way):
            return 0.0
        return pace if limit_per_s is None else min(pace, limit_per_s)
