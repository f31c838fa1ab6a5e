"""What a server says of the requests that it still allows, and the pace that follows from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

WINDOW_S = 60.0
"""The window that the allowance is reported for (genesys-cloud.md, "Pace")."""

_WHOLE = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Allowance:
    """The headers `inin-ratelimit-*`: of `allowed` requests `counted` are spent.

    Other users of the same token are counted too; the count begins anew in `reset_s` seconds.
    """

    allowed: int
    counted: int
    reset_s: float

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Allowance | None:
        """Read an answer's headers; None if one of them is absent or no whole number."""
        texts = [
            headers.get(f"inin-ratelimit-{name}", "") for name in ("allowed", "count", "reset")
        ]
        if not all(_WHOLE.fullmatch(text) for text in texts):
            return None
        allowed, counted, reset = map(int, texts)
        return cls(allowed, counted, float(reset)) if allowed else None

    def left(self, under_way: int) -> int:
        """Return how many requests may still leave before the reset, `under_way` being on theirs."""
        return max(0, self.allowed - self.counted - under_way)

    def pace_per_s(self, limit_per_s: float | None, under_way: int) -> float:
        """Return the pace at which what is left lasts until the reset; 0.0: nothing is left.

        Never more than the window as a whole allows, nor than `limit_per_s`.
        """
        pace = self.allowed / WINDOW_S
        if self.reset_s > 0:
            pace = min(pace, self.left(under_way) / self.reset_s)
        elif not self.left(under_way):
            return 0.0
        return pace if limit_per_s is None else min(pace, limit_per_s)
