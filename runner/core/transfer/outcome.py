"""What became of a transfer, and the exit code that a run ends with (cli.md, "Exit codes")."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from typing import NamedTuple, Self


class Tone(StrEnum):
    """How an outcome is coloured, in terminals and on the page."""

    GOOD = "good"
    CALM = "calm"
    QUIET = "quiet"
    DOUBT = "doubt"
    BAD = "bad"


class _Traits(NamedTuple):
    """What follows from an outcome."""

    rank: int
    words: str
    tone: Tone
    is_failure: bool = False
    is_done: bool = False
    needs_reason: bool = True
    calls_back: bool = True
    advice: str | None = None


class Outcome(StrEnum):
    """A transfer's outcome in one run, as reports spell it; they list outcomes in this order.

    Whatever follows from an outcome is an attribute of it, so that nothing else lists outcomes.
    """

    rank: int  # 0: the most urgent
    words: str  # in prose
    tone: Tone
    is_failure: bool  # nothing was moved, and that is not as it should be
    is_done: bool  # nothing is left to do
    needs_reason: bool  # reports group these transfers by cause
    calls_back: bool  # callbacks may be sent about it
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
        _Traits(6, "transferred", Tone.GOOD, is_done=True, needs_reason=False),
    )
    REJECTED = (
        "rejected",
        _Traits(
            2,
            "rejected",
            Tone.BAD,
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
            is_failure=True,
            advice=(
                "all retries were used up and nothing was moved: check that the gateway works, "
                "then apply again"
            ),
        ),
    )
    SKIPPED = "skipped", _Traits(4, "skipped", Tone.QUIET, is_done=True)
    IN_DOUBT = (
        "in_doubt",
        _Traits(
            0,
            "in doubt",
            Tone.DOUBT,
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
            calls_back=False,
            advice="the run ended before their turn: apply again to take them up",
        ),
    )
    UNCHANGED = (
        "unchanged",
        _Traits(5, "unchanged", Tone.CALM, is_done=True, needs_reason=False, calls_back=False),
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


class ExitCode(IntEnum):
    """Every code that the program exits with."""

    OK = 0
    FAILURES = 1
    USAGE = 2
    INVALID = 3
    UNREACHABLE = 4
    STOPPED = 5
    IN_DOUBT = 6
    PENDING = 10
    BUG = 70
    STORAGE = 74
    LOCKED = 75
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143

    @property
    def outcome(self) -> str:
        """The code's name, as `run.outcome` in reports has it."""
        names = {
            ExitCode.IN_DOUBT: "in-doubt",
            ExitCode.HANGUP: "interrupted",
            ExitCode.TERMINATED: "interrupted",
        }
        return names.get(self, self.name.lower())


def exit_code(counts: Mapping[Outcome, int], halted: ExitCode | None) -> ExitCode:
    """Return how a run ends. Precedence: storage over signals over doubt over a stop over failures.

    `halted` is why the run ended early, if it did.
    """
    if halted in OVERRIDING:
        return halted
    if counts.get(Outcome.IN_DOUBT):
        return ExitCode.IN_DOUBT
    if halted is not None:
        return halted
    failed = any(count for outcome, count in counts.items() if outcome.is_failure)
    return ExitCode.FAILURES if failed else ExitCode.OK


OVERRIDING = frozenset(
    {
        ExitCode.BUG,
        ExitCode.STORAGE,
        ExitCode.LOCKED,  # the journal was taken over
        ExitCode.HANGUP,
        ExitCode.INTERRUPTED,
        ExitCode.TERMINATED,
    }
)
"""Ends that take precedence even over a transfer in doubt."""
