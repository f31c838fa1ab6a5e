"""What became of a transfer."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Self


class Tone(StrEnum):
    """How an outcome is coloured, in terminals and on the page."""

    GOOD = "good"
    CALM = "calm"
    QUIET = "quiet"
    DOUBT = "doubt"
    BAD = "bad"


class Shape(StrEnum):
    """The mark of an outcome, which tells it from all others without any colour."""

    DISC = "disc"
    EQUALS = "equals"
    SQUARE = "square"
    CROSS = "cross"
    RING = "ring"
    BOX = "box"
    DIAMOND = "diamond"
    ARROW = "arrow"
    TRIANGLE = "triangle"
    DASH = "dash"


class _Traits(NamedTuple):
    """What follows from an outcome."""

    rank: int
    words: str
    tone: Tone
    shape: Shape
    is_failure: bool = False
    is_done: bool = False
    needs_reason: bool = True
    calls_back: bool = True
    was_begun: bool = True
    advice: str | None = None


class Outcome(StrEnum):
    """A transfer's outcome in one run, as reports spell it; they list outcomes in this order.

    Whatever follows from an outcome is an attribute of it, so that nothing else lists outcomes.
    """

    rank: int  # 0: the most urgent
    words: str  # in prose
    tone: Tone
    shape: Shape  # no two outcomes share one
    is_failure: bool  # nothing was moved, and that is not as it should be
    is_done: bool  # nothing is left to do
    needs_reason: bool  # reports group these transfers by cause
    calls_back: bool  # callbacks may be sent about it
    was_begun: bool  # the run, or an earlier one, took the transfer up
    advice: str | None  # what an operator does about it; None: nothing

    __hash__ = str.__hash__  # an enumeration's own is Python code, called for each transfer

    def __new__(cls, value: str, traits: _Traits | None = None) -> Self:
        """Make a member from its spelling and its traits; `Outcome("failed")` does not come here."""
        assert traits is not None  # noqa: S101 - its absence is for type checkers only
        member = str.__new__(cls, value)
        member._value_ = value
        for name, trait in traits._asdict().items():
            setattr(member, name, trait)
        return member

    TRANSFERRED = (
        "transferred",
        _Traits(6, "transferred", Tone.GOOD, Shape.DISC, is_done=True, needs_reason=False),
    )
    REJECTED = (
        "rejected",
        _Traits(
            2,
            "rejected",
            Tone.BAD,
            Shape.SQUARE,
            is_failure=True,
            advice=(
                "the gateway refused these and moved nothing: fix what the reasons name, "
                "then apply again; only what is not done is sent"
            ),
        ),
    )
    FAILED = (
        "failed",
        _Traits(
            1,
            "failed",
            Tone.BAD,
            Shape.CROSS,
            is_failure=True,
            advice=(
                "all retries were used up and nothing was moved: check that the gateway works, "
                "then apply again"
            ),
        ),
    )
    SKIPPED = "skipped", _Traits(4, "skipped", Tone.QUIET, Shape.RING, is_done=True)
    IN_DOUBT = (
        "in_doubt",
        _Traits(
            0,
            "in doubt",
            Tone.DOUBT,
            Shape.DIAMOND,
            advice=(
                "each may or may not have been carried out, and none is sent again blindly: look "
                "each one up at the gateway, by its interaction id and message id in the report; "
                "applying again looks them up too, and settles those that show evidence; what you "
                "know yourself you settle with `resolve`, one at a time, by run and key"
            ),
        ),
    )
    UNATTEMPTED = (
        "unattempted",
        _Traits(
            3,
            "not attempted",
            Tone.QUIET,
            Shape.BOX,
            calls_back=False,
            was_begun=False,
            advice="the run ended before their turn: apply again to take them up",
        ),
    )
    UNCHANGED = (
        "unchanged",
        _Traits(
            5,
            "unchanged",
            Tone.CALM,
            Shape.EQUALS,
            is_done=True,
            needs_reason=False,
            calls_back=False,
        ),
    )

    @property
    def needs_attention(self) -> bool:
        """Return whether an operator hears of it at once: a failure or a doubt."""
        return self.is_failure or self is Outcome.IN_DOUBT


BY_URGENCY = tuple(sorted(Outcome, key=lambda outcome: outcome.rank))
"""Every outcome, the most urgent first."""


def outcome_named(name: str) -> Outcome | None:
    """Return the outcome that reports spell `name`; None: there is none."""
    known = Outcome._value2member_map_.get(name)
    return known if isinstance(known, Outcome) else None


def outcome_words(name: str) -> str:
    """Return an outcome's spelling in reports as prose; any other name with spaces for `_`."""
    outcome = outcome_named(name)
    return name.replace("_", " ") if outcome is None else outcome.words
