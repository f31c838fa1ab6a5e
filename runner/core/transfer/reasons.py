"""Stable codes for the reasons of outcomes; transfers are grouped and advised by code.

A reason has a code, which is the cause, and words, which may differ between transfers (a time, an
error's text). For a gateway's reply the code is its status, and equal causes need equal words too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from runner.core.transfer.states import TOO_MANY_REQUESTS


class Code(StrEnum):
    """The causes that this program determines, as in report.json."""

    __hash__ = str.__hash__

    # Of a delivery
    NO_REPLY = "no_reply"
    SESSION_LOST = "session_lost"
    RUN_DIED = "run_died"
    NOT_SENT = "not_sent"
    MESSAGE_UNFIT = "message_unfit"
    RETRIES_USED_UP = "retries_used_up"
    LATE_REPLY = "late_reply"
    OTHER_STATUS = "other_status"  # the gateway's, and not a plain word
    # Of a look-up
    LOOK_UP_FAILED = "look_up_failed"
    INTERACTION_MISSING = "interaction_missing"
    INTERACTION_HIDDEN = "interaction_hidden"
    INTERACTION_ENDED = "interaction_ended"
    INTERACTION_STATE_UNKNOWN = "interaction_state_unknown"
    ALREADY_THERE = "already_there"
    NO_LONGER_WAITING = "no_longer_waiting"
    MOVED_ON = "moved_on"
    BEING_SERVED = "being_served"
    DESTINATION_FULL = "destination_full"
    DESTINATION_UNSEEN = "destination_unseen"
    FOUND_CARRIED_OUT = "found_carried_out"
    FOUND_UNTOUCHED = "found_untouched"
    MOVE_UNDER_WAY = "move_under_way"
    INCONCLUSIVE = "inconclusive"
    # Of the run and its plan
    PLANNED = "planned"
    PLANNED_CHANGED = "planned_changed"
    NO_TURN = "no_turn"
    NOT_SELECTED = "not_selected"
    HELD = "held"
    DOUBT_ELSEWHERE = "doubt_elsewhere"
    TRANSFERRED_BEFORE = "transferred_before"
    SKIPPED_BEFORE = "skipped_before"
    MOVED_ELSEWHERE_SINCE = "moved_elsewhere_since"
    REVERTED = "reverted"
    PROTECTED = "protected"
    # Of a person
    RESOLVED_TRANSFERRED = "resolved_transferred"
    RESOLVED_FAILED = "resolved_failed"
    # Of a report
    OTHER_REASONS = "other_reasons"  # of a group: reasons that are not counted separately


WORDS: Mapping[str, str] = MappingProxyType(
    {
        Code.NO_REPLY: "no reply came in time",
        Code.SESSION_LOST: "the session ended before a reply came",
        Code.RUN_DIED: "the run ended before a reply came",
        Code.NOT_SENT: "not sent",
        Code.MESSAGE_UNFIT: "the message fails format verification",
        Code.RETRIES_USED_UP: "retries used up; nothing was carried out",
        Code.LATE_REPLY: "carried out: a late reply to an earlier run",
        Code.LOOK_UP_FAILED: "the look-up failed",
        Code.INTERACTION_MISSING: "interaction not found",
        Code.INTERACTION_HIDDEN: "the interaction may not be seen by this client",
        Code.INTERACTION_ENDED: "the interaction has ended",
        Code.INTERACTION_STATE_UNKNOWN: "the interaction is in an unknown state",
        Code.ALREADY_THERE: "already there",
        Code.NO_LONGER_WAITING: "no longer waiting in the queue it was selected from",
        Code.MOVED_ON: "moved on: not where it was expected",
        Code.BEING_SERVED: "being served",
        Code.DESTINATION_FULL: "destination full",
        Code.DESTINATION_UNSEEN: "the gateway shows no destination to compare with the expected one",
        Code.FOUND_CARRIED_OUT: "found carried out",
        Code.FOUND_UNTOUCHED: "as it was before the delivery",
        Code.MOVE_UNDER_WAY: "a move is under way",
        Code.INCONCLUSIVE: "a look-up shows neither that it was carried out nor that it was not",
        Code.PLANNED: "planned: would be sent",
        Code.PLANNED_CHANGED: (
            "planned: would be sent (changed: carried to another destination before)"
        ),
        Code.NO_TURN: "the run ended before its turn",
        Code.NOT_SELECTED: "not selected",
        Code.HELD: "in doubt since an earlier run",
        Code.DOUBT_ELSEWHERE: "in doubt is a move to another destination than the manifest's",
        Code.TRANSFERRED_BEFORE: "transferred by an earlier run",
        Code.SKIPPED_BEFORE: "skipped by an earlier run; --again looks anew",
        Code.MOVED_ELSEWHERE_SINCE: "its doubt, to another destination, was settled after the plan",
        Code.REVERTED: "reverted by a later run; --again moves it once more",
        Code.PROTECTED: "protected by `exclude_from`",
        Code.RESOLVED_TRANSFERRED: "resolved as transferred by a person",
        Code.RESOLVED_FAILED: "resolved as failed by a person",
        Code.OTHER_REASONS: "other reasons",
    }
)
"""Words for a cause whose transfers have different words."""

_NAMES_EACH = frozenset(
    {
        Code.HELD,
        Code.DOUBT_ELSEWHERE,
        Code.TRANSFERRED_BEFORE,
        Code.SKIPPED_BEFORE,
        Code.MOVED_ELSEWHERE_SINCE,
        Code.REVERTED,
    }
)
"""Causes whose words are about one transfer, and never used for a group."""


CARRIES_OVER = frozenset({Code.INTERACTION_ENDED})
"""Skips that hold for every later run; other causes may change, and are checked again."""


class Earlier(NamedTuple):
    """An earlier run's transfer that decides this one's outcome."""

    run: str  # its id
    batch: str
    key: str


class Cause(NamedTuple):
    """A reason without the words that differ between transfers; the key of groups."""

    code: str | None
    words: str | None  # None: the code is enough


def cause_of(code: str | None, words: str | None) -> Cause:
    """Return the cause of a reason; without a known code it is the words."""
    return Cause(code, None) if code in WORDS else Cause(code, words)


def common_words(code: str | None, first: str | None, *, differ: bool) -> str | None:
    """Return a group's words: those of its first transfer, if all have the same."""
    is_shared = not differ and code not in _NAMES_EACH
    return first if is_shared else WORDS.get(code or "", first)


_PLAIN = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


def code_of_reply(status: str | None, code: int | None) -> str:
    """Return the code of a gateway's reply: its status, if that is a plain word."""
    if status is not None and _PLAIN.fullmatch(status):
        return status
    return "rate_limited" if code == TOO_MANY_REQUESTS else Code.OTHER_STATUS
