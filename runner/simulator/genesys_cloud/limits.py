"""Limits the requests of a token per minute (headers `inin-ratelimit-…`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from runner.simulator.genesys_cloud.errors import Refused

WINDOW_S = 60.0


@dataclass(slots=True)
class _Window:
    began_at: float
    count: int = 0


@dataclass(slots=True)
class RateLimits:
    """Has one window for each token; it begins with the first request and ends `WINDOW_S` later."""

    allowed: int = 300
    _windows: dict[str, _Window] = field(default_factory=dict, repr=False)

    def count(self, token: str, now: float) -> None:
        """Count a request. Raises `Refused` (`too.many.requests`) above the limit."""
        window = self._windows.get(token)
        if window is None or not 0 <= now - window.began_at < WINDOW_S:
            window = self._windows[token] = _Window(now)
        if window.count >= self.allowed:
            wait_s = max(1, math.ceil(window.began_at + WINDOW_S - now))
            raise Refused("too.many.requests", retry_after_s=wait_s)
        window.count += 1

    def headers(self, token: str, now: float) -> dict[str, str]:
        """Return the headers of every answer."""
        window = self._windows.get(token) or _Window(now)
        left_s = min(WINDOW_S, max(0.0, window.began_at + WINDOW_S - now))
        return {
            "inin-ratelimit-count": str(window.count),
            "inin-ratelimit-allowed": str(self.allowed),
            "inin-ratelimit-reset": str(math.ceil(left_s)),
        }
