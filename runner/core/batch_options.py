"""Declares the options of `apply` and `plan`, each in one place.

A new option is one field here, and the code that acts on it. The command line, the variables
`RUNNER_…`, the plan file and the commands of next steps are made from the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, field, fields
from enum import Enum, auto
from typing import Any, Self

from runner.core.frozen import frozen
from runner.core.journal_location import JournalLocation
from runner.core.manifest.quantity import (
    Amount,
    Share,
    parse_amount,
    parse_duration,
    parse_rate,
    rate_text,
)
from runner.core.transfer.outcome import Outcome, outcome_named

MOST_ROWS = 10**9
"""Largest value of `--limit`: more rows than any manifest has, and a number a journal can hold."""

SELECTION = "What is sent"
PACE = "How fast"
PLACES = "Where things are"
CHECKS = "Checks and safeguards"
OUTPUT = "Output"

_KEY = "option"


class Planned(Enum):
    """What `apply` does if it is given an option that the plan file holds too."""

    FIXED = auto()  # it refuses another value
    REPLACEABLE = auto()  # an option of its own takes the plan's place


@frozen
class Option:
    """How an option is written, what it means, and what keeps its value."""

    _: KW_ONLY
    flag: str
    help: str
    group: str  # its heading in the help
    metavar: str | None = None
    parse: Callable[[str], Any] | None = None
    """Return the value of a text. Raises `ValueError`, whose text says what to write."""
    text: Callable[[Any], str] = str
    """Return a value as it is typed."""
    least: int | None = None
    most: int | None = None
    in_next_steps: bool = False
    """Whether commands that are offered repeat it; not what is a decision for one run."""
    in_plan: Planned | None = None
    """Whether a plan file holds it, and what `apply` then does with it."""

    @property
    def variable(self) -> str:
        """The environment variable that gives the option."""
        return f"RUNNER_{self.flag.removeprefix('--').upper().replace('-', '_')}"

    def words(self, value: Any) -> Iterator[str]:
        """Yield the words of a command for a value that was given."""
        match value:
            case True:
                yield self.flag
            case tuple():
                for each in value:
                    yield from (self.flag, self.text(each))
            case _:
                yield from (self.flag, self.text(value))

    def from_json(self, value: Any) -> Any:
        """Return the value of what `to_json` returned for it."""
        if isinstance(value, list | tuple):
            return tuple(value)
        return self.parse(value) if isinstance(value, str) and self.parse is not None else value


def parse_outcomes(text: str) -> str:
    """Return names of outcomes, separated by commas, without blanks. Raises `ValueError`."""
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if outcome_named(name) is None]:
        raise ValueError(
            f"unknown outcome `{unknown[0]}`; write such as rejected,failed, of:"
            f" {', '.join(Outcome)}"
        )
    return ",".join(names)


def option(default: Any, **attributes: Any) -> Any:
    """Return a field for an option; `attributes` are those of `Option`."""
    return field(default=default, metadata={_KEY: Option(**attributes)})


@frozen
class BatchOptions:
    """The options that `apply` and `plan` share, in the order of the help."""

    _: KW_ONLY
    environment: str | None = option(
        None,
        flag="--env",
        metavar="NAME",
        group=SELECTION,
        help="Use this environment instead of the one that the manifest names.",
        in_next_steps=True,
    )
    only: tuple[str, ...] = option(
        (),
        flag="--only",
        metavar="GLOB",
        group=SELECTION,
        help="Send only transfers whose key matches this glob; repeatable. The variable takes"
        " several, separated by blanks.",
        in_next_steps=True,
        in_plan=Planned.FIXED,
    )
    exclude: tuple[str, ...] = option(
        (),
        flag="--exclude",
        metavar="GLOB",
        group=SELECTION,
        help="Send no transfer whose key matches this glob; repeatable, and stronger than --only.",
        in_next_steps=True,
        in_plan=Planned.FIXED,
    )
    only_outcome: str | None = option(
        None,
        flag="--only-outcome",
        metavar="OUTCOMES",
        group=SELECTION,
        help="Send only what ended so in the run of --of, such as rejected,failed.",
        parse=parse_outcomes,
        in_next_steps=True,
        in_plan=Planned.FIXED,
    )
    of: str | None = option(
        None,
        flag="--of",
        metavar="RUN",
        group=SELECTION,
        help="The run of --only-outcome: its id, or `latest`.",
        in_next_steps=True,
        in_plan=Planned.FIXED,
    )
    limit: int | None = option(
        None,
        flag="--limit",
        metavar="N",
        group=SELECTION,
        help="Send at most N transfers.",
        least=0,
        most=MOST_ROWS,
        in_next_steps=True,
        in_plan=Planned.FIXED,
    )
    again: bool = option(
        default=False,
        flag="--again",
        group=SELECTION,
        help="Also move what an earlier run moved to the same destination.",
        in_plan=Planned.FIXED,
    )
    rate_per_s: float | None = option(
        None,
        flag="--rate",
        metavar="RATE",
        group=PACE,
        help="Lower the rate, such as 10/s; it never exceeds the manifest's.",
        parse=parse_rate,
        text=rate_text,
        in_next_steps=True,
        in_plan=Planned.REPLACEABLE,
    )
    in_flight: int | None = option(
        None,
        flag="--in-flight",
        metavar="N",
        group=PACE,
        help="Lower the number of transfers in flight; it never exceeds the manifest's.",
        least=1,
        in_next_steps=True,
        in_plan=Planned.REPLACEABLE,
    )
    max_failures: Amount | None = option(
        None,
        flag="--max-failures",
        metavar="COUNT|SHARE",
        group=PACE,
        help="Stop when more transfers fail than this, such as 20 or 5%; replaces the manifest's.",
        parse=parse_amount,
        in_next_steps=True,
        in_plan=Planned.FIXED,
    )
    journal: JournalLocation | None = option(
        None,
        flag="--journal",
        metavar="FILE",
        group=PLACES,
        help="Use this journal; by default .runner/ENVIRONMENT.db beside the manifest.",
        parse=JournalLocation,
        in_next_steps=True,
    )
    lock_timeout_s: float = option(
        0.0,
        flag="--lock-timeout",
        metavar="DURATION",
        group=CHECKS,
        help="Wait this long for another run to end, such as 10m; by default not at all.",
        parse=parse_duration,
    )
    new_history: bool = option(
        default=False,
        flag="--new-history",
        group=CHECKS,
        help="Begin a new journal although an earlier run's is missing or newer.",
    )
    ignore_window: bool = option(
        default=False,
        flag="--ignore-window",
        group=CHECKS,
        help="Rehearse outside the manifest's window; only with `driver: simulator`.",
        in_next_steps=True,
    )
    without_secrets: bool = option(
        default=False,
        flag="--without-secrets",
        group=CHECKS,
        help="With --validate-only or plan: check only the form of references to secrets, as"
        " where a change is reviewed without production's secrets.",
    )

    def given(self) -> Mapping[str, Any]:
        """Return the options that differ from their default, by name."""
        return {
            each.name: value
            for each in fields(BatchOptions)
            if (value := getattr(self, each.name)) != each.default
        }

    def in_next_steps(self) -> tuple[str, ...]:
        """Return the words by which an offered command repeats the options."""
        given = self.given()
        return tuple(
            word
            for name, each in OPTIONS.items()
            if each.in_next_steps and name in given
            for word in each.words(given[name])
        )

    def in_plan(self) -> dict[str, Any]:
        """Return the options that a plan file holds, in their JSON form."""
        return {name: to_json(getattr(self, name)) for name in IN_PLAN}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the options of a plan file or of a run's record.

        Earlier versions did not know every option, and a record holds more than options.
        """
        known = {name: values[name] for name in OPTIONS if values.get(name) is not None}
        return cls(**{name: OPTIONS[name].from_json(value) for name, value in known.items()})


def to_json(value: Any) -> Any:
    """Return the JSON form of an option's value."""
    if isinstance(value, Share | JournalLocation):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


OPTIONS: Mapping[str, Option] = {each.name: each.metadata[_KEY] for each in fields(BatchOptions)}
"""The options by their fields' names, which plan files and reports use too."""

IN_PLAN = tuple(name for name, each in OPTIONS.items() if each.in_plan is not None)
"""The options that a plan file holds."""

FIXED_BY_PLAN = tuple(name for name in IN_PLAN if OPTIONS[name].in_plan is Planned.FIXED)
"""Those of them that `apply` cannot replace."""

NO_OPTIONS = BatchOptions()
"""The options where none was given."""
