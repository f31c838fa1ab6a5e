"""How the chaos gateway behaves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What it promises, keeps of it, and how slow and silent it is; chance is seeded."""

    ledger: str = ""
    promise: str = "nothing"  # nothing | expires | dedupes
    expires_s: float = 1.0
    visible_s: float = 0.1  # an effect shows in look-ups within this
    act_s: float = 0.02  # a message is acted upon within this
    slow: float = 0.02  # the share that takes up to `slow_s` instead
    slow_s: float = 0.5
    reply_s: float = 0.01
    mute: float = 0.0  # the share of replies that never leave
    stall_at: int = 0  # the frame, counted from 1, at which a session is read no further
    stall_s: float = 0.0
    seed: int = 0
