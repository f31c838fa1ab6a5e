"""Codes of the outcomes that no reply of the gateway decided; where one did, its status is the code.

What a later run does about an outcome goes by its code, never by its words.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a transfer ended as it did."""

    # skipped
    ENDED = "interaction_ended"
    ALREADY_THERE = "already_there"
    NO_LONGER_WAITING = "no_longer_waiting"
    MOVED_ON = "moved_on"
    BEING_SERVED = "being_served"
    DESTINATION_FULL = "destination_full"

    # rejected
    NOT_FOUND = "interaction_not_found"
    UNKNOWN_STATE = "unknown_state"
    UNFIT_MESSAGE = "unfit_message"

    # failed
    LOOK_UP_FAILED = "look_up_failed"
    RETRIES_USED_UP = "retries_used_up"


CARRIES_OVER = frozenset({Reason.ENDED})
"""The skips that hold for every later run; whatever may change again is judged anew."""
